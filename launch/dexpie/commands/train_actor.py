"""`dexpie train actor`."""

from __future__ import annotations

from dexpie_training.train_actor import TrainActorOptions
from dexpie_training.train_actor import run_train_actor as train

__all__ = ["TrainActorOptions", "run_train_actor"]


def run_train_actor(options: TrainActorOptions) -> None:
    """Train, and say what came of it."""
    print(train(options))
