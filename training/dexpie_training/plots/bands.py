"""Horizontal bands over time: which mode, which step of the task."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from dexpie_core.modes import Mode
from dexpie_training.plots.style import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MODE_COLOURS: Final[dict[Mode, str]] = {
    Mode.IDLE: "#c9d1da",
    Mode.AUTONOMOUS: "#2463a8",
    Mode.ALIGNING: "#e8b93c",
    Mode.HUMAN: "#d9730d",
    Mode.RELEASING: "#f0cf7a",
    Mode.FAULT: "#b3261e",
}
STAGE_COLOURS: Final = ("#dbe7f3", "#b9d3ea", "#8fb6d9", "#6699c6", "#467fb3")


def mode_band(axes: "Axes", modes: NDArray[np.uint8], times_s: NDArray[np.float64]) -> None:
    """The executor's mode at every decision (n,)."""
    found = [Mode(int(m)) for m in modes]
    band(axes, "mode", [m.name.lower() for m in found], [MODE_COLOURS[m] for m in found], times_s)


def stage_band(axes: "Axes", name: str, stages: Sequence[str], times_s: NDArray[np.float64]) -> None:
    """Stage or step of the task at every decision (n,), darker the later it first occurs."""
    order = list(dict.fromkeys(stages))
    colours = [STAGE_COLOURS[order.index(s) % len(STAGE_COLOURS)] for s in stages]
    band(axes, name, stages, colours, times_s)


def band(
    axes: "Axes", name: str, labels: Sequence[str], colours: Sequence[str], times_s: NDArray[np.float64]
) -> None:
    """One block for each run of equal labels, the label inside where it fits."""
    changes = [0, *[i for i in range(1, len(labels)) if labels[i] != labels[i - 1]], len(labels)]
    span = max(float(times_s[-1] - times_s[0]), 1e-6)
    for first, last in pairwise(changes):
        begin = times_s[first]
        end = times_s[min(last, len(times_s) - 1)]
        axes.barh(0, end - begin, left=begin, height=1.0, color=colours[first], linewidth=0)
        if (end - begin) / span > 0.012 * len(labels[first]):
            dark = sum(int(colours[first][i : i + 2], 16) for i in (1, 3, 5)) < 400
            ink = "white" if dark else INK
            axes.text((begin + end) / 2, 0, labels[first], ha="center", va="center", fontsize=8, color=ink)
    bare(axes, name)
    axes.set_xlim(times_s[0], times_s[-1])
    axes.set_ylim(-0.5, 0.5)


def bare(axes: "Axes", name: str) -> None:
    """Nothing of the axes but the band's name."""
    axes.set_yticks([0], [name], fontsize=8, color=MUTED)
    axes.tick_params(length=0, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
