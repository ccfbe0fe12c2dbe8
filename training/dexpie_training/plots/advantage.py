"""Advantages of a labelled dataset with their quantiles, and optimality against where the rows come from."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import tyro

from dexpie_training.advantage import OptimalityConfig, optimality
from dexpie_training.dataset import Dataset
from dexpie_training.plots.style import BLUE, INK, MUTED, ORANGE, check_out, dress, pyplot, save
from dexpie_training.returns import Floats, Ints
from dexpie_training.serial import from_dict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dexpie_training.labels import Labels

SOURCES: Final = ("demonstration", "intervention", "policy, episode succeeded", "policy, episode failed")
SOURCE_COLOURS: Final = ("#8a6d00", "#e8b93c", BLUE, ORANGE)
CLASSES: Final = 5  # of optimality, equally wide
CLASS_COLOURS: Final = ("#e6eaee", "#bfe0d5", "#7cc4ad", "#379079", "#00604a")
SHOWN_PERCENTILES: Final = (1.0, 99.0)
BINS: Final = 60


@dataclass(frozen=True)
class PlotAdvantageOptions:
    """Draw the advantages of a labelled dataset with their quantiles, and optimality against source."""

    dataset: Annotated[Path, tyro.conf.Positional]
    """dataset folder that was labelled"""
    labels: str
    """name of the labels, made by `dexpie label`"""
    out: Path
    """PNG file to be made; must not exist"""


def run_plot_advantage(options: PlotAdvantageOptions) -> Path:
    """Make the picture."""
    from dexpie_training.labels import Labels

    check_out(options.out)
    dataset = Dataset.open(options.dataset)
    labels = Labels.open(dataset, options.labels)
    return save(draw_advantage(labels, row_sources(dataset), str(dataset.meta["task"])), options.out)


def row_sources(dataset: Dataset) -> Ints:
    """Index into SOURCES of every row (N,): who decided it, and for the policy how the episode ended."""
    demonstration = np.array([e["kind"] == "demonstration" for e in dataset.episodes], dtype=bool)
    success = np.array([e["outcome"] == "success" for e in dataset.episodes], dtype=bool)
    by_policy = np.where(success, 2, 3)[dataset.episode]
    return np.where(demonstration[dataset.episode], 0, np.where(dataset.intervention, 1, by_policy))


def class_shares(scored: Floats, sources: Ints) -> Floats:
    """Shares of the classes of optimality by source, (len(SOURCES), CLASSES); NaN without rows."""
    classes = np.minimum((scored * CLASSES).astype(np.int64), CLASSES - 1)
    counts = np.zeros((len(SOURCES), CLASSES))
    np.add.at(counts, (sources, classes), 1.0)
    rows = counts.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(counts, rows, out=np.full_like(counts, np.nan), where=rows > 0)
    return shares


def draw_advantage(labels: "Labels", sources: Ints, task: str) -> "Figure":
    """Figure: mapping above the histogram at the left, optimality by source at the right."""
    figure: Figure = pyplot().figure(figsize=(10.0, 4.3), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.0, 2.4), width_ratios=(1.15, 1.0))
    mapping = figure.add_subplot(grid[0, 0])
    histogram = figure.add_subplot(grid[1, 0], sharex=mapping)
    _draw_mapping(mapping, labels)
    _draw_histogram(histogram, labels, sources)
    _draw_sources(figure.add_subplot(grid[:, 1]), labels, sources)
    dress(mapping, f"Advantages of {task}, labels {labels.meta['name']}", _subtitle(labels), grid="y")
    return figure


def _subtitle(labels: "Labels") -> str:
    config = labels.meta["config"]
    return f"{len(labels.advantage)} rows, N = {config['horizon_steps']} steps, {config['form']} optimality"


def _draw_mapping(axes: "Axes", labels: "Labels") -> None:
    config = from_dict(OptimalityConfig, labels.meta["config"])
    x = np.linspace(*_shown(labels.advantage), 400)
    for low, high in labels.meta["quantiles"].values():
        axes.plot(x, optimality(x, low, high, config), color=INK, linewidth=1.6)
        _mark(axes, (low, high))
    axes.set_ylim(-0.03, 1.08)
    axes.set_ylabel("optimality")
    axes.tick_params(labelbottom=False)


def _draw_histogram(axes: "Axes", labels: "Labels", sources: Ints) -> None:
    low, high = _shown(labels.advantage)
    shown = np.clip(labels.advantage, low, high)
    present = [i for i in range(len(SOURCES)) if np.any(sources == i)]
    axes.hist(
        [shown[sources == i] for i in present], bins=BINS, range=(low, high), stacked=True,
        color=[SOURCE_COLOURS[i] for i in present], label=[SOURCES[i] for i in present],
    )  # fmt: skip
    config, quantiles = labels.meta["config"], labels.meta["quantiles"]
    for pair in quantiles.values():
        _mark(axes, pair)
    if len(quantiles) == 1:
        whose = " of the human's" if config["quantiles_over"] == "human" else ""
        names = (f"{config['low_quantile']:g} quantile{whose} ", f" {config['high_quantile']:g}")
        for x, text, side in zip(*quantiles.values(), names, ("right", "left"), strict=True):
            top = axes.get_xaxis_transform()
            axes.text(x, 0.98, text, color=MUTED, transform=top, ha=side, va="top", fontsize=8)
    axes.set_xlabel("advantage (share of the longest episode; the outer bars hold all beyond)")
    axes.set_ylabel("rows")
    axes.legend(loc="center left", fontsize=8, bbox_to_anchor=(0.0, 0.62))
    dress(axes, grid="y")


def _shown(advantage: Floats) -> tuple[float, float]:
    """Range of the axis."""
    low, high = np.percentile(advantage, SHOWN_PERCENTILES)
    return float(low), float(high)


def _mark(axes: "Axes", quantiles: tuple[float, float]) -> None:
    for x in quantiles:
        axes.axvline(x, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))


def _draw_sources(axes: "Axes", labels: "Labels", sources: Ints) -> None:
    shares = 100.0 * class_shares(labels.scored, sources)
    present = [i for i in range(len(SOURCES)) if np.any(sources == i)]
    for place, index in enumerate(present):
        left = 0.0
        for share, colour in zip(shares[index], CLASS_COLOURS, strict=True):
            axes.barh(place, share, left=left, height=0.62, color=colour, linewidth=0)
            left += share
        rows = sources == index
        text = f"{SOURCES[index]}: {rows.sum()} rows, mean {labels.scored[rows].mean():.2f}"
        text += ", labelled 1" if labels.human[rows].all() else ""
        axes.text(0, place - 0.36, text, ha="left", va="bottom", fontsize=8.5, color=INK)
    for i, colour in enumerate(CLASS_COLOURS):
        axes.barh(0, 0, color=colour, label=f"{i / CLASSES:g} to {(i + 1) / CLASSES:g}")
    axes.set_xlim(0, 100)
    axes.set_ylim(len(present) - 0.5, -0.75)
    axes.set_yticks([])
    axes.set_xlabel("share of rows [%]")
    axes.spines["left"].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=CLASSES, fontsize=8, columnspacing=1.0)
    dress(axes, "Optimality by source, as scored by the critic")
