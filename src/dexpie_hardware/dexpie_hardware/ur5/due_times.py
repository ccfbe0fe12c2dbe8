"""When a command is due on our own clock, whatever the sender's clock says. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

NS_PER_S: Final = 1_000_000_000
# Commands whose quickest one tells the offset between the clocks; a second of them at 25 Hz.
WINDOW: Final = 25


class DueClock:
    """Maps times of the sender's clock to ours.

    The quickest of the newest messages was hardly delayed: arrival minus stamp of that one is the offset,
    so neither jitter of the transport nor a wrong clock moves a due time. A sender's clock that is set
    back makes its commands look late until the window has passed.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._offsets_ns: deque[int] = deque(maxlen=window)

    def due_s(self, stamp_ns: int, due_ns: int, arrival_ns: int) -> float:
        """Due time in seconds on our clock of a command stamped, due (sender's clock) and arrived (ours)."""
        self._offsets_ns.append(arrival_ns - stamp_ns)
        return (due_ns + min(self._offsets_ns)) / NS_PER_S
