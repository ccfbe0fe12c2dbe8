"""`dexpie train actor`: options of the actor's training. Light to import; the work is in actor_training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dexpie_core.errors import UsageError
from dexpie_training.config import Size


@dataclass(frozen=True)
class TrainActorOptions:
    """Train a diffusion policy."""

    dataset: Path
    """dataset folder made by `dexpie convert`"""
    out: Path
    """run folder to be made; with --resume, the one to continue"""
    method: Literal["bc"] = "bc"
    """bc: successful demonstrations, no condition"""
    preset: Size = "tiny"
    """size, learning rate and target: tiny trains on a CPU in minutes, paper is the published size"""
    encoder: Literal["state"] = "state"
    """what the policy sees: state = simulated object poses"""
    steps: int | None = None
    """optimiser steps; instead of --epochs"""
    epochs: int | None = None
    """passes over the training windows (default: the preset's: 20; paper 300)"""
    max_minutes: float | None = None
    """end after this time at the latest, the learning rate's cosine fitted to it [min]"""
    batch_size: int | None = None
    """windows a step and process (default: the preset's: 64; paper 256)"""
    learning_rate: float | None = None
    """peak learning rate (default: the preset's)"""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """arithmetic of the forward pass; auto: bf16 where the device has it in hardware"""
    threads: int | None = None
    """CPU threads (default: all cores)"""
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
        if not 0.0 <= self.held_out < 1.0:
            raise UsageError(f"--held-out {self.held_out} must be in [0, 1)")


@dataclass(frozen=True)
class TrainReport:
    """What a training run came to."""

    run: Path
    policy_id: str
    steps: int
    minutes: float
    held_out_loss: float | None

    def __str__(self) -> str:
        held_out = "" if self.held_out_loss is None else f", held-out loss {self.held_out_loss:.4f}"
        return f"{self.run}: {self.policy_id}, {self.steps} steps in {self.minutes:.1f} min{held_out}"


def run_train_actor(options: TrainActorOptions) -> TrainReport:
    """Train; raises UsageError or DexpieError. Ctrl-C: the state is saved, then KeyboardInterrupt."""
    from dexpie_training.actor_training import train_actor

    return train_actor(options)
