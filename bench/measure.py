"""Timing two ways of doing the same thing, in turn, and saying which is better by how much."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Result:
    """One benchmark. ratio > 1 means ours is better; None where there is no alternative."""

    name: str
    unit: str
    ours: float
    alternative: str | None = None
    theirs: float | None = None
    ratio: float | None = None
    details: str = ""


def seconds_a_call(function: Callable[[], object], budget_s: float = 0.25) -> float:
    """Mean time of a call over at least three calls and about budget_s."""
    calls, start = 0, time.perf_counter()
    while calls < 3 or time.perf_counter() - start < budget_s:
        function()
        calls += 1
    return (time.perf_counter() - start) / calls


def median_pair(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 5
) -> tuple[float, float]:
    """Median seconds a call of both, measured in turn so that a slow moment hits either."""
    ours(), theirs()
    pairs = [(seconds_a_call(ours), seconds_a_call(theirs)) for _ in range(rounds)]
    mine, other = np.median(np.array(pairs), axis=0)
    return float(mine), float(other)


def faster(name: str, ours_s: float, alternative: str, theirs_s: float, details: str = "") -> Result:
    """Result of two durations, in microseconds; the ratio says how many times faster ours is."""
    return Result(name, "us", ours_s * 1e6, alternative, theirs_s * 1e6, theirs_s / ours_s, details)
