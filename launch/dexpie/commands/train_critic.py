"""`dexpie train critic`."""

from __future__ import annotations

from dexpie_training.train_critic import TrainCriticOptions
from dexpie_training.train_critic import run_train_critic as train

__all__ = ["TrainCriticOptions", "run_train_critic"]


def run_train_critic(options: TrainCriticOptions) -> None:
    """Train, and say what came of it."""
    print(train(options))
