"""The one description of the node graph, read by `dexpie up` and by bringup.launch.py alike."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dexpie_core.episode import POSITIONS
from dexpie_core.errors import DexpieError, UsageError
from dexpie_core.topics import CAMERAS

Hardware = Literal["sim", "emulated", "real"]
Inference = Literal["async", "sync"]
ParameterValue = bool | int | float | str
MAX_DOMAIN = 232

HARDWARE: tuple[Hardware, ...] = get_args(Hardware)
TASKS: tuple[str, ...] = ("bottle", "drawer", "lid")
INFERENCE: tuple[Inference, ...] = get_args(Inference)
OPERATORS: tuple[str, ...] = ("virtual", "human", "none")
PARAMETER_FILES: dict[str, tuple[str, ...]] = {
    "sim": ("cell.yaml", "sim.yaml"),
    "emulated": ("cell.yaml", "sim.yaml", "emulated.yaml"),
    "real": ("cell.yaml", "real.yaml"),
}


@dataclass(frozen=True)
class GraphOptions:
    """What the user chose; every field is also a launch argument of the same name."""

    hardware: str = "sim"
    task: str = "bottle"
    policy: str = ""  # checkpoint folder of a trained actor; empty: no policy_inference node
    record: str = ""  # folder that episodes are recorded into; empty: nothing is recorded
    cameras: bool = True
    operator: str = ""  # empty: virtual where the cell is simulated, human where it is real
    inference: str = "async"
    seed: int = 0
    positions: str = "train"  # where the simulated objects lie: train or held_out
    config: str = ""  # parameter file of this very cell, read last; empty: none
    replace: str = ""  # NAME=PACKAGE/EXECUTABLE,...: drivers of one's own in the place of ours

    @property
    def operated_by(self) -> str:
        """virtual, human or none."""
        return self.operator or ("human" if self.hardware == "real" else "virtual")


@dataclass(frozen=True)
class NodeSpec:
    """One process of the graph: `ros2 run PACKAGE EXECUTABLE` under the node name NAME.

    With `arguments` it is a program without ROS, such as an emulator, and is started with these. The graph is
    ready when all awaited nodes are: not an emulator, whose driver is not ready before it is, nor a device
    that an operator switches on when he wants it.
    """

    package: str
    executable: str
    name: str
    parameters: tuple[tuple[str, ParameterValue], ...] = ()
    required: bool = True
    arguments: tuple[str, ...] = ()
    awaited: bool = True

    @property
    def is_node(self) -> bool:
        """Whether it is a ROS node."""
        return not self.arguments


@dataclass(frozen=True)
class _Entry:
    """A row of the node table: what runs, when, and which options it is told as parameters or arguments."""

    package: str
    executable: str
    name: str
    parameters: Callable[[GraphOptions], Mapping[str, ParameterValue]] = lambda options: {}
    condition: Callable[[GraphOptions], bool] = lambda options: True
    required: bool = True
    arguments: Callable[[GraphOptions], tuple[str, ...]] = lambda options: ()
    awaited: bool = True


def _scene(options: GraphOptions) -> dict[str, ParameterValue]:
    return {"task": options.task, "seed": options.seed}


def _cell(options: GraphOptions) -> dict[str, ParameterValue]:
    return {**_scene(options), "positions": options.positions}


def _camera(name: str) -> _Entry:
    return _Entry(
        "dexpie_hardware",
        "realsense_camera",
        f"camera_{name}",
        lambda o: {"camera": name},
        lambda o: o.cameras,
    )


_SIMULATED: tuple[_Entry, ...] = (
    _Entry("dexpie_sim", "camera_node", "sim_cameras", lambda o: {"task": o.task}, lambda o: o.cameras),
    _Entry("dexpie_sim", "operator_node", "virtual_operator", _scene, lambda o: o.operated_by == "virtual"),
)
_ARM_AND_HAND: tuple[_Entry, ...] = (
    _Entry(
        "dexpie_hardware", "ur5_driver", "ur5_driver",
        lambda o: {"host": emulated_host()} if o.hardware == "emulated" else {},
    ),
    _Entry(
        "dexpie_hardware", "inspire_hand_driver", "inspire_hand_driver",
        lambda o: {"port": str(runtime_dir() / "hand")} if o.hardware == "emulated" else {},
    ),
)  # fmt: skip
_DEVICES: dict[str, tuple[_Entry, ...]] = {
    "sim": (_Entry("dexpie_sim", "cell_node", "sim_cell", _cell), *_SIMULATED),
    "emulated": (
        _Entry(
            "dexpie_sim", "plant_node", "sim_cell",
            lambda o: {**_cell(o), "socket": str(runtime_dir() / "plant")},
        ),
        _Entry(
            "dexpie_hardware", "ur_emulator", "ur_emulator",
            arguments=lambda o: (
                "--host", emulated_host(), "--model", "cb3", "--lag", "0", "--protective-force", "80",
                "--wait-for-plant",
                *_plugged("ur_emulator"),
            ),
            awaited=False,
        ),
        _Entry(
            "dexpie_hardware", "inspire_emulator", "inspire_emulator",
            arguments=lambda o: (
                "--link", str(runtime_dir() / "hand"), "--travel-s", "0.3", *_plugged("inspire_emulator"),
            ),
            awaited=False,
        ),
        *_ARM_AND_HAND,
        *_SIMULATED,
    ),
    "real": (
        *_ARM_AND_HAND,
        *(_camera(name) for name in CAMERAS),
    ),
}  # fmt: skip
_OPERATOR: tuple[_Entry, ...] = (
    _Entry(
        "dexpie_hardware", "vive_tracker", "vive_tracker",
        condition=lambda o: o.operated_by == "human", awaited=False,
    ),
    _Entry(
        "dexpie_hardware", "manus_glove", "manus_glove",
        condition=lambda o: o.operated_by == "human", awaited=False,
    ),
)  # fmt: skip
_COMMON: tuple[_Entry, ...] = (
    _Entry("dexpie_teleop", "follower_node", "human_follower"),
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
        lambda o: {"policy": o.policy, "task": o.task, "synchronous": o.inference == "sync"},
        lambda o: bool(o.policy),
    ),
)  # fmt: skip


def _domain() -> int:
    text = os.environ.get("ROS_DOMAIN_ID", "") or "0"
    if not text.isdigit() or int(text) > MAX_DOMAIN:
        raise UsageError(f"ROS_DOMAIN_ID={text}: must be a whole number from 0 to {MAX_DOMAIN}")
    return int(text)


def runtime_dir() -> Path:
    """Where the sockets and terminals of emulated devices lie; every ROS domain has its own."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"dexpie-{os.getuid()}-{_domain()}"


def make_runtime_dir(options: GraphOptions) -> None:
    """The folder that emulated devices need, before they start."""
    if options.hardware == "emulated":
        runtime_dir().mkdir(mode=0o700, parents=True, exist_ok=True)


def emulated_host() -> str:
    """The loopback address of the emulated arm: its ports are fixed, so every ROS domain has an address."""
    return f"127.0.1.{_domain() + 1}"


def _plugged(name: str) -> tuple[str, ...]:
    """Arguments of an emulator whose joints the simulated cell moves."""
    return ("--control", str(runtime_dir() / f"{name}.control"), "--plant", str(runtime_dir() / "plant"))


def check_options(options: GraphOptions) -> None:
    """Refuse, in one line that names the flag and the choices, what the graph cannot be built from."""
    if options.hardware not in HARDWARE:
        raise UsageError(f"--hardware {options.hardware}: not a choice; choose from {', '.join(HARDWARE)}")
    if options.task not in TASKS:
        raise UsageError(f"--task {options.task}: no such task; choose from {', '.join(TASKS)}")
    if options.inference not in INFERENCE:
        raise UsageError(f"--inference {options.inference}: not a choice; choose from {', '.join(INFERENCE)}")
    if options.operated_by not in OPERATORS:
        raise UsageError(f"--operator {options.operator}: not a choice; choose from {', '.join(OPERATORS)}")
    if options.hardware == "real" and options.operated_by == "virtual":
        raise UsageError("--operator virtual: acts in the simulated cell only; use human or none")
    if options.positions not in POSITIONS:
        raise UsageError(f"--positions {options.positions}: not a choice; choose from {', '.join(POSITIONS)}")
    if options.hardware == "real" and options.positions != POSITIONS[0]:
        raise UsageError("--positions: a person places the objects at the real cell; leave it out")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: must be 0 or more")
    if options.policy and not Path(options.policy).is_dir():
        raise UsageError(
            f"--policy {options.policy}: no such folder; give the --out folder of 'dexpie train actor'"
        )
    if options.record and Path(options.record).exists() and not Path(options.record).is_dir():
        raise UsageError(f"--record {options.record}: is a file; give a folder")
    if options.config and not Path(options.config).is_file():
        raise UsageError(
            f"--config {options.config}: no such file; copy and edit {config_dir() / 'real.yaml'}"
        )


def build_graph(options: GraphOptions) -> tuple[NodeSpec, ...]:
    """The nodes that these options call for, in starting order (devices first)."""
    check_options(options)
    entries = _DEVICES[options.hardware] + _OPERATOR + _COMMON
    graph = tuple(
        NodeSpec(
            e.package, e.executable, e.name, tuple(sorted(e.parameters(options).items())), e.required,
            e.arguments(options), e.awaited,
        )
        for e in entries if e.condition(options)
    )  # fmt: skip
    return with_replacements(graph, replacements(options.replace))


def replacements(text: str) -> dict[str, tuple[str, str]]:
    """Package and executable by the name of the node that they replace: 'NAME=PACKAGE/EXECUTABLE,...'."""
    found = {}
    for part in filter(None, text.split(",")):
        name, _, program = part.partition("=")
        package, _, executable = program.partition("/")
        if not name or not package or not executable:
            raise UsageError(f"--replace {part}: give NAME=PACKAGE/EXECUTABLE")
        found[name] = (package, executable)
    return found


def with_replacements(
    graph: tuple[NodeSpec, ...], programs: dict[str, tuple[str, str]]
) -> tuple[NodeSpec, ...]:
    """The graph with other programs under the same names, without the parameters that were meant for ours."""
    names = [spec.name for spec in graph]
    for name in programs:
        if name not in names:
            raise UsageError(f"--replace {name}: no such node in this graph; it has {', '.join(names)}")
    return tuple(
        NodeSpec(*programs[s.name], s.name, required=s.required, awaited=s.awaited)
        if s.name in programs
        else s
        for s in graph
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


def parameter_files(options: GraphOptions) -> tuple[Path, ...]:
    """The parameter files that every node of the graph is given, in order of precedence (last wins)."""
    files = tuple(config_dir() / name for name in PARAMETER_FILES[options.hardware])
    return (*files, Path(options.config)) if options.config else files
