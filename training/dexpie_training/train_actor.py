"""`dexpie train actor`: options of the actor's training. Light to import; the work is in actor_training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from dexpie_core.errors import UsageError
from dexpie_training.config import EncoderName, MethodName, Preset, Size
from dexpie_training.training_options import TrainingOptions


@dataclass(frozen=True)
class TrainActorOptions(TrainingOptions):
    """Train a diffusion policy."""

    method: MethodName = "bc"
    """bc: successful demonstrations; hg-dagger: all successful episodes with their corrections; recap: all
    data, given whether the advantage is good; dexpie: all data, given a continuous optimality"""
    labels: str | None = None
    """labels of the dataset made by `dexpie label`, for recap (--form binary) and dexpie (continuous)"""
    guidance: float | None = None
    """beta that the policy is sampled with, for recap and dexpie (default: 1.5; 1: no guidance)"""
    preset: Preset = "default"
    """paper: as published; release: as in the authors' code; default: what measured best in simulation"""
    size: Size = "tiny"
    """network over the chunk: tiny 64-64-64, which a CPU trains in minutes, small 64-128-256, paper
    256-512-1024"""
    encoder: EncoderName = "state"
    """what the policy sees: state = simulated object poses, r3m = pictures through a pretrained network,
    resnet18 = pictures through a network from scratch"""
    pictures: Literal["frozen", "trained"] | None = None
    """network behind the pictures: frozen, with the features that `dexpie features` keeps, or trained
    (default: resnet18 is trained, r3m too but in the preset default)"""
    weights: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """model.pt of R3M's ResNet-18, for r3m (default where frozen: the file that `dexpie features` used)"""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE")] = ()
    """further fields of the configuration, as run.json names them, such as unet.prefix_marking=none"""

    def __post_init__(self) -> None:
        super().__post_init__()
        conditioned = self.method in ("recap", "dexpie")
        if conditioned and self.labels is None:
            raise UsageError(f"--labels is missing: {self.method} learns from labels, see `dexpie label`")
        for name in ("labels", "guidance"):
            if not conditioned and getattr(self, name) is not None:
                raise UsageError(f"--{name}: {self.method} has no condition; leave it out")
        if self.guidance is not None and self.guidance < 0.0:
            raise UsageError(f"--guidance {self.guidance} must not be negative")
        if self.encoder == "state" and self.pictures is not None:
            raise UsageError("--pictures: --encoder state has no network behind pictures; leave it out")
        if self.encoder != "r3m" and self.weights is not None:
            raise UsageError(f"--weights is for --encoder r3m, not {self.encoder}")


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
