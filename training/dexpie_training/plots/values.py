"""Value over time of episodes, with camera, modes, task steps and optimality (paper, Figures 7, 12)."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import tyro
from numpy.typing import NDArray

from dexpie_core import topics
from dexpie_core.errors import UsageError
from dexpie_training.dataset import Dataset
from dexpie_training.plots.bands import bare, mode_band, stage_band
from dexpie_training.plots.strip import episode_title
from dexpie_training.plots.style import BLUE, GRID, INK, MUTED, ORANGE, check_out, dress, pyplot, save
from dexpie_training.returns import Floats, ReturnConfig, returns_to_go
from dexpie_training.serial import from_dict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure

    from dexpie_training.labels import Labels

WIDTH_IN: Final = 9.6
VALUE_IN, BAND_IN, IMAGE_IN, TITLE_IN = 1.7, 0.22, 0.85, 0.45
StepNames = Callable[[Dataset, int], tuple[str, ...]]
"""Names of the task's step at every row of an episode of a dataset; empty where nobody knows."""
PicturesOf = Callable[[Dataset, int, Floats], NDArray[np.uint8] | None]
"""Pictures (n, h, w, 3) of an episode of a dataset without images, at times (n,) since its start, s."""


@dataclass(frozen=True)
class PlotValuesOptions:
    """Draw the critic's value over time of some episodes, with what the camera saw and who drove."""

    dataset: Annotated[Path, tyro.conf.Positional]
    """dataset folder that was labelled"""
    labels: str
    """name of the labels, made by `dexpie label`"""
    out: Path
    """PNG file to be made; must not exist"""
    episodes: tuple[int, ...] = ()
    """which episodes, from 0 (default: a success and a failure of the policy, and one with a takeover)"""
    camera: str = "front"
    """front or wrist; no images are drawn where the dataset has none"""
    frames: int = 8
    """images an episode"""


def run_plot_values(
    options: PlotValuesOptions, steps_of: StepNames | None = None, pictures_of: PicturesOf | None = None
) -> Path:
    """Make the picture; `steps_of` and `pictures_of` tell what the dataset does not hold."""
    from dexpie_training.critic_data import episode_layout
    from dexpie_training.labels import Labels

    check_out(options.out)
    if options.camera not in topics.CAMERAS:
        raise UsageError(f"--camera {options.camera} must be one of {', '.join(topics.CAMERAS)}")
    if options.frames < 1:
        raise UsageError(f"--frames {options.frames} must be at least 1")
    dataset = Dataset.open(options.dataset)
    chosen = options.episodes or choose_episodes(dataset)
    for index in chosen:
        if not 0 <= index < len(dataset.episodes):
            raise UsageError(f"--episodes {index}: {options.dataset} has {len(dataset.episodes)} episodes")
        if dataset.lengths[index] < 2:
            raise UsageError(f"--episodes {index}: has one row, there is no time to draw over")
    labels = Labels.open(dataset, options.labels)
    returns = returns_to_go(
        episode_layout(dataset), from_dict(ReturnConfig, labels.meta["critic"]["returns"])
    )
    views = [_view(dataset, labels, returns, index, options, steps_of, pictures_of) for index in chosen]
    return save(draw_values(views), options.out)


def choose_episodes(dataset: Dataset) -> tuple[int, ...]:
    """A success and a failure of the policy alone, and a rollout with a takeover, where there are such."""
    human = np.bincount(dataset.episode, dataset.intervention, minlength=len(dataset.episodes)) > 0
    rollouts = [i for i, e in enumerate(dataset.episodes) if e["kind"] == "rollout"]
    wanted = (
        [i for i in rollouts if not human[i] and dataset.episodes[i]["outcome"] == "success"],
        [i for i in rollouts if not human[i] and dataset.episodes[i]["outcome"] == "failure"],
        [i for i in rollouts if human[i]],
    )
    return tuple(found[0] for found in wanted if found) or (0,)


@dataclass(frozen=True, eq=False)
class ValueView:
    """One episode of T rows as it is drawn; images (n, h, w, 3), None where the dataset has none."""

    title: str
    times_s: Floats
    value: Floats
    returns: Floats
    scored: Floats
    modes: NDArray[np.uint8]
    human: NDArray[np.bool_]
    steps: tuple[str, ...]
    images: NDArray[np.uint8] | None

    @property
    def height_in(self) -> float:
        """Height of its part of the figure."""
        bands = 2 + bool(self.steps)
        return TITLE_IN + VALUE_IN + bands * (BAND_IN + 0.06) + (0 if self.images is None else IMAGE_IN)


def _view(
    dataset: Dataset,
    labels: "Labels",
    returns: Floats,
    index: int,
    options: PlotValuesOptions,
    steps_of: StepNames | None,
    pictures_of: PicturesOf | None,
) -> ValueView:
    rows = dataset.episode_rows(index)
    times_s = (dataset.stamp_ns[rows] - dataset.stamp_ns[rows.start]) * 1e-9
    pictures = None
    middles_s = (np.arange(options.frames) + 0.5) / options.frames * times_s[-1]
    if options.camera in dataset.frames:
        shown = np.clip(np.searchsorted(times_s, middles_s), 0, len(times_s) - 1)
        pictures = np.asarray(dataset.frames[options.camera][rows.start + shown])
    elif pictures_of is not None:
        pictures = pictures_of(dataset, index, middles_s)
    return ValueView(
        title=f"Episode {index}, {episode_title(dataset.episodes[index], times_s[-1])}",
        times_s=times_s,
        value=labels.value[rows],
        returns=returns[rows],
        scored=labels.scored[rows],
        modes=dataset.mode[rows],
        human=dataset.intervention[rows] & (dataset.episodes[index]["kind"] == "rollout"),
        steps=steps_of(dataset, index) if steps_of is not None else (),
        images=pictures,
    )


def draw_values(views: list[ValueView]) -> "Figure":
    """Figure of the episodes, one below the other."""
    heights = [view.height_in for view in views]
    figure: Figure = pyplot().figure(figsize=(WIDTH_IN, sum(heights) + 0.4), layout="constrained")
    parts = figure.subfigures(len(views), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, view in zip(parts, views, strict=True):
        _draw_view(part, view)
    _legend(figure, any(view.human.any() for view in views))
    return figure


def _draw_view(part: "SubFigure", view: ValueView) -> None:
    bands = 2 + bool(view.steps)
    heights = [] if view.images is None else [IMAGE_IN]
    heights += [VALUE_IN, *[BAND_IN] * bands]
    rows = list(part.subplots(len(heights), 1, height_ratios=heights, sharex=True))
    rows[0].set_title(view.title, loc="left", fontsize=10, color=INK)
    if view.images is not None:
        _draw_images(rows.pop(0), view.images, view.times_s[-1])
    _draw_curve(rows.pop(0), view)
    mode_band(rows.pop(0), view.modes, view.times_s)
    if view.steps:
        stage_band(rows.pop(0), "step", view.steps, view.times_s)
    _draw_optimality(rows[0], view)


def _draw_images(axes: "Axes", images: NDArray[np.uint8], end_s: float) -> None:
    """Each image over the part of the time axis whose middle it shows."""
    edges = np.linspace(0.0, end_s, len(images) + 1)
    gap_s = 0.004 * end_s
    for image, (begin, end) in zip(images, pairwise(edges), strict=True):
        axes.imshow(
            image, extent=(begin + gap_s, end - gap_s, 0, 1), aspect="auto", interpolation="antialiased"
        )
    axes.set_ylim(0, 1)
    axes.set_axis_off()


def _draw_curve(axes: "Axes", view: ValueView) -> None:
    axes.plot(view.times_s, view.returns, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.plot(view.times_s, view.value, color=BLUE, linewidth=1.7)
    for begin_s, end_s in spans(view.human, view.times_s):
        axes.axvspan(begin_s, end_s, color=ORANGE, alpha=0.16, linewidth=0)
        axes.plot(
            begin_s, np.interp(begin_s, view.times_s, view.value), marker="v", color=ORANGE, markersize=8
        )
    axes.set_ylim(-1.04, 0.04)
    axes.set_xlim(view.times_s[0], view.times_s[-1])
    axes.set_ylabel("value (normalised)")
    axes.tick_params(labelbottom=False)
    dress(axes, grid="y")


def spans(flags: NDArray[np.bool_], times_s: Floats) -> list[tuple[float, float]]:
    """Beginning and end of every run of true flags (T,)."""
    padded = np.concatenate([[False], flags, [False]]).astype(np.int8)
    begins, ends = np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)
    ends = np.minimum(ends, len(times_s) - 1)
    return [(float(times_s[b]), float(times_s[e])) for b, e in zip(begins, ends, strict=True)]


def _draw_optimality(axes: "Axes", view: ValueView) -> None:
    edges = np.append(view.times_s, 2 * view.times_s[-1] - view.times_s[-2])
    axes.pcolormesh(edges, [-0.5, 0.5], view.scored[None, :], cmap=_greens(), vmin=0, vmax=1, rasterized=True)
    bare(axes, "optimality")
    axes.set_xlim(view.times_s[0], view.times_s[-1])
    axes.tick_params(axis="x", labelbottom=True, length=3)
    axes.set_xlabel("time [s]", labelpad=1)


def _greens() -> "Colormap":
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("optimality", [GRID, "#7cc4ad", "#00604a"])


def _legend(figure: "Figure", taken_over: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    colours = _greens()
    lines = [
        Line2D([], [], color=BLUE, linewidth=1.7, label="value by the critic"),
        Line2D([], [], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), label="return that came"),
    ]
    if taken_over:
        lines.append(
            Line2D([], [], color=ORANGE, marker="v", linestyle="", markersize=8, label="human takes over")
        )
    patches = [Patch(color=colours(x), label=f"optimality {x:g}") for x in (0.0, 0.5, 1.0)]
    figure.legend(handles=[*lines, *patches], loc="outside lower center", ncols=6, fontsize=8)
