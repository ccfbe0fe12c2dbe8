"""From a frame's own time to its ROS time stamp.

ROS time is the host's clock. Which rule made a stamp is part of it, since the rules differ in what they are
worth: librealsense's global time is the time of exposure on the host's clock to about a millisecond; the
camera's own clock is tied to the host's by the quickest delivery seen; the time of arrival holds the jitter
of USB and of the scheduler.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final

from dexpie_hardware.realsense.frames import Domain

NS_PER_MS: Final = 1_000_000
JUMP_NS: Final = 1_000_000_000  # clocks that disagree by more: one was set, has wrapped, or means nothing
PERSISTENT_FRAMES: Final = 30  # fewer frames that disagree were only delivered late
DRIFT: Final = 1e-4  # s/s, more than two quartz clocks differ by
MIN_STEP_NS: Final = 1_000


class Rule(enum.Enum):
    """How a stamp came about."""

    GLOBAL = "global_time"
    OFFSET = "hardware_clock_offset"
    SYSTEM = "system_time"
    REPLAY = "replay"
    ARRIVAL = "arrival"


@dataclass(frozen=True)
class Stamp:
    """ROS time of a frame and the rule that it follows."""

    stamp_ns: int
    rule: Rule


class Stamper:
    """Stamps frame after frame, strictly increasing for as long as the host's clock is not set back.

    `replay` ties the recorded times to now by one offset, so that their differences stay what they were.
    """

    def __init__(self, *, replay: bool = False) -> None:
        self._replay = replay
        self._last_ns: int | None = None
        self._last_arrival_ns = 0
        self.jumps = 0
        self.clamped = 0
        self.restart()

    def restart(self) -> None:
        """The camera was opened anew: nothing is known of its clock."""
        self._offset_ns: int | None = None
        self._last_own_ns = 0
        self._disagreeing = PERSISTENT_FRAMES

    def stamp(self, timestamp_ms: float, domain: Domain, arrival_ns: int) -> Stamp:
        """Stamp of a frame with its own time and domain that arrived at `arrival_ns` of the host's clock."""
        wish_ns, rule = self._wish(timestamp_ms, domain, arrival_ns)
        return Stamp(self._increasing(wish_ns, arrival_ns), rule)

    def _wish(self, timestamp_ms: float, domain: Domain, arrival_ns: int) -> tuple[int, Rule]:
        if not math.isfinite(timestamp_ms) or timestamp_ms <= 0.0:
            return arrival_ns, Rule.ARRIVAL
        own_ns = round(timestamp_ms * NS_PER_MS)
        if self._replay or domain is Domain.HARDWARE_CLOCK:
            rule = Rule.REPLAY if self._replay else Rule.OFFSET
            return own_ns + self._offset(own_ns, arrival_ns, leaks=not self._replay), rule
        if not self._agrees(arrival_ns - own_ns):
            # After the host's clock was set, librealsense takes seconds to find the new relation.
            return arrival_ns, Rule.ARRIVAL
        return own_ns, Rule.GLOBAL if domain is Domain.GLOBAL_TIME else Rule.SYSTEM

    def _offset(self, own_ns: int, arrival_ns: int, *, leaks: bool) -> int:
        """Host's clock minus the frame's; if it leaks, the smallest one seen, following clocks that drift."""
        measured_ns = arrival_ns - own_ns
        known_ns = self._offset_ns
        if known_ns is None or own_ns < self._last_own_ns or not self._agrees(measured_ns - known_ns):
            self.jumps += known_ns is not None
            self._disagreeing = 0
            offset_ns = measured_ns if leaks else self._behind_the_last(own_ns, arrival_ns)
        elif leaks and self._disagreeing == 0:
            leak_ns = round(DRIFT * (own_ns - self._last_own_ns))
            offset_ns = min(measured_ns, known_ns + leak_ns)
        else:
            offset_ns = known_ns
        self._offset_ns, self._last_own_ns = offset_ns, own_ns
        return offset_ns

    def _behind_the_last(self, own_ns: int, arrival_ns: int) -> int:
        """Offset of a pass that begins: its first frames must not be squeezed to keep stamps increasing."""
        measured_ns = arrival_ns - own_ns
        if self._last_ns is None or self._last_ns > arrival_ns + JUMP_NS:
            return measured_ns
        return max(measured_ns, self._last_ns + MIN_STEP_NS - own_ns)

    def _agrees(self, error_ns: int) -> bool:
        """Whether the relation of the clocks holds, given by how much a frame is late beyond it.

        Late frames break one that held only if they persist; a frame from the future breaks it at once.
        """
        if error_ns < -JUMP_NS:
            self._disagreeing = PERSISTENT_FRAMES
        elif error_ns > JUMP_NS:
            self._disagreeing += 1
        else:
            self._disagreeing = 0
        return self._disagreeing < PERSISTENT_FRAMES

    def _increasing(self, wish_ns: int, arrival_ns: int) -> int:
        set_back = arrival_ns < self._last_arrival_ns - JUMP_NS
        if self._last_ns is not None and wish_ns < self._last_ns + MIN_STEP_NS and not set_back:
            self.clamped += 1
            wish_ns = self._last_ns + MIN_STEP_NS
        self._last_ns, self._last_arrival_ns = wish_ns, arrival_ns
        return wish_ns
