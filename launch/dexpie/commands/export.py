"""`dexpie export`: a dataset in another project's format."""

from __future__ import annotations

from dexpie.progress import Progress
from dexpie_training.export_data import ExportOptions
from dexpie_training.export_data import run_export as export

__all__ = ["ExportOptions", "run_export"]


def run_export(options: ExportOptions) -> None:
    """Export with a progress line, and say what came of it."""
    progress = Progress("episodes", 0)

    def shown(done: int, total: int) -> None:
        progress.total = total
        progress.update(done)

    try:
        report = export(options, shown)
    finally:
        progress.close()
    print(report)
