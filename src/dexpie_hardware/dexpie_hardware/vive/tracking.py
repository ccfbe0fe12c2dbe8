"""Whether the tracker is tracked: the one place that decides what may be published. Pure, driven by `now`.

Trackers lose themselves silently: they repeat their last pose, stop talking, turn without moving, or come
back somewhere else. Each of these is LOST; nothing is published then, and whoever follows the tracker sees
it by the silence. It comes back after it has been consistent for longer than every consumer waits
before it calls silence a fault, so that a jump can never pass for motion.
"""

import enum
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dexpie_core.se3 import Array
from dexpie_hardware.tracker_sample import TrackerSample, Tracking
from dexpie_hardware.vive.clock import DeviceClock
from dexpie_hardware.vive.motion import MotionBounds, MotionCheck

QUATERNION_TOLERANCE: Final = 0.02


class State(enum.Enum):
    """SEARCHING until the tracker has been tracked once."""

    SEARCHING = "searching"
    TRACKING = "tracking"
    LOST = "lost"


class Event(enum.Enum):
    """What the samples amount to."""

    CONFIRMED = enum.auto()  # consistent for long enough
    REJECTED = enum.auto()  # a sample that cannot be true, or is too old
    SILENCE = enum.auto()


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.SEARCHING, Event.CONFIRMED): State.TRACKING,
    (State.SEARCHING, Event.REJECTED): State.SEARCHING,
    (State.SEARCHING, Event.SILENCE): State.SEARCHING,
    (State.TRACKING, Event.CONFIRMED): State.TRACKING,
    (State.TRACKING, Event.REJECTED): State.LOST,
    (State.TRACKING, Event.SILENCE): State.LOST,
    (State.LOST, Event.CONFIRMED): State.TRACKING,
    (State.LOST, Event.REJECTED): State.LOST,
    (State.LOST, Event.SILENCE): State.LOST,
}


@dataclass(frozen=True)
class TrackingConfig:
    """stale_s: age at which the newest sample is too old. confirm_*: consistency that (re)starts tracking."""

    stale_s: float = 0.1
    confirm_samples: int = 20
    confirm_s: float = 0.5
    bounds: MotionBounds = field(default_factory=MotionBounds)

    def __post_init__(self) -> None:
        if not self.stale_s > 0.0 or self.confirm_samples < 1 or not self.confirm_s >= 0.0:
            raise ValueError(
                "stale_s must be positive, confirm_samples at least 1, confirm_s not negative; "
                f"they are {self.stale_s}, {self.confirm_samples}, {self.confirm_s}"
            )


class TrackingMonitor:
    """Takes every sample; says which may be published, and why the tracker is lost.

    counts: samples that were rejected, repeated (the device's clock did not go on) or late.
    """

    def __init__(self, config: TrackingConfig | None = None) -> None:
        self.config = config or TrackingConfig()
        self.state = State.SEARCHING
        self.reason = "no sample so far"
        self.counts: Counter[str] = Counter(rejected=0, repeated=0, late=0)
        self._clock = DeviceClock()
        self._motion = MotionCheck(self.config.bounds)
        self._device_s = float("-inf")
        self._arrival_s: float | None = None  # of the newest sample, whatever it was worth
        self._host_s: float | None = None  # when the newest valid one was measured
        self._late_s = 0.0  # and how long it was on its way
        self._consistent = 0
        self._consistent_since_s = 0.0

    def take(self, sample: TrackerSample, now_s: float) -> float | None:
        """The time (host clock, s) at which the sample was measured where it may be published, else None."""
        if self._arrival_s is None and self._clock.is_another(sample.device_s, now_s):
            self._clock.reset()
            self._device_s = float("-inf")
        if sample.device_s <= self._device_s:
            self.counts["repeated"] += 1
            return None
        self._arrival_s = now_s
        problem = _invalid(sample)
        if problem:
            self._motion.reset()
            self._host_s = None
            self.counts["rejected"] += 1
            self._reject(problem)
            return None
        self._device_s = sample.device_s
        self._host_s = self._clock.host_s(sample.device_s, now_s)
        self._late_s = now_s - self._host_s
        problem = self._motion.problem(sample.device_s, sample.position_m, unit(sample.quat_xyzw))
        if problem:
            self.counts["rejected"] += 1
            self._reject(problem)
            return None
        if self._late_s > self.config.stale_s:
            self.counts["late"] += 1  # `tick` judges by the newest one: we may have been slow, not the device
            return None
        self._count_consistent(now_s)
        return self._host_s if self.state is State.TRACKING else None

    def tick(self, now_s: float) -> None:
        """Notice silence and lateness; call it after the samples of a period have been taken."""
        if self._arrival_s is None:
            return
        limit_s = self.config.stale_s
        measured_s = self._arrival_s if self._host_s is None else self._host_s
        if now_s - measured_s <= limit_s:
            return
        if self._late_s > limit_s and now_s - self._arrival_s <= limit_s:
            self._reject(f"its samples come {self._late_s:.2f} s late")
            return
        self._apply(Event.SILENCE, f"no new sample for more than {limit_s:g} s")
        # What comes next is a beginning, but not for the clock: a line that has become slow would pass.
        self._motion.reset()
        self._arrival_s = self._host_s = None
        self._consistent = 0

    def _count_consistent(self, now_s: float) -> None:
        if self._consistent == 0:
            self._consistent_since_s = now_s
        self._consistent += 1
        if (
            self._consistent >= self.config.confirm_samples
            and now_s - self._consistent_since_s >= self.config.confirm_s
        ):
            self._apply(Event.CONFIRMED, "")

    def _reject(self, reason: str) -> None:
        self._consistent = 0
        self._apply(Event.REJECTED, reason)

    def _apply(self, event: Event, reason: str) -> None:
        self.state = TRANSITIONS[self.state, event]
        self.reason = reason


def unit(quat: Array) -> Array:
    """The quaternion (4,) with length one."""
    return quat / np.linalg.norm(quat)


def _invalid(sample: TrackerSample) -> str:
    """What is wrong with the sample by itself, else ''."""
    if sample.tracking is not Tracking.OK:
        return f"the tracker says {sample.tracking.value.replace('_', ' ')}"
    numbers = (sample.device_s, *sample.position_m, *sample.quat_xyzw)
    if not np.all(np.isfinite(numbers)):
        return "a number is not finite"
    norm = float(np.linalg.norm(sample.quat_xyzw))
    if abs(norm - 1.0) > QUATERNION_TOLERANCE:
        return f"the quaternion has length {norm:.3g}"
    return ""
