"""Whether every topic is there, at its rate, and how old its newest message is; pure, time is given.

Times are seconds on one monotonic clock: when messages arrived here, and `now_s`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from dexpie_core.topics import TopicSpec

RATE_WINDOW_S: Final = 2.0
WORST_WINDOW_S: Final = 60.0
SLOW_BELOW: Final = 0.8  # of the nominal rate
SILENT_PERIODS: Final = 3.0
SILENT_AT_LEAST_S: Final = 0.5  # a busy machine may be late by less


class TopicState(IntEnum):
    """Judgement of a topic, the most urgent one first."""

    SILENT = 0  # was there, or has a publisher, and nothing comes
    SLOW = 1
    OK = 2
    ON_CHANGE = 3  # has no rate to hold
    ABSENT = 4  # nobody publishes it, in this kind of cell


@dataclass(frozen=True)
class TopicHealth:
    """One row of the table: rates in Hz, ages in seconds, None before the first message."""

    name: str
    state: TopicState
    expected_hz: float
    measured_hz: float
    age_s: float | None
    worst_age_s: float | None


@dataclass
class TopicMonitor:
    """Arrivals of one topic: rate over the newest two seconds, longest silence of the newest minute."""

    spec: TopicSpec
    publishers: int = 0
    _arrivals_s: deque[float] = field(default_factory=deque)
    _gaps: deque[tuple[float, float]] = field(default_factory=deque)  # (end_s, gap_s), gaps falling
    _first_s: float | None = None
    _last_s: float | None = None

    def arrived(self, times_s: Iterable[float]) -> None:
        """Messages that arrived, oldest first; one before its predecessor counts as at the same time."""
        for time_s in times_s:
            if self._last_s is None:
                self._first_s = self._last_s = time_s
            time_s = max(time_s, self._last_s)
            self._note_gap(time_s, time_s - self._last_s)
            self._last_s = time_s
            self._arrivals_s.append(time_s)
            self._forget(time_s)

    def health(self, now_s: float) -> TopicHealth:
        """The judgement now."""
        self._forget(now_s)
        if self._first_s is None or self._last_s is None:
            # A publisher alone says nothing of a topic that is published on change.
            waiting = self.publishers > 0 and self.spec.rate_hz > 0
            state = TopicState.SILENT if waiting else TopicState.ABSENT
            return TopicHealth(self.spec.name, state, self.spec.rate_hz, 0.0, None, None)
        age_s = max(now_s - self._last_s, 0.0)
        worst_s = max(age_s, self._gaps[0][1] if self._gaps else 0.0)
        observed_s = min(max(now_s - self._first_s, 0.0), RATE_WINDOW_S)
        measured_hz = len(self._arrivals_s) / observed_s if observed_s > 0 else 0.0
        state = self._judge(age_s, measured_hz, observed_s)
        return TopicHealth(self.spec.name, state, self.spec.rate_hz, measured_hz, age_s, worst_s)

    def _judge(self, age_s: float, measured_hz: float, observed_s: float) -> TopicState:
        if self.spec.rate_hz <= 0:
            return TopicState.ON_CHANGE
        if age_s > max(SILENT_AT_LEAST_S, SILENT_PERIODS / self.spec.rate_hz):
            return TopicState.SILENT
        # Two messages of a slow topic are no rate yet.
        known = observed_s >= RATE_WINDOW_S and self.spec.rate_hz * RATE_WINDOW_S >= SILENT_PERIODS
        return TopicState.SLOW if known and measured_hz < SLOW_BELOW * self.spec.rate_hz else TopicState.OK

    def _note_gap(self, end_s: float, gap_s: float) -> None:
        while self._gaps and self._gaps[-1][1] <= gap_s:
            self._gaps.pop()
        self._gaps.append((end_s, gap_s))

    def _forget(self, now_s: float) -> None:
        while self._arrivals_s and self._arrivals_s[0] <= now_s - RATE_WINDOW_S:
            self._arrivals_s.popleft()
        while self._gaps and self._gaps[0][0] <= now_s - WORST_WINDOW_S:
            self._gaps.popleft()


def worst_first(rows: Iterable[TopicHealth]) -> list[TopicHealth]:
    """Rows in the order of their urgency."""
    return sorted(rows, key=lambda row: row.state)
