"""Reliability of a critic on episodes that it did not see: value against the return that came, and order."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import numpy as np
import tyro

from dexpie_core.errors import UsageError
from dexpie_training.calibration import Calibration, calibration
from dexpie_training.checkpoint import find_checkpoint
from dexpie_training.dataset import Dataset
from dexpie_training.plots.style import BLUE, MUTED, ORANGE, check_out, dress, pyplot, save
from dexpie_training.returns import Bools, Floats, Ints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dexpie_training.critic_metrics import CriticMetrics

GROUPS: Final = 12
PHASES: Final = 25  # parts of an episode in the second panel


@dataclass(frozen=True)
class PlotReliabilityOptions:
    """Draw how far the values of a critic can be trusted on episodes that it did not see."""

    critic: Annotated[Path, tyro.conf.Positional]
    """run folder made by `dexpie train critic`"""
    out: Path
    """PNG file to be made; must not exist"""
    dataset: Path | None = None
    """the dataset that it was trained on, if it lies elsewhere now"""
    checkpoint: Literal["latest", "best"] = "latest"
    """which checkpoint of the run: the last, or the one with the lowest held-out loss"""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Rows (n,) of held-out episodes: value, return, episode, share of the episode gone, and its outcome."""

    title: str
    value: Floats
    returns: Floats
    episode: Ints
    gone: Floats
    success: Bools
    metrics: "CriticMetrics"


def run_plot_reliability(options: PlotReliabilityOptions) -> Path:
    """Make the picture."""
    check_out(options.out)
    return save(draw_reliability(_held_out(options)), options.out)


def _held_out(options: PlotReliabilityOptions) -> HeldOut:
    from dexpie_training.critic_config import CriticConfig
    from dexpie_training.critic_data import CriticData
    from dexpie_training.critic_metrics import critic_metrics
    from dexpie_training.critic_training import load_critics, predict

    checkpoint = find_checkpoint(options.critic, options.checkpoint)
    config = checkpoint.config_of("critic", CriticConfig)
    dataset = Dataset.open(options.dataset or Path(checkpoint.meta["dataset"]["path"]))
    if checkpoint.meta["dataset"]["content_sha256"] != dataset.content_hash:
        raise UsageError(f"--dataset {dataset.path}: is not the one that {options.critic} was trained on")
    unseen = np.array(checkpoint.meta["unseen_by"], dtype=np.int64)
    if not np.any(unseen >= 0):
        raise UsageError(f"{options.critic}: has seen every episode; train with --crossfit or --held-out")
    data = CriticData.prepare(dataset, config, unseen)
    found = predict(load_critics(checkpoint, data), data, np.arange(len(dataset)))
    layout = data.layout
    metrics = critic_metrics(
        found.value, data.returns, found.cross_entropy, found.floor, layout, unseen >= 0
    )  # fmt: skip
    rows = data.held_out_rows
    last = np.repeat(layout.lengths - 1, layout.lengths)
    gone = 1.0 - layout.steps_left / np.maximum(last, 1)
    return HeldOut(
        title=f"Reliability of {options.critic.resolve().name}, {dataset.meta['task']}",
        value=found.value[rows],
        returns=data.returns[rows],
        episode=layout.episode[rows],
        gone=gone[rows],
        success=layout.success[layout.episode[rows]],
        metrics=metrics,
    )


def draw_reliability(held_out: HeldOut) -> "Figure":
    """Figure of two panels."""
    figure: Figure = pyplot().figure(figsize=(9.6, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.25))
    found = calibration(held_out.value, held_out.returns, held_out.episode, GROUPS)
    _draw_calibration(left, found)
    dress(left, held_out.title, f"mean distance from the diagonal {found.error:.3f}", grid="y")
    _draw_phases(right, held_out)
    dress(right, "Value along held-out episodes, quartiles", _order_text(held_out.metrics), grid="y")
    return figure


def _order_text(metrics: "CriticMetrics") -> str:
    figures = {"Kendall tau": metrics.kendall_tau, "AUC end": metrics.end_auc, "late": metrics.late_auc}
    said = [f"{name} {value:.3f}" for name, value in figures.items() if value is not None]
    return ", ".join([f"{metrics.episodes} episodes", *said])


def _draw_calibration(axes: "Axes", found: Calibration) -> None:
    axes.plot([-1, 0], [-1, 0], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    distance = np.abs(np.stack([found.returns - found.low, found.high - found.returns]))
    axes.errorbar(
        found.value, found.returns, yerr=distance, fmt="o", color=BLUE, markersize=5, capsize=3, linewidth=1.2
    )
    axes.set_xlim(-1.03, 0.03)
    axes.set_ylim(-1.03, 0.03)
    axes.set_aspect("equal")
    axes.set_xlabel("value by the critic (normalised)")
    axes.set_ylabel("mean return that came, 95 % interval")


def _draw_phases(axes: "Axes", held_out: HeldOut) -> None:
    phase = np.minimum((held_out.gone * PHASES).astype(np.int64), PHASES - 1)
    middles = 100.0 * (np.arange(PHASES) + 0.5) / PHASES
    for success, colour, name in ((True, BLUE, "success"), (False, ORANGE, "failure")):
        rows = held_out.success == success
        if not rows.any():
            continue
        parts = [held_out.value[rows & (phase == p)] for p in range(PHASES)]
        x = middles[[len(part) > 0 for part in parts]]
        low, middle, high = np.array([np.percentile(p, (25, 50, 75)) for p in parts if len(p)]).T
        count = len(np.unique(held_out.episode[rows]))
        axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
        axes.plot(x, middle, color=colour, linewidth=1.8, label=f"{name} ({count} episodes)")
    axes.set_xlim(0, 100)
    axes.set_ylim(-1.03, 0.03)
    axes.set_xlabel("part of the episode gone [%]")
    axes.set_ylabel("value by the critic (normalised)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=8)
