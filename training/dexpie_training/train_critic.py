"""`dexpie train critic`: options of the critic's training. Light to import; critic_training does the work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from dexpie_core.errors import UsageError
from dexpie_training.config import EncoderName, Preset, Size
from dexpie_training.critic_metrics import CriticMetrics
from dexpie_training.returns import FailureReturn
from dexpie_training.training_options import TrainingOptions


@dataclass(frozen=True)
class TrainCriticOptions(TrainingOptions):
    """Train the distributional critic on all episodes of a dataset, successes and failures.

    Without cross-fitting, --held-out is the share of episodes that the critic does not learn from.
    """

    preset: Preset = "default"
    """paper: as published; release: as in the authors' code; default: what measured best in simulation"""
    size: Size = "tiny"
    """hidden layers: tiny 128-128-64, small 512-512-256, paper 2048-2048-512"""
    encoder: EncoderName = "state"
    """what is seen: state = simulated object poses; r3m or resnet18 = features cached by `dexpie features`"""
    crossfit: int | None = None
    """K critics, each labels the episodes that it did not see; 0: one critic (default: the
    preset's: 5; paper and release 0)"""
    failure_return: FailureReturn | None = None
    """return of a failed episode: clip, decay or unclipped (default: decay; paper clip)"""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE")] = ()
    """further fields of the configuration, as run.json names them, such as returns.failure_return=clip"""
    max_length_steps: int | None = None
    """L, the task's longest episode [steps at 25 Hz] (default: the dataset's longest episode)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crossfit is not None and (self.crossfit < 0 or self.crossfit == 1):
            raise UsageError(f"--crossfit {self.crossfit} must be 0 (off) or at least 2")
        if self.max_length_steps is not None and self.max_length_steps <= 0:
            raise UsageError(f"--max-length-steps {self.max_length_steps} must be positive")


@dataclass(frozen=True)
class CriticReport:
    """What a training run came to."""

    run: Path
    critics: int
    steps: int
    minutes: float
    metrics: CriticMetrics

    def __str__(self) -> str:
        count = f"{self.critics} cross-fitted critics" if self.critics > 1 else "critic"
        return f"{self.run}: {count}, {self.steps} steps in {self.minutes:.1f} min; {self.metrics}"


def run_train_critic(options: TrainCriticOptions) -> CriticReport:
    """Train; raises UsageError or DexpieError. Ctrl-C: the state is saved, then KeyboardInterrupt."""
    from dexpie_training.critic_training import train_critic

    return train_critic(options)
