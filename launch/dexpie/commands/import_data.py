"""`dexpie import`: files of the authors' tools to a dataset."""

from __future__ import annotations

from dexpie.progress import Progress
from dexpie_training.import_data import ImportOptions
from dexpie_training.import_data import run_import as import_files

__all__ = ["ImportOptions", "run_import"]


def run_import(options: ImportOptions) -> None:
    """Import with a progress line, and say what came of it."""
    progress = Progress("episodes", 0)

    def shown(done: int, total: int) -> None:
        progress.total = total
        progress.update(done)

    try:
        report = import_files(options, shown)
    finally:
        progress.close()
    print(report)
