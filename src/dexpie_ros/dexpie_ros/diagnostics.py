"""A node's line in /diagnostics, once a second."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from dexpie_core.topics import DIAGNOSTICS
from dexpie_ros.qos import profile


class Level(enum.IntEnum):
    """Levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True)
class Report:
    """What a node says of itself; values carry their unit in the key, e.g. 'loop_p99_ms'."""

    level: Level = Level.OK
    message: str = "running"
    values: Mapping[str, object] = field(default_factory=dict)


class Diagnostics:
    """Publishes what `report` returns at 1 Hz; a report that raises becomes an ERROR line."""

    def __init__(self, node: Node, report: Callable[[], Report], hardware_id: str = "") -> None:
        self._node = node
        self._report = report
        self._hardware_id = hardware_id
        self._publisher = node.create_publisher(DiagnosticArray, DIAGNOSTICS.name, profile(DIAGNOSTICS))
        self._timer = node.create_timer(1.0 / DIAGNOSTICS.rate_hz, self.publish)

    def publish(self) -> None:
        """Publishes one line now, e.g. at a change worth knowing at once."""
        try:
            report = self._report()
        except Exception as error:
            report = Report(Level.ERROR, f"the report itself failed: {error!r}")
        status = DiagnosticStatus(
            level=bytes([report.level]),
            name=self._node.get_name(),
            message=report.message,
            hardware_id=self._hardware_id,
            values=[KeyValue(key=key, value=_text(value)) for key, value in report.values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
