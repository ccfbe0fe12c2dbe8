"""`dexpie plot ...`: pictures of runs, labels and episodes."""

from __future__ import annotations

from dexpie_training.plots import advantage, curves, reliability, strip
from dexpie_training.plots.advantage import PlotAdvantageOptions
from dexpie_training.plots.curves import PlotCurvesOptions
from dexpie_training.plots.reliability import PlotReliabilityOptions
from dexpie_training.plots.strip import PlotStripOptions

__all__ = [
    "PlotAdvantageOptions", "PlotCurvesOptions", "PlotReliabilityOptions", "PlotStripOptions",
    "run_plot_advantage", "run_plot_curves", "run_plot_reliability", "run_plot_strip",
]  # fmt: skip


def run_plot_curves(options: PlotCurvesOptions) -> None:
    """Draw, and say where."""
    print(f"picture: {curves.run_plot_curves(options)}")


def run_plot_strip(options: PlotStripOptions) -> None:
    """Draw, and say where."""
    print(f"picture: {strip.run_plot_strip(options)}")


def run_plot_advantage(options: PlotAdvantageOptions) -> None:
    """Draw, and say where."""
    print(f"picture: {advantage.run_plot_advantage(options)}")


def run_plot_reliability(options: PlotReliabilityOptions) -> None:
    """Draw, and say where."""
    print(f"picture: {reliability.run_plot_reliability(options)}")
