"""The glove driver: the named angles of one hand's glove on /teleop/glove while it speaks, else silence."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Final

from dexpie_core import messages, topics
from dexpie_hardware.manus.monitor import SIDES, GloveConfig, GloveMonitor, State, parse_aliases
from dexpie_hardware.manus.sources import Source
from dexpie_ros.factory import make
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, parameter, run

SOURCES: Final = ("ros", "zmq")
LEVELS: Final = {State.WAITING: Level.WARN, State.LIVE: Level.OK, State.SILENT: Level.ERROR}


@dataclass(frozen=True)
class GloveParameters:
    """Which glove, how it is heard, and what is refused."""

    source: str = parameter("ros", "the maker's ROS 2 topics (ros) or a bridge with JSON over ZeroMQ (zmq)")
    side: str = parameter("right", f"whose glove: {', '.join(SIDES)}; topics are never told apart by number")
    zmq_address: str = parameter("tcp://127.0.0.1:5559", "where the bridge publishes: tcp://HOST:PORT")
    aliases: tuple[str, ...] = parameter((), "names of the SDK that differ from ours, as SDK_NAME=OUR_NAME")
    max_angle_deg: float = parameter(180.0, "angle from which a reading is refused, deg")
    stale_s: float = parameter(0.1, "silence after which the glove counts as silent, s")
    rate_hz: float = parameter(150.0, "how often the source is asked, above the glove's rate of 120, Hz")

    def glove(self) -> GloveConfig:
        """Core configuration."""
        return GloveConfig(self.side.lower(), parse_aliases(self.aliases), self.max_angle_deg, self.stale_s)

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"source {self.source!r} is not a choice; choose from {', '.join(SOURCES)}")
        if not self.rate_hz > 0:
            raise ValueError("rate_hz must be positive")
        self.glove()


class GloveNode(LoopNode):
    """Publishes the newest reading that it takes; the stamp is the time of arrival, for gloves send none."""

    def __init__(self) -> None:
        super().__init__("manus_glove")
        self.parameters = declare(self, GloveParameters)
        self._monitor = GloveMonitor(self.parameters.glove())
        self._source = self._open_source()
        self._publisher = self.advertise(topics.GLOVE)
        self._published = 0
        self._said = self._monitor.state
        self.start(self.parameters.rate_hz, niceness=-5, realtime=20)

    def _open_source(self) -> Source:
        if self.parameters.source == "zmq":
            from dexpie_hardware.manus.sources.zmq_bridge import ZmqGloves

            return ZmqGloves(self.parameters.zmq_address)
        from dexpie_hardware.manus.sources.ros_topics import RosGloves

        return RosGloves(self)

    def step(self) -> None:
        """Judge what has arrived; publish the newest."""
        now_s = time.monotonic()
        angles = None
        for reading in self._source.poll(now_s):
            angles = self._monitor.take(reading, now_s) or angles
        if angles is not None:
            message = messages.glove_state(make, angles, time.time_ns(), self._monitor.config.side)
            self._publisher.publish(message)
            self._published += 1
        self._monitor.tick(now_s)
        if self._monitor.state is not self._said:
            self._said = self._monitor.state
            self.get_logger().info(self._judgement())
            self.diagnostics.publish()

    def _judgement(self) -> str:
        monitor, parameters = self._monitor, self.parameters
        text = {
            State.WAITING: f"waiting for the {monitor.config.side} glove",
            State.LIVE: "live",
            State.SILENT: f"silent for more than {parameters.stale_s:g} s",
        }[monitor.state]
        if monitor.complaint:
            return f"{text}; refused: {monitor.complaint}"
        if monitor.counts["other_side"] and monitor.state is not State.LIVE:
            return f"{text}; a glove says side {monitor.other_side!r}"
        return text

    def report(self) -> Report:
        """ERROR while the glove is silent; what was refused is told with the reason."""
        monitor = self._monitor
        values = {
            "published": self._published,
            "glove": monitor.origin,
            **monitor.counts,
            **self._source.notes(),
            **self.timing_values(),
        }
        return Report(LEVELS[monitor.state], self._judgement(), values)

    def finish(self) -> None:
        """Close the source."""
        self._source.close()


def main() -> int:
    """Entry point."""
    return run(GloveNode)


if __name__ == "__main__":
    sys.exit(main())
