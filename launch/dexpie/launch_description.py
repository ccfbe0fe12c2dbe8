"""The same graph as `dexpie up`, as a genuine ROS 2 launch description."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    TimerAction,
)
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from dexpie.graph import GraphOptions, NodeSpec, build_graph, make_runtime_dir, parameter_files
from dexpie.processes import node_command
from dexpie_core.errors import DexpieError
from launch import LaunchContext, LaunchDescription

DESCRIPTIONS = {
    "hardware": "which devices: sim, emulated or real",
    "task": "the task on the table: bottle, drawer or lid",
    "policy": "folder of a trained actor; empty: no policy_inference node",
    "record": "folder that episodes are recorded into; empty: none",
    "cameras": "true or false: run the cameras",
    "operator": "virtual, human or none; empty: virtual where the cell is simulated, human where it is real",
    "inference": "async or sync",
    "seed": "seed of the first scene",
    "positions": "where the simulated objects lie: train or held_out",
    "replace": "NAME=PACKAGE/EXECUTABLE,...: drivers of one's own in the place of ours",
    "config": "parameter file of this very cell, read last; empty: none",
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


def action(spec: NodeSpec, files: tuple[Path, ...]) -> Node | ExecuteProcess:
    """The launch action that starts one process; a required one shuts the launch down when it ends."""
    on_exit = [EmitEvent(event=Shutdown(reason=f"{spec.name} ended"))] if spec.required else None
    if not spec.is_node:
        argv = node_command(spec, files).argv
        return ExecuteProcess(cmd=list(argv), name=spec.name, output="screen", on_exit=on_exit)
    return Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        parameters=[*(str(path) for path in files), dict(spec.parameters)],
        output="screen",
        emulate_tty=False,
        on_exit=on_exit,
    )


def _start(context: LaunchContext) -> list[Any]:
    text = {option.name: LaunchConfiguration(option.name).perform(context) for option in fields(GraphOptions)}
    options = options_from_text(text)
    make_runtime_dir(options)
    actions: list[Any] = [action(spec, parameter_files(options)) for spec in build_graph(options)]
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
