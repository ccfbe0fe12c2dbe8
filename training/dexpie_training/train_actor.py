"""`dexpie train actor`: options of the actor's training. Light to import; the work is in actor_training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dexpie_training.config import Size
from dexpie_training.training_options import TrainingOptions


@dataclass(frozen=True)
class TrainActorOptions(TrainingOptions):
    """Train a diffusion policy."""

    method: Literal["bc"] = "bc"
    """bc: successful demonstrations, no condition"""
    preset: Size = "tiny"
    """size, learning rate and target: tiny trains on a CPU in minutes (20 epochs, batches of 64), paper is
    the published size (300 epochs, batches of 256)"""
    encoder: Literal["state"] = "state"
    """what the policy sees: state = simulated object poses"""


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
