"""The same graph as `dexpie up`, as a genuine ROS 2 launch description."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from launch.actions import DeclareLaunchArgument, EmitEvent, LogInfo, OpaqueFunction, TimerAction
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from dexpie.graph import GraphOptions, NodeSpec, build_graph, parameter_files
from dexpie_core.errors import DexpieError
from launch import LaunchContext, LaunchDescription

DESCRIPTIONS = {
    "hardware": "which devices: sim",
    "task": "the task on the table: bottle",
    "policy": "folder of a trained actor; empty: no policy_inference node",
    "record": "folder that episodes are recorded into; empty: none",
    "cameras": "true or false: run the cameras",
    "operator": "virtual or none",
    "inference": "async or sync",
    "seed": "seed of the first scene",
}
DURATION = "duration"


def options_from_text(text: dict[str, str]) -> GraphOptions:
    """GraphOptions from launch arguments, which are all text."""
    values: dict[str, Any] = {}
    for option in fields(GraphOptions):
        given = text[option.name]
        if isinstance(option.default, bool):
            if given.lower() not in ("true", "false"):
                raise DexpieError(f"{option.name}:={given}: give true or false")
            values[option.name] = given.lower() == "true"
        elif isinstance(option.default, int):
            if not given.isdigit():
                raise DexpieError(f"{option.name}:={given}: give a whole number, 0 or more")
            values[option.name] = int(given)
        else:
            values[option.name] = given
    return GraphOptions(**values)


def node_action(spec: NodeSpec) -> Node:
    """The launch action that starts one node; a required one shuts the launch down when it ends."""
    return Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        parameters=[*(str(path) for path in parameter_files()), dict(spec.parameters)],
        output="screen",
        emulate_tty=False,
        on_exit=[EmitEvent(event=Shutdown(reason=f"{spec.name} ended"))] if spec.required else None,
    )


def _start(context: LaunchContext) -> list[Any]:
    text = {option.name: LaunchConfiguration(option.name).perform(context) for option in fields(GraphOptions)}
    actions: list[Any] = [node_action(spec) for spec in build_graph(options_from_text(text))]
    duration = LaunchConfiguration(DURATION).perform(context)
    if duration:
        stop = EmitEvent(event=Shutdown(reason=f"the {duration} s are over"))
        actions.append(TimerAction(period=float(duration), actions=[LogInfo(msg="time is over"), stop]))
    return actions


def generate_launch_description() -> LaunchDescription:
    """What bringup.launch.py hands to `ros2 launch`."""
    arguments = [
        DeclareLaunchArgument(
            option.name,
            default_value=str(option.default).lower()
            if isinstance(option.default, bool)
            else str(option.default),
            description=DESCRIPTIONS[option.name],
        )
        for option in fields(GraphOptions)
    ]
    duration = DeclareLaunchArgument(DURATION, default_value="", description="stop after this many seconds")
    return LaunchDescription([*arguments, duration, OpaqueFunction(function=_start)])
