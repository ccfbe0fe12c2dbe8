"""The description of the graph: which nodes, which parameters, and what is refused."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from dexpie.bringup import probe_command
from dexpie.graph import GraphOptions, NodeSpec, build_graph, parameter_files
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
    parameters = dict(build_graph(options)[-1].parameters)
    assert parameters == {"policy": str(tmp_path), "task": "bottle", "synchronous": False}


def test_cameras_and_operator_can_be_left_out() -> None:
    assert names(GraphOptions(cameras=False, operator="none")) == (
        "sim_cell", "human_follower", "executor", "episode_manager",
    )  # fmt: skip


def test_options_reach_the_nodes(tmp_path: Path) -> None:
    graph = build_graph(GraphOptions(record=str(tmp_path), inference="sync", seed=7, positions="held_out"))
    parameters = {node.name: dict(node.parameters) for node in graph}
    assert parameters["executor"] == {"synchronous": True}
    assert parameters["sim_cell"] == {"task": "bottle", "seed": 7, "positions": "held_out"}
    assert parameters["virtual_operator"] == {"task": "bottle", "seed": 7}
    assert parameters["episode_manager"] == {"task": "bottle", "record_dir": str(tmp_path)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hardware": "simulated"}, "--hardware simulated: not a choice; choose from sim, emulated, real"),
        (
            {"hardware": "real", "operator": "virtual"},
            "--operator virtual: acts in the simulated cell only; use human or none",
        ),
        ({"task": "cup"}, "--task cup: no such task; choose from bottle, drawer, lid"),
        ({"inference": "fast"}, "--inference fast: not a choice; choose from async, sync"),
        ({"operator": "robot"}, "--operator robot: not a choice; choose from virtual, human, none"),
        ({"positions": "new"}, "--positions new: not a choice; choose from train, held_out"),
        (
            {"hardware": "real", "positions": "held_out"},
            "--positions: a person places the objects at the real cell; leave it out",
        ),
        ({"replace": "hand"}, "--replace hand: give NAME=PACKAGE/EXECUTABLE"),
        ({"replace": "foot=a/b"}, "--replace foot: no such node in this graph; it has sim_cell, "),
        ({"config": "/nonexistent"}, "--config /nonexistent: no such file; copy and edit"),
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


@pytest.mark.parametrize("hardware", ["sim", "emulated", "real"])
def test_parameter_files_name_only_nodes_of_the_graph(hardware: str, tmp_path: Path) -> None:
    options = GraphOptions(hardware=hardware, policy=str(tmp_path))
    known = {name for o in (options, replace(options, operator="human")) for name in names(o)}
    for path in parameter_files(options):
        content = yaml.safe_load(path.read_text())
        assert set(content) <= known, path
        assert all(set(entry) == {"ros__parameters"} for entry in content.values()), path


@pytest.mark.parametrize("hardware", ["sim", "emulated", "real"])
def test_names_are_unique(hardware: str, tmp_path: Path) -> None:
    found = names(GraphOptions(hardware=hardware, policy=str(tmp_path)))
    assert len(set(found)) == len(found)


def test_emulated_devices_sit_between_the_real_drivers_and_the_simulated_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/5")
    graph = {node.name: node for node in build_graph(GraphOptions(hardware="emulated"))}
    assert set(graph) == {*SIM, "ur_emulator", "inspire_emulator", "ur5_driver", "inspire_hand_driver"}
    place = f"/run/user/5/dexpie-{os.getuid()}-7"
    assert dict(graph["sim_cell"].parameters)["socket"] == f"{place}/plant"
    assert dict(graph["ur5_driver"].parameters) == {"host": "127.0.1.8"}
    assert dict(graph["inspire_hand_driver"].parameters) == {"port": f"{place}/hand"}
    for name in ("ur_emulator", "inspire_emulator"):
        assert not graph[name].is_node and not graph[name].awaited
        assert graph[name].arguments[-2:] == ("--plant", f"{place}/plant")
    assert "127.0.1.8" in graph["ur_emulator"].arguments
    assert f"{place}/hand" in graph["inspire_emulator"].arguments


def test_the_real_cell_has_an_operator_and_no_simulator(tmp_path: Path) -> None:
    found = names(GraphOptions(hardware="real"))
    assert found[:6] == (
        "ur5_driver", "inspire_hand_driver", "camera_front", "camera_wrist", "vive_tracker", "manus_glove",
    )  # fmt: skip
    assert not {"sim_cell", "sim_cameras", "virtual_operator"} & set(found)
    assert not {"vive_tracker", "manus_glove"} & set(names(GraphOptions(hardware="real", operator="none")))
    awaited = {node.name for node in build_graph(GraphOptions(hardware="real")) if node.awaited}
    assert awaited == set(found) - {
        "vive_tracker",
        "manus_glove",
    }  # an operator puts them on when he wants to


def test_a_driver_of_ones_own_takes_the_place_of_ours() -> None:
    graph = build_graph(GraphOptions(hardware="real", replace="inspire_hand_driver=my_hand/driver"))
    spec = next(node for node in graph if node.name == "inspire_hand_driver")
    assert (spec.package, spec.executable, spec.parameters) == ("my_hand", "driver", ())
    assert [node.name for node in graph] == [node.name for node in build_graph(GraphOptions(hardware="real"))]


def test_the_file_of_this_very_cell_is_read_last(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.touch()
    assert parameter_files(GraphOptions(hardware="real", config=str(own)))[-1] == own


def test_a_program_without_ros_gets_its_arguments_and_is_not_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable = tmp_path / "lib" / "dexpie_hardware" / "ur_emulator"
    executable.parent.mkdir(parents=True)
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    spec = NodeSpec("dexpie_hardware", "ur_emulator", "arm", arguments=("--host", "127.0.0.9"), awaited=False)
    command = node_command(spec, (Path("/p/cell.yaml"),))
    assert command.argv == (str(executable), "--host", "127.0.0.9")
    assert not command.awaited
    assert "arm" not in probe_command((spec, build_graph(GraphOptions())[0])).argv


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
