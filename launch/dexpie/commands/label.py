"""`dexpie label`: value, advantage and optimality of every row of a dataset."""

from __future__ import annotations

from dexpie_training.make_labels import LabelOptions
from dexpie_training.make_labels import run_label as label

__all__ = ["LabelOptions", "run_label"]


def run_label(options: LabelOptions) -> None:
    """Label, and say what came of it."""
    print(label(options))
