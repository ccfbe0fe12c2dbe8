"""`dexpie features`: features of a frozen encoder, computed once."""

from __future__ import annotations

from dexpie.progress import Progress
from dexpie_training.make_features import FeaturesOptions
from dexpie_training.make_features import run_features as compute

__all__ = ["FeaturesOptions", "run_features"]


def run_features(options: FeaturesOptions) -> None:
    """Compute with a progress line, and say what came of it."""
    progress = Progress("rows", 0)

    def shown(done: int, total: int) -> None:
        progress.total = total
        progress.update(done)

    try:
        report = compute(options, shown)
    finally:
        progress.close()
    print(report)
