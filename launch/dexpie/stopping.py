"""The order in which a graph is stopped: ask, insist, kill; pure, driven by an explicit clock."""

from __future__ import annotations

import signal
from dataclasses import dataclass

INTERRUPT_AT_S = 0.0
TERMINATE_AT_S = 1.0
KILL_AT_S = 1.7
DEADLINE_S = 2.0
STEPS: tuple[tuple[float, signal.Signals], ...] = (
    (INTERRUPT_AT_S, signal.SIGINT),
    (TERMINATE_AT_S, signal.SIGTERM),
    (KILL_AT_S, signal.SIGKILL),
)


@dataclass
class StopEscalation:
    """Which signal is due since the stop began at `started_s` (monotonic seconds)."""

    started_s: float
    sent: int = 0

    def due(self, now_s: float) -> tuple[signal.Signals, ...]:
        """The signals that have become due and were not handed out before, in order."""
        elapsed_s = now_s - self.started_s
        due: list[signal.Signals] = []
        while self.sent < len(STEPS) and elapsed_s >= STEPS[self.sent][0]:
            due.append(STEPS[self.sent][1])
            self.sent += 1
        return tuple(due)

    def hurry(self, now_s: float) -> None:
        """Asked a second time: skip to the kill."""
        self.sent = max(self.sent, len(STEPS) - 1)
        self.started_s = min(self.started_s, now_s - KILL_AT_S)

    def next_s(self, now_s: float) -> float | None:
        """Seconds until the next signal is due; None when all were handed out."""
        if self.sent >= len(STEPS):
            return None
        return max(0.0, self.started_s + STEPS[self.sent][0] - now_s)
