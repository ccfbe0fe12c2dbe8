"""Evaluations side by side: rates, paired differences, how far trials came; and learning curves of runs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import tyro

from dexpie_core.errors import UsageError
from dexpie_training.comparison import Comparison, p_text
from dexpie_training.evaluate import read_report
from dexpie_training.plots.curves import draw_curves, read_curves, titles
from dexpie_training.plots.names import short_names
from dexpie_training.plots.style import INK, MUTED, check_out, dress, pyplot, save, series_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_IN: Final = (5.2, 3.0)
Panel = Callable[["Axes"], None]


@dataclass(frozen=True)
class PlotCompareOptions:
    """Compare reports of `dexpie evaluate` whose trials are paired, and learning curves of runs."""

    sources: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """two reports or more, the baseline first, and run folders made by `dexpie train`"""
    out: Path
    """PNG file to be made; must not exist"""


@dataclass(frozen=True)
class CompareReport:
    """The picture, and what it shows; None where no reports were given."""

    out: Path
    comparison: Comparison | None


def run_plot_compare(options: PlotCompareOptions) -> CompareReport:
    """Make the picture; reports that are not paired are refused."""
    check_out(options.out)
    runs = tuple(source for source in options.sources if source.is_dir())
    files = [source for source in options.sources if not source.is_dir()]
    if not options.sources or len(files) == 1:
        raise UsageError("SOURCES: give two reports of `dexpie evaluate` or more, or run folders")
    comparison = compare(files) if files else None
    panels: list[Panel] = []
    if comparison is not None:
        panels += [
            partial(_draw_rates, comparison=comparison),
            partial(_draw_differences, comparison=comparison),
        ]
        if comparison.reached_rows():
            panels.append(partial(_draw_reached, comparison=comparison))
    if runs:
        panels.append(partial(_draw_curves, runs=runs))
    return CompareReport(save(_draw(panels), options.out), comparison)


def compare(files: list[Path]) -> Comparison:
    """Comparison of reports, named by their files."""
    return Comparison.of(dict(zip(short_names(files), map(read_report, files), strict=True)))


def _draw(panels: list[Panel]) -> "Figure":
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    width, height = PANEL_IN
    figure: Figure = pyplot().figure(figsize=(width * columns, height * rows), layout="constrained")
    grid = figure.add_gridspec(rows, columns)
    for index, panel in enumerate(panels):
        last_alone = index == len(panels) - 1 and index % columns == 0
        row, column = divmod(index, columns)
        panel(figure.add_subplot(grid[row, :] if last_alone else grid[row, column]))
    return figure


def _draw_rates(axes: "Axes", comparison: Comparison) -> None:
    for place, report in enumerate(comparison.reports.values()):
        low, high = (100.0 * x for x in report.interval)
        rate = 100.0 * report.rate
        axes.barh(place, rate, height=0.6, color=series_colour(place), alpha=0.85, linewidth=0)
        axes.errorbar(rate, place, xerr=[[rate - low], [high - rate]], color=INK, capsize=4, linewidth=1.3)
        axes.text(103, place, f"{report.successes} of {len(report.results)}", va="center", fontsize=9)
    first = next(iter(comparison.reports.values()))
    _name_rows(axes, list(comparison.reports))
    axes.set_xlim(0, 100)
    axes.set_xlabel("success rate [%], 95 % Wilson interval")
    dress(axes, f"Success on {first.settings['task']}, {len(first.results)} paired trials", grid="x")


def _draw_differences(axes: "Axes", comparison: Comparison) -> None:
    axes.axvline(0, color=MUTED, linewidth=1.0)
    ends = [-5.0, 5.0]
    for place, found in enumerate(comparison.differences):
        low, high = (100.0 * x for x in found.counts.interval)
        points = 100.0 * found.counts.difference
        axes.plot([low, high], [place, place], color=MUTED if low <= 0 <= high else INK, linewidth=2.4)
        axes.plot(points, place, "o", color=INK, markersize=6)
        axes.text(
            1.02, place, f"p {p_text(found.p_adjusted)}", transform=axes.get_yaxis_transform(), va="center",
            fontsize=9,
        )  # fmt: skip
        ends += [low - 3, high + 3]
    _name_rows(axes, [f"{d.name} - {d.other}" for d in comparison.differences])
    axes.set_xlim(min(ends), max(ends))
    axes.set_xlabel("difference [points], 95 % Newcombe interval; p: McNemar, Holm")
    dress(axes, "Paired differences", grid="x")


def _draw_reached(axes: "Axes", comparison: Comparison) -> None:
    names = list(next(iter(comparison.reports.values())).reached)
    for place, (name, report) in enumerate(comparison.reports.items()):
        shares = 100.0 * np.array(list(report.reached.values())) / len(report.results)
        axes.plot(range(len(names)), shares, marker="o", markersize=5, color=series_colour(place), label=name)
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names], fontsize=8)
    axes.set_ylim(-3, 103)
    axes.set_ylabel("trials that began the step [%]")
    axes.legend(loc="lower left", fontsize=8)
    dress(axes, "How far the trials came", grid="y")


def _draw_curves(axes: "Axes", runs: tuple[Path, ...]) -> None:
    curves = read_curves(runs)
    draw_curves(axes, curves)
    dress(axes, *titles(curves), grid="y")


def _name_rows(axes: "Axes", names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
