"""Frame numbers, rates, and which frames belong to the recording."""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

NS_PER_S: Final = 1_000_000_000
LATE_FRAMES: Final = 3  # a number that is further back is a counter that began anew
MAX_GAP: Final = 1000
RATE_WINDOW_S: Final = 2.0
RATE_EVENTS: Final = 5


class Kind(enum.Enum):
    """What a frame's number makes of it."""

    NEW = "new"
    DUPLICATE = "duplicate"
    LATE = "late"  # a newer one came before it


class FrameCounter:
    """Counts what is missing, came twice or out of order."""

    def __init__(self) -> None:
        self._last: int | None = None
        self.frames = 0
        self.dropped = 0
        self.duplicates = 0
        self.late = 0
        self.restarts = 0

    def restart(self) -> None:
        """The camera was opened anew, its numbers begin anew."""
        self._last = None

    def see(self, number: int) -> Kind:
        """Count a frame."""
        gap = 1 if self._last is None else number - self._last
        if gap == 0:
            self.duplicates += 1
            return Kind.DUPLICATE
        if -LATE_FRAMES <= gap < 0:
            self.late += 1
            return Kind.LATE
        if 0 < gap <= MAX_GAP:
            self.dropped += gap - 1
        else:
            self.restarts += 1
        self._last = number
        self.frames += 1
        return Kind.NEW


class RateMeter:
    """Events a second over the newest two seconds."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()

    def add(self, now_s: float) -> None:
        """An event."""
        self._times_s.append(now_s)
        self._forget(now_s)

    def rate_hz(self, now_s: float) -> float | None:
        """Mean rate in the window, no more than the silence since allows; None of too few events to tell."""
        self._forget(now_s)
        if len(self._times_s) < RATE_EVENTS:
            return None
        period_s = (self._times_s[-1] - self._times_s[0]) / (len(self._times_s) - 1)
        slowest_s = max(period_s, now_s - self._times_s[-1])
        return 1.0 / slowest_s if slowest_s > 0.0 else None

    def _forget(self, now_s: float) -> None:
        while self._times_s and self._times_s[0] < now_s - RATE_WINDOW_S:
            self._times_s.popleft()


class FramePicker:
    """Chooses the frames nearest to the multiples of a period since the epoch.

    The schedule is absolute, so the mean rate is exact whatever the cameras' rate is, and two cameras on one
    host choose frames of the same instants.
    """

    def __init__(self, rate_hz: float, frame_rate_hz: float) -> None:
        self._all = rate_hz >= frame_rate_hz
        self._period_ns = NS_PER_S / rate_hz
        self._half_frame_ns = 0.5 * NS_PER_S / frame_rate_hz
        self._slot: int | None = None

    def picks(self, stamp_ns: int) -> bool:
        """Whether the frame with this stamp is the first one of its instant."""
        slot = int((stamp_ns + self._half_frame_ns) // self._period_ns)
        new = slot != self._slot
        self._slot = slot
        return new or self._all
