"""How long inference takes: its distribution, the delay that it predicts, and whether that fits the schedule.

The prediction is never used to skip steps of a chunk: what is skipped is what was consumed
(chunk_schedule). It tells beforehand whether chunks will come in time.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from dexpie_core.chunk_schedule import ScheduleConfig

WINDOW: Final = 1000
TAIL_PERCENT: Final = 99.0


@dataclass(frozen=True)
class Latency:
    """Percentiles of a number of measured durations, in seconds."""

    count: int
    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float


class LatencyTracker:
    """The newest durations from a request to its chunk."""

    def __init__(self, window: int = WINDOW) -> None:
        self._durations_s: deque[float] = deque(maxlen=window)

    def add(self, duration_s: float) -> None:
        """One more."""
        self._durations_s.append(duration_s)

    def clear(self) -> None:
        """Forget them: another policy is used from now on."""
        self._durations_s.clear()

    def latency(self) -> Latency | None:
        """Their distribution, None before the first one."""
        if not self._durations_s:
            return None
        p50, p90, p99, worst = np.percentile(list(self._durations_s), (50, 90, TAIL_PERCENT, 100))
        return Latency(len(self._durations_s), float(p50), float(p90), float(p99), float(worst))


def delay_ticks(duration_s: float, rate_hz: float) -> int:
    """Ticks until a chunk that takes so long is there, the first tick that can use it counted; at least 1."""
    return max(1, math.ceil(duration_s * rate_hz - 1e-9))


def budget_advice(p99_s: float, trained_delay: int, schedule: ScheduleConfig, rate_hz: float) -> str:
    """One line that says what to change where inference does not fit n ticks; empty where it does.

    trained_delay: the longest prefix that the policy was trained with. No advice for a synchronous
    schedule, which waits.
    """
    needed, n, horizon = delay_ticks(p99_s, rate_hz), schedule.max_delay, schedule.horizon
    if schedule.synchronous or needed <= n:
        return ""
    found = f"inference takes {1e3 * p99_s:.0f} ms (p99) of the {1e3 * n / rate_hz:.0f} ms of max_delay {n}"
    smaller = "use a smaller preset"
    if 2 * needed > horizon:
        return f"{found}: {smaller}; no max_delay of a chunk of {horizon} steps is enough"
    longer = f"max_delay {needed}"
    executed = min(max(schedule.execution_horizon, needed), horizon - needed)
    if executed != schedule.execution_horizon:
        longer += f" with execution_horizon {executed}"
    if needed > trained_delay:
        longer += f" (and a policy trained for it, this one was for {trained_delay})"
    return f"{found}: {smaller}, or give the executor {longer}"
