"""How good a critic is on episodes that it did not see: error, and order."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dexpie_training.returns import Bools, EpisodeLayout, Floats

LATE_SHARE = 0.2  # of an episode's rows


@dataclass(frozen=True)
class CriticMetrics:
    """Figures over held-out episodes; None where there is nothing to measure them on."""

    episodes: int
    rows: int
    cross_entropy: float | None
    """mean over rows; the targets' own entropy is its floor"""
    cross_entropy_floor: float | None
    value_error: float | None
    """mean absolute difference of value and normalised return"""
    value_error_success: float | None
    """the same over successful episodes alone"""
    kendall_tau: float | None
    """of value against time, mean over successful episodes"""
    kendall_tau_lowest: float | None
    """of the successful episode that it orders worst"""
    end_auc: float | None
    """probability that the last row of a success is valued above that of a failure"""
    late_auc: float | None
    """the same of a row of the last fifth: failures that are still to come count too"""

    def to_json(self) -> dict[str, Any]:
        """As a dictionary."""
        return asdict(self)

    def __str__(self) -> str:
        shown = {
            "cross-entropy": self.cross_entropy,
            "value error": self.value_error,
            "Kendall tau": self.kendall_tau,
            "end AUC": self.end_auc,
            "late AUC": self.late_auc,
        }
        figures = [f"{name} {value:.3f}" for name, value in shown.items() if value is not None]
        return f"{self.episodes} held-out episodes: " + (", ".join(figures) or "nothing to measure")


def critic_metrics(
    values: Floats,
    returns: Floats,
    entropy: Floats,
    floor: Floats,
    layout: EpisodeLayout,
    held_out: Bools,
) -> CriticMetrics:
    """Metrics over the episodes held_out (E,) of rows (N,): values, normalised returns, cross-entropies."""
    of_success = layout.success & held_out
    rows, success_rows = np.repeat(held_out, layout.lengths), np.repeat(of_success, layout.lengths)
    error = np.abs(values - returns)
    taus = [episode_tau(values[s]) for s in _slices(layout, of_success)]
    taus = [tau for tau in taus if np.isfinite(tau)]
    return CriticMetrics(
        episodes=int(held_out.sum()),
        rows=int(rows.sum()),
        cross_entropy=_mean(entropy[rows]),
        cross_entropy_floor=_mean(floor[rows]),
        value_error=_mean(error[rows]),
        value_error_success=_mean(error[success_rows]),
        kendall_tau=_mean(np.array(taus)),
        kendall_tau_lowest=min(taus, default=None),
        end_auc=auc(values[layout.last_rows[held_out]], layout.success[held_out]),
        late_auc=late_auc(values, layout, held_out),
    )


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _slices(layout: EpisodeLayout, chosen: Bools) -> list[slice]:
    last = layout.last_rows[chosen]
    return [slice(end - n + 1, end + 1) for end, n in zip(last, layout.lengths[chosen], strict=True)]


def episode_tau(values: Floats) -> float:
    """Kendall's tau-b of one episode's values (T,) against time; NaN where it is not defined."""
    from scipy.stats import kendalltau  # takes a second to import, and `--help` does not need it

    return float(kendalltau(np.arange(len(values)), values).statistic)


def late_auc(values: Floats, layout: EpisodeLayout, chosen: Bools) -> float | None:
    """Area under the ROC curve over the last fifths of the chosen episodes (E,), success against failure."""
    left = layout.steps_left / np.repeat(layout.lengths, layout.lengths)
    rows = (left < LATE_SHARE) & np.repeat(chosen, layout.lengths)
    success = np.repeat(layout.success, layout.lengths)[rows]
    return auc(values[rows], success)


def auc(scores: Floats, positive: Bools) -> float | None:
    """Probability that a positive scores above a negative, ties counting half (Mann and Whitney)."""
    from scipy.stats import rankdata

    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return None
    return float((rankdata(scores)[positive].sum() - n * (n + 1) / 2) / (n * m))
