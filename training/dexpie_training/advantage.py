"""N-step advantages and the optimality that is made of them (paper 4.3, equation 7, and A.3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit

from dexpie_core.errors import DexpieError
from dexpie_training.returns import Bools, EpisodeLayout, Floats, Ints

PastEnd = Literal["rewards", "last_value"]
AtTakeover = Literal["cross", "stop"]
Form = Literal["continuous", "binary"]
WindowRule = Literal["first_step", "majority"]
QuantilesOver = Literal["dataset", "task", "human"]


@dataclass(frozen=True)
class OptimalityConfig:
    """From values to optimality."""

    horizon_steps: int = 24
    """N of the advantage [steps]"""
    past_end: PastEnd = "rewards"
    """where t + N is past the end: the rewards that exist, no bootstrap; or the last row's value (release)"""
    at_takeover: AtTakeover = "cross"
    """where a human takes over within N steps: what he does counts too (paper), or the steps stop there"""
    low_quantile: float = 0.6
    """quantile of the advantages where optimality is 0.5; what the binary form asks to be exceeded"""
    high_quantile: float = 0.8
    """quantile of the advantages where optimality is sigmoid(slope)"""
    quantiles_over: QuantilesOver = "dataset"
    """rows that quantiles are taken over: all, those of each task, or those that a human decided"""
    form: Form = "continuous"
    """continuous: a sigmoid (DexPIE); binary: 0 or 1 (RECAP)"""
    slope: float = 5.0
    """alpha of the sigmoid"""

    def __post_init__(self) -> None:
        if self.horizon_steps < 1:
            raise ValueError(f"horizon_steps {self.horizon_steps} must be at least 1")
        if not 0.0 <= self.low_quantile < self.high_quantile <= 1.0:
            raise ValueError(
                f"low_quantile {self.low_quantile} must be below high_quantile {self.high_quantile}, "
                "both in [0, 1]"
            )
        if self.slope <= 0.0:
            raise ValueError(f"slope {self.slope} must be positive")


def n_step_advantage(
    values: Floats,
    reward: Floats,
    layout: EpisodeLayout,
    horizon: int,
    divisor: float,
    past_end: PastEnd = "rewards",
    human: Bools | None = None,
) -> Floats:
    """A_t (N,) = sum of the next `horizon` rewards / divisor + V(t + horizon) - V(t).

    values (N,) are normalised, reward (N,) is in steps. Past the end of the episode: the rewards that
    exist, the terminal one included, and no value (exact). `last_value` is the release's rule instead:
    rewards up to the last row, and the value of that row.

    human (N,): rows that a human decided, whose doing is not to the policy's credit. Where he takes over
    within the horizon of a policy's step, it is that of the last `horizon` steps before the takeover, or of
    as many as the policy has made since it drives.
    """
    last = np.repeat(layout.last_rows, layout.lengths)
    begin = np.arange(layout.rows)
    end = np.minimum(begin + horizon, last + 1 if past_end == "rewards" else last)
    if human is not None:
        takeover, driving = _policy_stretches(human, layout)
        crossed = ~human & (takeover < end)
        begin = np.where(crossed, np.maximum(takeover - horizon, driving), begin)
        end = np.where(crossed, takeover, end)
    before = np.concatenate([[0.0], np.cumsum(reward)])  # exact: whole numbers below 2^53
    bootstrap = np.where(end <= last, values[np.minimum(end, last)], 0.0)
    advantage: Floats = (before[end] - before[begin]) / divisor + bootstrap - values[begin]
    return advantage


def _policy_stretches(human: Bools, layout: EpisodeLayout) -> tuple[Ints, Ints]:
    """Of each row (N,): the first row from it on that a human decided, and since which row none has.

    The first may lie in a later episode, or be N.
    """
    rows = np.arange(layout.rows)
    takeover = np.minimum.accumulate(np.where(human, rows, layout.rows)[::-1])[::-1]
    first = np.repeat(layout.last_rows + 1 - layout.lengths, layout.lengths)
    return takeover, np.maximum(np.maximum.accumulate(np.where(human, rows + 1, 0)), first)


def quantiles(advantage: Floats, config: OptimalityConfig, name: str = "all rows") -> tuple[float, float]:
    """(q_low, q_high) of advantages (N,), linearly interpolated; equal ones are an error."""
    low, high = np.quantile(advantage, [config.low_quantile, config.high_quantile])
    if not high > low:
        raise DexpieError(
            f"the {config.low_quantile:g} and {config.high_quantile:g} quantiles of the advantages over "
            f"{name} are both {low:.6g}: the critic does not tell rows apart; train it longer or add failures"
        )
    return float(low), float(high)


def optimality(advantage: Floats, q_low: float, q_high: float, config: OptimalityConfig) -> Floats:
    """Optimality (N,) in [0, 1] of advantages: 0.5 at q_low, sigmoid(slope) at q_high; or binary."""
    if config.form == "binary":
        return (advantage > q_low).astype(np.float64)
    shared: Floats = expit(config.slope * (advantage - q_low) / (q_high - q_low))
    return shared


def window_optimality(scored: Floats, human: Bools, window_rows: Ints, rule: WindowRule) -> Floats:
    """Optimality (B,) of training windows, rows window_rows (B, H) each.

    scored (N,): what the advantages alone say; human (N,): rows that a human decided, whose optimality
    is 1. `first_step`: that of the window's first row. `majority`: 1 where more than half of the steps are
    a human's, else what the first row's advantage says.
    """
    first = window_rows[:, 0]
    if rule == "first_step":
        by_human = human[first]
    else:
        by_human = human[window_rows].mean(axis=1) > 0.5
    return np.where(by_human, 1.0, scored[first])


@dataclass(frozen=True, eq=False)
class Optimality:
    """Per row (N,): value, advantage, what the advantage says, who decided, and the label."""

    value: Floats
    advantage: Floats
    scored: Floats  # optimality before the rule for human steps
    human: Bools
    quantiles: dict[str, tuple[float, float]]  # task, "all rows" or "human rows": (q_low, q_high)

    @property
    def optimality(self) -> Floats:
        """Demonstrations and human steps: 1."""
        return np.where(self.human, 1.0, self.scored)


def label_rows(
    values: Floats,
    reward: Floats,
    divisor: float,
    layout: EpisodeLayout,
    human: Bools,
    tasks: list[str],
    config: OptimalityConfig,
) -> Optimality:
    """Labels of all rows, from values (N,), rewards (N,), human rows (N,) and the tasks of E episodes."""
    others = human if config.at_takeover == "stop" else None
    advantage = n_step_advantage(
        values, reward, layout, config.horizon_steps, divisor, config.past_end, others
    )
    scored = np.empty_like(advantage)
    found: dict[str, tuple[float, float]] = {}
    for name, rows, compared in _groups(layout, tasks, human, config.quantiles_over):
        found[name] = quantiles(advantage[compared], config, name)
        scored[rows] = optimality(advantage[rows], *found[name], config)
    return Optimality(values, advantage, scored, human, found)


def _groups(
    layout: EpisodeLayout, tasks: list[str], human: Bools, over: QuantilesOver
) -> Iterator[tuple[str, Bools | slice, Bools | slice]]:
    """Name, rows to be scored, and the rows whose quantiles they are compared with."""
    everything = slice(None)
    if over == "dataset":
        yield "all rows", everything, everything
    elif over == "human":
        if not human.any():
            raise DexpieError(
                "no row was decided by a human, nothing to compare with; give --quantiles-over dataset"
            )
        yield "human rows", everything, human
    else:
        names = np.array(tasks)
        for name in dict.fromkeys(tasks):
            of_task = np.repeat(names == name, layout.lengths)
            yield name, of_task, of_task
