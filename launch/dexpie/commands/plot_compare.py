"""`dexpie plot compare`: evaluations side by side, as a picture and as tables."""

from __future__ import annotations

from dexpie.table import table
from dexpie_training.comparison import DIFFERENCE_HEADER, RATE_HEADER, Comparison
from dexpie_training.plots.compare import PlotCompareOptions
from dexpie_training.plots.compare import run_plot_compare as draw

__all__ = ["PlotCompareOptions", "run_plot_compare"]


def run_plot_compare(options: PlotCompareOptions) -> None:
    """Draw, and say what is seen."""
    report = draw(options)
    if report.comparison is not None:
        print("\n\n".join(tables(report.comparison)) + "\n")
    print(f"picture: {report.out}")


def tables(comparison: Comparison) -> list[str]:
    """Rates, paired differences, and how many trials began each step of the task."""
    found = [
        table(RATE_HEADER, comparison.rate_rows()),
        table(DIFFERENCE_HEADER, comparison.difference_rows()),
    ]
    reached = comparison.reached_rows()
    if reached:
        names = next(iter(comparison.reports.values())).reached
        found.append(table(("trials that began", *names), reached))
    return found
