"""`dexpie features`: options of the computation of frozen features. Light to import."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from dexpie_core.errors import UsageError


@dataclass(frozen=True)
class FeaturesOptions:
    """Compute the features of a frozen encoder once, for all images of a dataset, and keep them in it."""

    dataset: Annotated[Path, tyro.conf.Positional]
    """dataset folder with images, made by `dexpie convert`"""
    encoder: Literal["r3m", "resnet18"] = "r3m"
    """r3m: pretrained, needs --weights; resnet18: an untrained network of fixed seed, to try things out"""
    weights: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """model.pt of R3M's ResNet-18 (r3m_18)"""
    views: int = 0
    """augmented versions of every picture whose features are kept beside the plain ones, for training to draw
    from; those that there are already are kept"""
    batch_size: int = 64
    """images at a time"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where the encoder runs; auto: cuda where there is one"""
    threads: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """CPU threads (default: all cores)"""

    def __post_init__(self) -> None:
        if self.encoder == "r3m" and self.weights is None:
            raise UsageError("--weights is missing: --encoder r3m needs model.pt of r3m_18")
        if self.encoder != "r3m" and self.weights is not None:
            raise UsageError(f"--weights is for --encoder r3m, not {self.encoder}")
        if self.batch_size < 1:
            raise UsageError(f"--batch-size {self.batch_size} must be at least 1")
        if self.views < 0:
            raise UsageError(f"--views {self.views} must not be negative")


@dataclass(frozen=True)
class FeaturesReport:
    """What was computed."""

    file: Path
    rows: int
    dim: int
    views: int
    computed: int
    """versions that were not there yet, of views + 1"""
    images_per_s: float

    def __str__(self) -> str:
        versions = f", {self.views} augmented views" if self.views else ""
        kept = (
            f", {self.views + 1 - self.computed} of {self.views + 1} versions were there" if versions else ""
        )
        return (
            f"{self.file}: {self.rows} rows of {self.dim}{versions}{kept}; {self.images_per_s:.0f} images/s"
        )


def run_features(
    options: FeaturesOptions, progress: Callable[[int, int], None] = lambda done, total: None
) -> FeaturesReport:
    """Compute; raises UsageError or DexpieError. progress: rows done, rows in all."""
    from dexpie_training.features import compute_features

    return compute_features(options, progress)
