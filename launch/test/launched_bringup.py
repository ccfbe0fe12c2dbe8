"""For `launch_test launched_bringup.py`: what bringup.launch.py starts gets ready and stops cleanly."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path

import launch_testing
import launch_testing.actions
import launch_testing.asserts
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from dexpie.graph import GraphOptions, build_graph
from launch import LaunchDescription

BRINGUP = Path(__file__).resolve().parents[1] / "launch" / "bringup.launch.py"


def generate_test_description() -> LaunchDescription:
    bringup = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(BRINGUP)),
        launch_arguments={"hardware": "sim", "task": "bottle"}.items(),
    )
    return LaunchDescription([bringup, launch_testing.actions.ReadyToTest()])


class TestReady(unittest.TestCase):
    def test_every_node_of_the_graph_says_that_it_is_ready(self) -> None:
        names = [node.name for node in build_graph(GraphOptions())]
        probe = [sys.executable, "-P", "-m", "dexpie.probe", *names]
        subprocess.run(probe, check=True, timeout=90, stdout=subprocess.DEVNULL)


@launch_testing.post_shutdown_test()
class TestStopped(unittest.TestCase):
    def test_every_node_left_with_zero(self, proc_info: launch_testing.ProcInfoHandler) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)
