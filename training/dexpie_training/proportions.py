"""Success rates and paired differences of them: intervals of Wilson and Newcombe, McNemar's exact test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Z_95: Final = 1.959963984540054  # 97.5 % quantile of the normal distribution


def wilson_interval(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927); z = 1.96 for 95 %."""
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    p, z2 = successes / trials, z * z
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = z / (1 + z2 / trials) * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials))
    low = 0.0 if successes == 0 else max(0.0, centre - half)  # exact at the ends, free of rounding
    return low, 1.0 if successes == trials else min(1.0, centre + half)


@dataclass(frozen=True)
class PairedCounts:
    """What n trials, each done by a first and a second method, came to."""

    both: int
    first_only: int
    second_only: int
    neither: int

    def __post_init__(self) -> None:
        counts = (self.both, self.first_only, self.second_only, self.neither)
        if min(counts) < 0 or sum(counts) < 1:
            raise ValueError(f"counts {counts} of paired trials must not be negative, nor all be 0")

    @classmethod
    def of(cls, first: Sequence[bool], second: Sequence[bool]) -> "PairedCounts":
        """Count successes of trials in the same order."""
        pairs = list(zip(first, second, strict=True))
        kinds = ((True, True), (True, False), (False, True), (False, False))
        return cls(*map(pairs.count, kinds))

    @property
    def trials(self) -> int:
        """n."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def difference(self) -> float:
        """Success rate of the first minus that of the second."""
        return (self.first_only - self.second_only) / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference."""
        return newcombe_paired_interval(self)

    @property
    def p_value(self) -> float:
        """Of McNemar's exact test."""
        return mcnemar_exact(self.first_only, self.second_only)


def newcombe_paired_interval(counts: PairedCounts, z: float = Z_95) -> tuple[float, float]:
    """Interval of a difference of paired proportions.

    Wilson's intervals of both rates, squared and added, less the correlation phi of the outcomes (Newcombe
    1998, Statistics in Medicine 17:2635, method 10).
    """
    n = counts.trials
    first, second = counts.both + counts.first_only, counts.both + counts.second_only
    p1, p2 = first / n, second / n
    (l1, u1), (l2, u2) = wilson_interval(first, n, z), wilson_interval(second, n, z)
    phi = _correlation(counts)
    below = _combined(p1 - l1, u2 - p2, phi)
    above = _combined(u1 - p1, p2 - l2, phi)
    return max(-1.0, p1 - p2 - below), min(1.0, p1 - p2 + above)


def mcnemar_exact(first_only: int, second_only: int) -> float:
    """Two-sided p value of McNemar's exact test, from the trials that only one of the methods does."""
    discordant = first_only + second_only
    fewer = min(first_only, second_only)
    if fewer < 0:
        raise ValueError(f"counts {first_only} and {second_only} must not be negative")
    tail = sum(math.comb(discordant, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << discordant))


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for their number (Holm 1979), in the same order."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _correlation(counts: PairedCounts) -> float:
    """Phi of the two outcomes; a positive one is taken n / 2 smaller in its numerator, but not below 0."""
    a, b, c, d = counts.both, counts.first_only, counts.second_only, counts.neither
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if margins == 0:
        return 0.0
    numerator: float = a * d - b * c
    if numerator > 0:
        numerator = max(0.0, numerator - counts.trials / 2)
    return numerator / math.sqrt(margins)


def _combined(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))
