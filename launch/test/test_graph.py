"""The description of the graph: which nodes, which parameters, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from dexpie.graph import GraphOptions, build_graph, parameter_files
from dexpie.processes import node_command
from dexpie_core.errors import UsageError

SIM = ("sim_cell", "sim_cameras", "virtual_operator", "human_follower", "executor", "episode_manager")


def names(options: GraphOptions) -> tuple[str, ...]:
    return tuple(node.name for node in build_graph(options))


def test_the_simulated_graph_without_a_policy() -> None:
    assert names(GraphOptions()) == SIM


def test_a_policy_brings_its_node(tmp_path: Path) -> None:
    options = GraphOptions(policy=str(tmp_path))
    assert names(options) == (*SIM, "policy_inference")
    assert dict(build_graph(options)[-1].parameters) == {"policy": str(tmp_path)}


def test_cameras_and_operator_can_be_left_out() -> None:
    assert names(GraphOptions(cameras=False, operator="none")) == (
        "sim_cell", "human_follower", "executor", "episode_manager",
    )  # fmt: skip


def test_options_reach_the_nodes(tmp_path: Path) -> None:
    graph = build_graph(GraphOptions(record=str(tmp_path), inference="sync", seed=7))
    parameters = {node.name: dict(node.parameters) for node in graph}
    assert parameters["executor"] == {"synchronous": True}
    assert parameters["sim_cell"] == {"task": "bottle", "seed": 7}
    assert parameters["episode_manager"] == {"task": "bottle", "record_dir": str(tmp_path)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hardware": "simulated"}, "--hardware simulated: not a choice; choose from sim, emulated, real"),
        (
            {"hardware": "real"},
            "--hardware real: the drivers are not part of this version yet; use --hardware sim",
        ),
        ({"task": "cup"}, "--task cup: no such task; choose from bottle"),
        ({"inference": "fast"}, "--inference fast: not a choice; choose from async, sync"),
        ({"operator": "human"}, "--operator human: not a choice; choose from virtual, none"),
        ({"seed": -1}, "--seed -1: must be 0 or more"),
        ({"policy": "/nonexistent"}, "--policy /nonexistent: no such folder"),
        ({"record": __file__}, f"--record {__file__}: is a file; give a folder"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(change: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as error:
        build_graph(replace(GraphOptions(), **change))  # type: ignore[arg-type]
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_parameter_files_name_only_nodes_of_the_graph(tmp_path: Path) -> None:
    known = set(names(GraphOptions(policy=str(tmp_path))))
    for path in parameter_files():
        content = yaml.safe_load(path.read_text())
        assert set(content) <= known, path
        assert all(set(entry) == {"ros__parameters"} for entry in content.values()), path


def test_names_are_unique(tmp_path: Path) -> None:
    found = names(GraphOptions(policy=str(tmp_path)))
    assert len(set(found)) == len(found)


def test_command_line_keeps_the_types_of_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable = tmp_path / "lib" / "dexpie_sim" / "cell_node"
    executable.parent.mkdir(parents=True)
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    node = replace(
        build_graph(GraphOptions())[0], parameters=(("text", "12"), ("number", 12), ("flag", True))
    )
    argv = node_command(node, (Path("/p/cell.yaml"),)).argv
    assert argv == (
        str(executable), "--ros-args", "-r", "__node:=sim_cell", "--params-file", "/p/cell.yaml",
        "-p", 'text:="12"', "-p", "number:=12", "-p", "flag:=true",
    )  # fmt: skip
