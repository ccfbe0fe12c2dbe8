"""Reports which nodes are ready: writes what /diagnostics says as lines, and ends when all have said OK."""

from __future__ import annotations

import contextlib
import sys

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, ReliabilityPolicy

from dexpie.readiness import Readiness


def level_number(level: object) -> int:
    """DiagnosticStatus.level as a number: rclpy gives a byte field as `bytes` of length 1."""
    return level[0] if isinstance(level, bytes) else int(level)  # type: ignore[call-overload]


def main() -> None:
    """Listen until every node named on the command line has said OK. A line: `name<TAB>level<TAB>message`."""
    readiness = Readiness(tuple(sys.argv[1:]))
    rclpy.init(args=[])
    node = rclpy.create_node("readiness_probe")

    def heard(message: DiagnosticArray) -> None:
        for status in message.status:
            level = level_number(status.level)
            readiness.heard(status.name, level, status.message)
            print(f"{status.name}\t{level}\t{status.message}", flush=True)
        if readiness.complete:
            rclpy.try_shutdown()

    qos = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(DiagnosticArray, "/diagnostics", heard, qos)
    with contextlib.suppress(ExternalShutdownException, KeyboardInterrupt):
        rclpy.spin(node)


if __name__ == "__main__":
    main()
