"""Rewards, returns to go and the soft targets of the critic (paper 4.3, equations 4, 5 and 9).

Rows of all episodes lie one after another in flat arrays (N,), episode by episode, at 25 Hz. A row is a
step: rows that the conversion left out are not counted.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dexpie_core.errors import DexpieError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
FailureReturn = Literal["clip", "decay", "unclipped"]


@dataclass(frozen=True)
class ReturnConfig:
    """What an episode is worth, in shares of the task's longest episode."""

    max_length_steps: int = 0
    """L, the task's longest episode and the cost of a failure [steps]; 0: the dataset's longest episode"""
    failure_return: FailureReturn = "clip"
    """failures: clipped at -1 (paper), cost decaying backwards (release), or divided by 2 L without a clip"""
    failure_decay: float = 0.99
    """factor a step of `decay`"""

    def __post_init__(self) -> None:
        if self.max_length_steps < 0:
            raise ValueError(f"max_length_steps {self.max_length_steps} must not be negative")
        if not 0.0 < self.failure_decay <= 1.0:
            raise ValueError(f"failure_decay {self.failure_decay} must be in (0, 1]")

    @property
    def divisor(self) -> float:
        """What rewards and returns are divided by: L, or L + C_fail = 2 L without the clip."""
        return self.max_length_steps * (2.0 if self.failure_return == "unclipped" else 1.0)


@dataclass(frozen=True, eq=False)
class EpisodeLayout:
    """Where E episodes lie in flat arrays of N rows, without a gap between them, and how they ended."""

    lengths: Ints  # (E,) rows, each at least 1
    success: Bools  # (E,)

    def __post_init__(self) -> None:
        if len(self.lengths) != len(self.success) or np.any(self.lengths < 1):
            raise ValueError("every episode needs an outcome and at least one row")

    @property
    def rows(self) -> int:
        """N."""
        return int(self.lengths.sum())

    @property
    def last_rows(self) -> Ints:
        """Row of every episode's last step T, (E,)."""
        return np.cumsum(self.lengths) - 1

    @property
    def episode(self) -> Ints:
        """Episode of every row, (N,)."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def steps_left(self) -> Ints:
        """T - t of every row, (N,)."""
        left: Ints = np.repeat(self.last_rows, self.lengths) - np.arange(self.rows)
        return left


def with_length(config: ReturnConfig, layout: EpisodeLayout) -> ReturnConfig:
    """The configuration with L filled in; an episode longer than a given L is refused."""
    longest = int(layout.lengths.max(initial=0))
    if config.max_length_steps and longest > config.max_length_steps:
        raise DexpieError(
            f"--max-length-steps {config.max_length_steps} is less than the longest episode, {longest} steps"
        )
    length = config.max_length_steps or longest
    return ReturnConfig(length, config.failure_return, config.failure_decay)


def rewards(layout: EpisodeLayout, config: ReturnConfig) -> Floats:
    """Rewards (N,) in steps, not normalised: -1; at T 0 on success and -L on failure (equation 9)."""
    reward = np.full(layout.rows, -1.0)
    reward[layout.last_rows] = np.where(layout.success, 0.0, -float(config.max_length_steps))
    return reward


def returns_to_go(layout: EpisodeLayout, config: ReturnConfig) -> Floats:
    """Normalised returns to go (N,) in [-1, 0], what the critic learns; gamma = 1.

    success: -(T-t) / L. failure: (-(T-t) - L) / L clipped at -1, which is -1 everywhere (`clip`);
    (-(T-t) - L g^(T-t)) / L clipped at -1 (`decay`); (-(T-t) - L) / 2 L (`unclipped`).
    """
    left = layout.steps_left.astype(np.float64)
    cost = np.where(np.repeat(layout.success, layout.lengths), 0.0, float(config.max_length_steps))
    if config.failure_return == "decay":
        cost *= config.failure_decay**left
    return np.clip((-left - cost) / config.divisor, -1.0, 0.0)


@dataclass(frozen=True)
class ValueBins:
    """The grid of values over [-1, 0] and the width of a soft target on it (equation 4)."""

    count: int = 201
    """bins B; v_b = -1 + b / (B - 1)"""
    sigma: float = 0.005
    """standard deviation of a target, in normalised return (one bin)"""
    centre: Literal["exact", "floor"] = "exact"
    """centre of a target: the return itself (paper), or the bin below it (release; half a bin too low)"""

    def __post_init__(self) -> None:
        if self.count < 2 or self.sigma <= 0.0:
            raise ValueError(f"value bins need count >= 2 and sigma > 0, got {self.count} and {self.sigma}")

    @property
    def values(self) -> Floats:
        """v_b (B,), ascending."""
        return np.linspace(-1.0, 0.0, self.count)

    def centres(self, returns: Floats) -> Floats:
        """Centres of the targets of normalised returns, same shape."""
        if self.centre == "exact":
            return returns
        # The slack keeps a return that lies on a bin from falling to the one below by rounding.
        below: Floats = np.floor((returns + 1.0) * (self.count - 1) + 1e-9)
        return below / (self.count - 1) - 1.0

    def soft_targets(self, returns: Floats) -> Floats:
        """Target distributions q (..., B) of normalised returns (...), each summing to 1."""
        exponent = -0.5 * ((self.values - self.centres(returns)[..., None]) / self.sigma) ** 2
        weight = np.exp(exponent - exponent.max(axis=-1, keepdims=True))
        target: Floats = weight / weight.sum(axis=-1, keepdims=True)
        return target

    def expectation(self, probabilities: Floats) -> Floats:
        """Values (...) of distributions (..., B)."""
        value: Floats = np.matmul(probabilities, self.values)
        return value
