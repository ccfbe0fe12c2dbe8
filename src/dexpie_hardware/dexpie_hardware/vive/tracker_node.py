"""The tracker driver: one tracker's pose on /teleop/tracker_pose while it is tracked, else silence."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from dexpie_core import messages, se3, topics
from dexpie_hardware.tracker_sample import TrackerSample, parse_address
from dexpie_hardware.vive.backends import BACKENDS, Backend, BackendUnavailable, open_backend
from dexpie_hardware.vive.motion import MotionBounds
from dexpie_hardware.vive.tracking import State, TrackingConfig, TrackingMonitor
from dexpie_ros.factory import make
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, parameter, run

NS_PER_S = 1_000_000_000
LEVELS = {State.SEARCHING: Level.WARN, State.TRACKING: Level.OK, State.LOST: Level.ERROR}
_BOUNDS = MotionBounds()


@dataclass(frozen=True)
class TrackerParameters:
    """Which tracker, how it is heard, and when it is lost."""

    backend: str = parameter("pysurvive", f"how the tracker is heard: {', '.join(BACKENDS)}")
    name: str = parameter("", "codename (pysurvive), serial (openvr), name (stream); empty: the first heard")
    rate_hz: float = parameter(100.0, "how often the backend is asked, Hz")
    stale_s: float = parameter(0.1, "age of the newest sample from which the tracker is lost, s")
    confirm_samples: int = parameter(20, "consistent samples before anything is published (again)")
    confirm_s: float = parameter(0.5, "and for how long, s; longer than consumers wait for a fault")
    jump_m: float = parameter(_BOUNDS.jump_m, "step within 40 ms from which a sample is a jump, m")
    jump_rad: float = parameter(_BOUNDS.jump_rad, "rotation within 40 ms that is a jump, rad")
    max_speed_m_s: float = parameter(_BOUNDS.max_speed_m_s, "speed that no hand has, m/s")
    max_angular_speed_rad_s: float = parameter(_BOUNDS.max_angular_speed_rad_s, "the same, rad/s")
    backend_arguments: tuple[str, ...] = parameter((), "flags for libsurvive, e.g. ['--lighthouse-gen', '2']")
    stream_address: str = parameter("udp://127.0.0.1:47800", "backend stream: udp://HOST:PORT, unix:///PATH")
    retry_s: float = parameter(2.0, "how often a backend that is not there is tried again, s")

    def tracking(self) -> TrackingConfig:
        """Core configuration."""
        bounds = MotionBounds(
            jump_m=self.jump_m,
            jump_rad=self.jump_rad,
            longest_gap_s=self.stale_s,
            max_speed_m_s=self.max_speed_m_s,
            max_angular_speed_rad_s=self.max_angular_speed_rad_s,
        )
        return TrackingConfig(self.stale_s, self.confirm_samples, self.confirm_s, bounds)

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"backend {self.backend!r} is not a choice; choose from {', '.join(BACKENDS)}")
        if not self.rate_hz > 0 or not self.retry_s > 0:
            raise ValueError("rate_hz and retry_s must be positive")
        parse_address(self.stream_address)
        self.tracking()


class TrackerNode(LoopNode):
    """Asks the backend at its own rate; a backend that goes away is opened again."""

    def __init__(self) -> None:
        super().__init__("vive_tracker")
        self.parameters = declare(self, TrackerParameters)
        self._monitor = TrackingMonitor(self.parameters.tracking())
        self._publisher = self.advertise(topics.TRACKER_POSE)
        self._backend: Backend | None = None
        self._unavailable = "not opened yet"
        self._try_at_s = 0.0
        self._stamp_ns = 0
        self._published = 0
        self._said: object = None
        self.start(self.parameters.rate_hz, niceness=-5, realtime=20)

    def step(self) -> None:
        """Take what has arrived; publish what is sound."""
        now_s, wall_ns = time.monotonic(), time.time_ns()
        for sample in self._heard(now_s):
            host_s = self._monitor.take(sample, now_s)
            if host_s is not None:
                self._publish(sample, wall_ns - round((now_s - host_s) * NS_PER_S))
        self._monitor.tick(now_s)
        self._say_changes()

    def _heard(self, now_s: float) -> list[TrackerSample]:
        parameters = self.parameters
        try:
            if self._backend is None:
                if now_s < self._try_at_s:
                    return []
                self._try_at_s = now_s + parameters.retry_s
                self._backend = open_backend(
                    parameters.backend,
                    parameters.name,
                    parameters.backend_arguments,
                    parameters.stream_address,
                )
                self._unavailable = ""
            return self._backend.poll(now_s)
        except BackendUnavailable as error:
            self._close_backend()
            self._unavailable = str(error)
            return []

    def _publish(self, sample: TrackerSample, stamp_ns: int) -> None:
        self._stamp_ns = max(stamp_ns, self._stamp_ns + 1)  # never back, also when the wall clock is set
        T = se3.matrix_from_pos_quat(sample.position_m, sample.quat_xyzw)
        self._publisher.publish(messages.pose_stamped(make, T, self._stamp_ns, messages.TRACKER_FRAME))
        self._published += 1

    def _say_changes(self) -> None:
        """What changes is on /diagnostics and in the log at once, not only at the next second."""
        state = (self._monitor.state, self._unavailable)
        if state == self._said:
            return
        self._said = state
        level, message = self._judgement()
        if level is Level.OK:
            self.get_logger().info(message)
        else:
            self.get_logger().warning(message)
        self.diagnostics.publish()

    def _judgement(self) -> tuple[Level, str]:
        if self._unavailable:
            return Level.ERROR, self._unavailable
        state, reason = self._monitor.state, self._monitor.reason
        return LEVELS[state], f"{state.value}: {reason}" if reason else state.value

    def report(self) -> Report:
        """ERROR while the tracker is lost or its program is missing, with the reason."""
        notes = self._backend.notes() if self._backend is not None else {}
        counts = self._monitor.counts
        values = {"published": self._published, **counts, **notes, **self.timing_values()}
        return Report(*self._judgement(), values)

    def finish(self) -> None:
        """Close the backend."""
        self._close_backend()

    def _close_backend(self) -> None:
        if self._backend is not None:
            self._backend.close()
            self._backend = None


def main() -> int:
    """Entry point."""
    return run(TrackerNode)


if __name__ == "__main__":
    sys.exit(main())
