"""bringup.launch.py starts the graph that `dexpie up` starts; needs the launch of a ROS distribution."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dexpie.graph import GraphOptions, NodeSpec, build_graph, parameter_files

WHY = "the packages launch and launch_ros are not installed (they come with a ROS distribution)"
launch_ros = pytest.importorskip("launch_ros", reason=WHY)

from launch.actions import DeclareLaunchArgument, OpaqueFunction  # noqa: E402
from launch.utilities import perform_substitutions  # noqa: E402
from launch_ros.actions import Node  # noqa: E402
from launch_ros.utilities import evaluate_parameters  # noqa: E402

from dexpie.launch_description import generate_launch_description, options_from_text  # noqa: E402
from dexpie_core.errors import DexpieError  # noqa: E402
from launch import LaunchContext  # noqa: E402


def launched(arguments: dict[str, str]) -> tuple[list[Node], LaunchContext]:
    """The node actions that the launch description comes to under these arguments."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    nodes: list[Node] = []
    for entity in generate_launch_description().entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.execute(context)
        elif isinstance(entity, OpaqueFunction):
            nodes += [action for action in entity.execute(context) or [] if isinstance(action, Node)]
    return nodes, context


def as_spec(node: Node, context: LaunchContext) -> tuple[Any, ...]:
    """Package, executable, name and parameters of a launch action, in plain Python."""

    def text(part: Any) -> str:
        return part if isinstance(part, str) else perform_substitutions(context, part)

    given = evaluate_parameters(context, node._Node__parameters)
    files = tuple(str(part) for part in given if isinstance(part, Path))
    values = {key: value for part in given if isinstance(part, dict) for key, value in part.items()}
    return text(node.node_package), text(node.node_executable), text(node._Node__node_name), files, values


def expected(spec: NodeSpec) -> tuple[Any, ...]:
    files = tuple(str(path) for path in parameter_files(GraphOptions()))
    return spec.package, spec.executable, spec.name, files, dict(spec.parameters)


def test_both_ways_start_the_same_nodes(tmp_path: Path) -> None:
    options = GraphOptions(policy=str(tmp_path), record=str(tmp_path), inference="sync", seed=3)
    arguments = {"policy": str(tmp_path), "record": str(tmp_path), "inference": "sync", "seed": "3"}
    nodes, context = launched(arguments)
    assert [as_spec(node, context) for node in nodes] == [expected(spec) for spec in build_graph(options)]


def test_defaults_are_those_of_the_command_line() -> None:
    nodes, context = launched({})
    assert [as_spec(node, context) for node in nodes] == [
        expected(spec) for spec in build_graph(GraphOptions())
    ]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(DexpieError, match="--task cup: no such task; choose from bottle, drawer, lid"):
        launched({"task": "cup"})
    text = {"hardware": "sim", "task": "bottle", "policy": "", "record": "", "operator": "virtual"}
    with pytest.raises(DexpieError, match="cameras:=maybe: give true or false"):
        options_from_text(
            {**text, "inference": "async", "seed": "0", "config": "", "replace": "", "cameras": "maybe"}
        )


def test_the_launched_graph_becomes_ready_and_stops() -> None:
    if importlib.util.find_spec("launch_testing") is None:
        pytest.skip("the package launch_testing is not installed (it comes with a ROS distribution)")
    script = Path(__file__).with_name("launched_bringup.py")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "launch_testing.launch_test", str(script)],
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
