"""How well the executor kept its time in a recorded episode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LoopTiming:
    """Periods of /executor/action by its stamps (ms), and what the policy did meanwhile."""

    ticks: int
    rate_hz: float
    period_p50_ms: float
    period_p99_ms: float
    period_max_ms: float
    starved_ticks: int
    clamped_ticks: int
    chunks: int
    inference_p50_ms: float
    inference_max_ms: float


def loop_timing(bags: list[Path]) -> LoopTiming:
    """Over the executor actions and chunks of these bags; periods are taken within each bag."""
    import numpy as np

    from dexpie_bags.reader import BagReader
    from dexpie_core import messages
    from dexpie_core.topics import EXECUTED_ACTION, POLICY_CHUNK

    periods: list[float] = []
    inference: list[float] = []
    ticks = starved = clamped = 0
    for bag in bags:
        stamps_ns: list[int] = []
        with BagReader(bag) as reader:
            wanted = [t.name for t in (EXECUTED_ACTION, POLICY_CHUNK) if t.name in reader.topics]
            for record in reader.messages(wanted):
                message = record.message
                if record.topic == POLICY_CHUNK.name:
                    inference += [1e3 * message.inference_s] if message.poses else []
                    continue
                stamps_ns.append(messages.stamp_ns(message))
                starved += bool(message.starved)
                clamped += bool(message.clamped)
        ticks += len(stamps_ns)
        periods += list(1e-6 * np.diff(stamps_ns))
    p50, p99, worst = (
        (float(v) for v in np.percentile(periods, (50, 99, 100))) if periods else (0.0, 0.0, 0.0)
    )
    i50, i100 = (float(v) for v in np.percentile(inference, (50, 100))) if inference else (0.0, 0.0)
    rate = 1e3 / float(np.mean(periods)) if periods else 0.0
    return LoopTiming(ticks, rate, p50, p99, worst, starved, clamped, len(inference), i50, i100)
