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


@dataclass(frozen=True)
class FeaturesReport:
    """What was computed."""

    file: Path
    rows: int
    dim: int
    images_per_s: float

    def __str__(self) -> str:
        return f"{self.file}: {self.rows} rows of {self.dim}, {self.images_per_s:.0f} images/s"


def run_features(
    options: FeaturesOptions, progress: Callable[[int, int], None] = lambda done, total: None
) -> FeaturesReport:
    """Compute; raises UsageError or DexpieError. progress: rows done, rows in all."""
    from dexpie_training.features import compute_features

    return compute_features(options, progress)
