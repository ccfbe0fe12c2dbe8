"""`dexpie convert`: bags to a dataset."""

from __future__ import annotations

from dexpie.progress import Progress
from dexpie_training.convert import ConvertOptions
from dexpie_training.convert import run_convert as convert

__all__ = ["ConvertOptions", "run_convert"]


def run_convert(options: ConvertOptions) -> None:
    """Convert with a progress line, and say what came of it."""
    progress = Progress("bags", 0)

    def shown(done: int, total: int, read_bytes: int) -> None:
        progress.total = total
        progress.update(done, f"{read_bytes / 1e6:.0f} MB")

    try:
        report = convert(options, shown)
    finally:
        progress.close()
    print(report)
