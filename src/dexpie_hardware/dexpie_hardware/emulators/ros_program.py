"""The main of an emulator that is a ROS node: its own options first, those of ROS after --ros-args."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from rclpy.node import Node

from dexpie_ros.node import run


def run_emulator(
    parser: argparse.ArgumentParser,
    node_of: Callable[[argparse.Namespace], Node],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse what comes before --ros-args, make the node, run it; the exit status for `main`."""
    given = list(sys.argv[1:] if argv is None else argv)
    split = given.index("--ros-args") if "--ros-args" in given else len(given)
    options = parser.parse_args(given[:split])
    return run(lambda: node_of(options), [parser.prog, *given[split:]])
