"""`dexpie plot ...`: pictures of runs and episodes."""

from __future__ import annotations

from dexpie_training import plots
from dexpie_training.plots import PlotCurveOptions, PlotStripOptions

__all__ = ["PlotCurveOptions", "PlotStripOptions", "run_plot_curve", "run_plot_strip"]


def run_plot_curve(options: PlotCurveOptions) -> None:
    """Draw, and say where."""
    print(f"picture: {plots.run_plot_curve(options)}")


def run_plot_strip(options: PlotStripOptions) -> None:
    """Draw, and say where."""
    print(f"picture: {plots.run_plot_strip(options)}")
