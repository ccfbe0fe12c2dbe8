"""Pictures of a dataset: a contact sheet, how well its streams fit, who drove when."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from dexpie_core.errors import DexpieError
from dexpie_core.modes import Mode
from dexpie_training.alignment import ERROR_BIN_MS
from dexpie_training.dataset import Dataset
from dexpie_training.inspection_tables import error_counts
from dexpie_training.plots.bands import MODE_COLOURS
from dexpie_training.plots.style import BLUE, FAINT, INK, MUTED, dress, pyplot, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHEET_EPISODES: Final = 12
SHEET_FRAMES: Final = 8
TIMELINE_EPISODES: Final = 60
FILES: Final = ("contact_sheet.png", "alignment.png", "modes.png")


def draw_inspection(path: Path, folder: Path) -> list[Path]:
    """Write the pictures of a dataset into a folder; DexpieError where one of them exists."""
    taken = [folder / name for name in FILES if (folder / name).exists()]
    if taken:
        raise DexpieError(f"{taken[0]} exists already; choose another folder for --pictures or remove it")
    dataset = Dataset.open(path)
    figures = {"alignment.png": draw_alignment(dataset), "modes.png": draw_modes(dataset)}
    if dataset.frames:
        figures = {"contact_sheet.png": draw_contact_sheet(dataset), **figures}
    return [save(figure, folder / name) for name, figure in figures.items()]


def spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of 0..count-1, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def draw_contact_sheet(dataset: Dataset) -> "Figure":
    """Episodes as rows of their first camera's pictures, evenly spaced in time."""
    camera = next(iter(dataset.frames))
    episodes = spread(len(dataset.episodes), SHEET_EPISODES).tolist()
    plt = pyplot()
    figure, grid = plt.subplots(
        len(episodes), SHEET_FRAMES, figsize=(1.25 * SHEET_FRAMES, 1.45 * len(episodes)), squeeze=False
    )
    for line, index in zip(grid, episodes, strict=True):
        rows = dataset.episode_rows(index)
        chosen = spread(rows.stop - rows.start, SHEET_FRAMES).tolist()
        for axes, step in zip(line, [*chosen, *[None] * (SHEET_FRAMES - len(chosen))], strict=True):
            axes.axis("off")
            if step is None:
                continue
            axes.imshow(dataset.frames[camera][rows.start + step])
            seconds = (dataset.stamp_ns[rows.start + step] - dataset.stamp_ns[rows.start]) * 1e-9
            axes.text(4, 214, f"{seconds:.1f} s", color="white", fontsize=6)
        episode = dataset.episodes[index]
        title = f"{episode['episode_id']}: {episode['kind']}, {episode['stage']}, {episode['outcome']}"
        line[0].set_title(title, loc="left", fontsize=7, color=INK, pad=3)
    figure.subplots_adjust(
        left=0.005, right=0.995, bottom=0.01, top=1 - 0.2 / (1.45 * len(episodes)), wspace=0.02
    )
    return figure  # type: ignore[no-any-return]


def draw_alignment(dataset: Dataset) -> "Figure":
    """Rows by the distance of each stream's message from the anchor, one panel a stream."""
    counts = {t: c for t, c in sorted(error_counts(dataset.meta["report"]).items()) if c}
    tolerance_ms = 1e3 * float(dataset.meta["alignment"].get("tolerance_s", 0.0))
    plt = pyplot()
    figure, panels = plt.subplots(
        max(1, len(counts)), 1, figsize=(6.4, 0.95 * max(1, len(counts)) + 0.9), sharex=True, squeeze=False
    )
    for axes, (topic, binned) in zip(panels[:, 0], counts.items(), strict=False):
        share = np.asarray(binned) / sum(binned)
        axes.bar((np.arange(len(binned)) + 0.5) * ERROR_BIN_MS, share, width=0.9 * ERROR_BIN_MS, color=BLUE)
        axes.axvline(tolerance_ms, color=FAINT, linewidth=1)
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 1], ["0", "1"])
        axes.text(0.93, 0.72, topic, transform=axes.transAxes, ha="right", fontsize=8, color=MUTED)
        dress(axes)
    panels[-1, 0].set_xlabel("distance from the anchor [ms]; the line is the tolerance")
    panels[0, 0].set_title("Share of rows by alignment error", loc="left", fontsize=11, color=INK)
    figure.tight_layout()
    return figure  # type: ignore[no-any-return]


def draw_modes(dataset: Dataset) -> "Figure":
    """The executor's mode over the time of each episode."""
    episodes = spread(len(dataset.episodes), TIMELINE_EPISODES).tolist()
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(7.2, 0.16 * len(episodes) + 1.3))
    used: set[Mode] = set()
    for line, index in enumerate(episodes):
        for mode, start_s, length_s in mode_runs(dataset, index):
            used.add(mode)
            axes.barh(line, length_s, left=start_s, height=0.8, color=MODE_COLOURS[mode], linewidth=0)
    axes.set_yticks(range(len(episodes)), [_label(dataset.episodes[i]) for i in episodes], fontsize=6)
    axes.invert_yaxis()
    axes.set_xlabel("time [s]")
    handles = [plt.Rectangle((0, 0), 1, 1, color=MODE_COLOURS[m], label=m.name.lower()) for m in sorted(used)]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, fontsize=8)
    dress(axes)
    figure.tight_layout()
    return figure  # type: ignore[no-any-return]


def mode_runs(dataset: Dataset, index: int) -> list[tuple[Mode, float, float]]:
    """Runs of one mode in an episode: mode, start and length in seconds."""
    rows = dataset.episode_rows(index)
    modes = dataset.mode[rows]
    times_s = (dataset.stamp_ns[rows] - dataset.stamp_ns[rows.start]) * 1e-9
    edges = [0, *(np.flatnonzero(np.diff(modes)) + 1).tolist(), len(modes)]
    ends_s = [*times_s.tolist(), float(times_s[-1]) + 1.0 / float(dataset.meta["rate_hz"])]
    return [
        (Mode(int(modes[first])), ends_s[first], ends_s[last] - ends_s[first])
        for first, last in pairwise(edges)
    ]


def _label(episode: dict[str, Any]) -> str:
    return f"{episode['episode_id']} {episode['outcome']}"
