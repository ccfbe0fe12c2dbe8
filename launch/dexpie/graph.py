"""The one description of the node graph, read by `dexpie up` and by bringup.launch.py alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dexpie_core.errors import DexpieError, UsageError

Hardware = Literal["sim", "emulated", "real"]
Task = Literal["bottle", "drawer", "lid"]
Inference = Literal["async", "sync"]
ParameterValue = bool | int | float | str

HARDWARE: tuple[Hardware, ...] = get_args(Hardware)
BUILT_HARDWARE: tuple[Hardware, ...] = ("sim",)
BUILT_TASKS: tuple[str, ...] = ("bottle",)
INFERENCE: tuple[Inference, ...] = get_args(Inference)
OPERATORS: tuple[str, ...] = ("virtual", "none")
PARAMETER_FILES: tuple[str, ...] = ("cell.yaml", "sim.yaml")


@dataclass(frozen=True)
class GraphOptions:
    """What the user chose; every field is also a launch argument of the same name."""

    hardware: str = "sim"
    task: str = "bottle"
    policy: str = ""  # checkpoint folder of a trained actor; empty: no policy_inference node
    record: str = ""  # folder that episodes are recorded into; empty: nothing is recorded
    cameras: bool = True
    operator: str = "virtual"
    inference: str = "async"
    seed: int = 0


@dataclass(frozen=True)
class NodeSpec:
    """One process of the graph: `ros2 run PACKAGE EXECUTABLE` under the node name NAME."""

    package: str
    executable: str
    name: str
    parameters: tuple[tuple[str, ParameterValue], ...] = ()
    required: bool = True


@dataclass(frozen=True)
class _Entry:
    """A row of the node table: what runs, when, and which options it is told as parameters."""

    package: str
    executable: str
    name: str
    parameters: Callable[[GraphOptions], Mapping[str, ParameterValue]]
    condition: Callable[[GraphOptions], bool] = lambda options: True
    required: bool = True


_SIM_NODES: tuple[_Entry, ...] = (
    _Entry("dexpie_sim", "cell_node", "sim_cell", lambda o: {"task": o.task, "seed": o.seed}),
    _Entry("dexpie_sim", "camera_node", "sim_cameras", lambda o: {"task": o.task}, lambda o: o.cameras),
    _Entry(
        "dexpie_sim", "operator_node", "virtual_operator",
        lambda o: {"task": o.task, "seed": o.seed}, lambda o: o.operator == "virtual",
    ),
)  # fmt: skip
_COMMON_NODES: tuple[_Entry, ...] = (
    _Entry("dexpie_teleop", "follower_node", "human_follower", lambda o: {}),
    _Entry(
        "dexpie_teleop", "executor_node", "executor",
        lambda o: {"synchronous": o.inference == "sync"},
    ),
    _Entry(
        "dexpie_teleop", "episode_node", "episode_manager",
        lambda o: {"task": o.task, "record_dir": o.record},
    ),
    _Entry(
        "dexpie_policy", "policy_node", "policy_inference",
        lambda o: {"policy": o.policy}, lambda o: bool(o.policy),
    ),
)  # fmt: skip


def check_options(options: GraphOptions) -> None:
    """Refuse, in one line that names the flag and the choices, what the graph cannot be built from."""
    if options.hardware not in HARDWARE:
        raise UsageError(f"--hardware {options.hardware}: not a choice; choose from {', '.join(HARDWARE)}")
    if options.hardware not in BUILT_HARDWARE:
        raise UsageError(
            f"--hardware {options.hardware}: the drivers are not part of this version yet; use --hardware sim"
        )
    if options.task not in BUILT_TASKS:
        raise UsageError(f"--task {options.task}: no such task; choose from {', '.join(BUILT_TASKS)}")
    if options.inference not in INFERENCE:
        raise UsageError(f"--inference {options.inference}: not a choice; choose from {', '.join(INFERENCE)}")
    if options.operator not in OPERATORS:
        raise UsageError(f"--operator {options.operator}: not a choice; choose from {', '.join(OPERATORS)}")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: must be 0 or more")
    if options.policy and not Path(options.policy).is_dir():
        raise UsageError(
            f"--policy {options.policy}: no such folder; give the --out folder of 'dexpie train actor'"
        )
    if options.record and Path(options.record).exists() and not Path(options.record).is_dir():
        raise UsageError(f"--record {options.record}: is a file; give a folder")


def build_graph(options: GraphOptions) -> tuple[NodeSpec, ...]:
    """The nodes that these options call for, in starting order (devices first)."""
    check_options(options)
    chosen = (entry for entry in _SIM_NODES + _COMMON_NODES if entry.condition(options))
    return tuple(
        NodeSpec(e.package, e.executable, e.name, tuple(sorted(e.parameters(options).items())), e.required)
        for e in chosen
    )


def config_dir() -> Path:
    """The folder of the parameter files: beside the source, or in the installed package's share folder."""
    beside_source = Path(__file__).resolve().parents[1] / "config"
    if beside_source.is_dir():
        return beside_source
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        return Path(get_package_share_directory("dexpie")) / "config"
    except PackageNotFoundError as error:
        raise DexpieError("package 'dexpie' is not installed; build it with 'make setup'") from error


def parameter_files() -> tuple[Path, ...]:
    """The parameter files that every node of the graph is given, in order of precedence (last wins)."""
    return tuple(config_dir() / name for name in PARAMETER_FILES)
