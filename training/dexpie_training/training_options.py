"""Options that the training of actor and critic share, and what a run comes to. Light to import."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dexpie_core.errors import UsageError

TrackerName = Literal["wandb", "mlflow", "comet_ml", "aim", "clearml", "dvclive", "swanlab", "trackio"]


@dataclass(frozen=True)
class TrainingOptions:
    """What to train on, for how long, and how."""

    dataset: Path
    """dataset folder made by `dexpie convert`"""
    out: Path
    """run folder to be made; with --resume, the one to continue"""
    steps: int | None = None
    """optimiser steps; instead of --epochs"""
    epochs: int | None = None
    """passes over the training rows (default: the preset's)"""
    max_minutes: float | None = None
    """end after this time at the latest, the learning rate's cosine fitted to it [min]"""
    batch_size: int | None = None
    """rows a step and process (default: the preset's)"""
    learning_rate: float | None = None
    """peak learning rate (default: the preset's)"""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """arithmetic of the forward pass; auto: bf16 where the device has it in hardware"""
    trackers: tuple[TrackerName, ...] = ()
    """services that are told the learning curve beside TensorBoard, of those that are installed"""
    threads: int | None = None
    """CPU threads (default: all cores)"""
    views: int | None = None
    """augmented views of cached features that a step draws from beside the plain ones (default: all that
    `dexpie features --views` made)"""
    held_out: float = 0.1
    """share of episodes kept for the held-out loss"""
    seed: int = 0
    """of initialisation, order, noise and split"""
    resume: bool = False
    """continue the run in --out from its latest checkpoint"""

    def __post_init__(self) -> None:
        if self.steps is not None and self.epochs is not None:
            raise UsageError("--steps and --epochs exclude each other; give one")
        for name in ("steps", "epochs", "max_minutes", "batch_size", "learning_rate", "threads"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"--{name.replace('_', '-')} {value} must be positive")
        if self.views is not None and self.views < 0:
            raise UsageError(f"--views {self.views} must not be negative")
        if not 0.0 <= self.held_out < 1.0:
            raise UsageError(f"--held-out {self.held_out} must be in [0, 1)")
