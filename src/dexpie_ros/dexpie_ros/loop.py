"""A fixed-rate loop on an absolute schedule, and what its timing was."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LoopTiming:
    """Period of a loop over its newest cycles, milliseconds, and the cycles that were skipped in all."""

    cycles: int
    overruns: int
    period_p50_ms: float
    period_p99_ms: float
    period_max_ms: float
    work_p50_ms: float
    work_p99_ms: float

    def __str__(self) -> str:
        return (
            f"{self.cycles} cycles, period p50 {self.period_p50_ms:.2f} p99 {self.period_p99_ms:.2f} "
            f"max {self.period_max_ms:.2f} ms, "
            f"work p50 {self.work_p50_ms:.2f} p99 {self.work_p99_ms:.2f} ms, "
            f"{self.overruns} skipped"
        )


class RateLoop:
    """Calls `work` at start + k / rate_hz, never earlier; skips and counts the times that have passed."""

    def __init__(self, rate_hz: float, work: Callable[[], None], *, history: int = 30_000) -> None:
        self._period_ns = round(1e9 / rate_hz)
        self._work = work
        self._stop = threading.Event()
        self._starts_ns: deque[int] = deque(maxlen=history)
        self._work_ns: deque[int] = deque(maxlen=history)
        self.cycles = 0
        self.overruns = 0

    def stop(self) -> None:
        """Make `run` return after the cycle it is in; may be called from any thread or signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Run until `stop`."""
        due_ns = time.monotonic_ns()
        while not self._stop.is_set():
            delay_s = (due_ns - time.monotonic_ns()) * 1e-9
            if delay_s > 0:
                time.sleep(delay_s)
            begun_ns = time.monotonic_ns()
            self._work()
            ended_ns = time.monotonic_ns()
            self._starts_ns.append(begun_ns)
            self._work_ns.append(ended_ns - begun_ns)
            self.cycles += 1
            due_ns += self._period_ns
            if ended_ns > due_ns + self._period_ns:
                missed = (ended_ns - due_ns) // self._period_ns
                self.overruns += missed
                due_ns += missed * self._period_ns

    def timing(self, newest: int | None = None) -> LoopTiming:
        """Statistics over the newest cycles (all that are kept, by default)."""
        starts, work = list(self._starts_ns), list(self._work_ns)
        if newest is not None:
            starts, work = starts[-newest:], work[-newest:]
        if len(starts) < 2:
            return LoopTiming(self.cycles, self.overruns, 0.0, 0.0, 0.0, 0.0, 0.0)
        period_ms = np.diff(np.asarray(starts)) * 1e-6
        work_ms = np.asarray(work) * 1e-6
        return LoopTiming(
            self.cycles,
            self.overruns,
            *(float(v) for v in np.percentile(period_ms, (50, 99, 100))),
            *(float(v) for v in np.percentile(work_ms, (50, 99))),
        )
