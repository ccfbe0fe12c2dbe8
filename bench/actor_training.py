"""Samples a second of the actor's training, against the same network trained plainly."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from measure import Result, faster, median_pair
from torch import nn

from dexpie_core.action_space import ACTION_DIM
from dexpie_training.actor_presets import actor_preset
from dexpie_training.checkpoint import RunFolder
from dexpie_training.devices import computes_in_bfloat16
from dexpie_training.models.actor import Actor
from dexpie_training.models.observation import ObservationBatch
from dexpie_training.models.step_conv import StepUp, WideConv
from dexpie_training.training_loop import LoopConfig, TrainingLoop

BATCH, THREADS = 64, 2


class _Rows:
    """A learner whose rows are noise."""

    train_count = 4 * BATCH

    def __init__(self, module: Actor) -> None:
        self.module = module
        pose = torch.tensor([0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).expand(self.train_count, -1)
        self._seen = torch.randn(self.train_count, 6), pose, torch.rand(self.train_count, 6)
        self._chunks = torch.rand(self.train_count, module.config.horizon, ACTION_DIM)
        self._optimality = torch.rand(self.train_count)

    def batch(self, positions: np.ndarray, draw: np.random.Generator | None = None) -> tuple[object, ...]:
        index = torch.from_numpy(positions)
        seen = ObservationBatch(*(part[index] for part in self._seen))
        return seen, self._chunks[index], self._optimality[index]

    def held_out_loss(self, device: torch.device) -> None:
        return None

    def describe(self) -> dict[str, object]:
        return {}


def _actor() -> Actor:
    torch.manual_seed(0)
    config = actor_preset("paper", "paper").config
    return Actor(replace(config, condition=replace(config.condition, kind="continuous")))


def actor_step() -> Result:
    """A training step at the paper's size, in bfloat16 where there is hardware, against eager float32."""
    torch.set_num_threads(THREADS)
    half = computes_in_bfloat16(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    with TemporaryDirectory() as folder:
        config = LoopConfig(
            actor_preset("paper", "paper").optimiser, steps=10**6, precision="bf16" if half else "fp32"
        )
        config = replace(config, optimiser=replace(config.optimiser, batch_size=BATCH))
        loop = TrainingLoop(_Rows(_actor()), config, RunFolder.create(Path(folder) / "run", {}))
        generator = torch.Generator()
        mine, other = median_pair(lambda: loop._one_step(generator), _plain(), rounds=5)
    details = f"batches of {BATCH}, {BATCH / mine:.0f} samples/s, {THREADS} threads, bf16 {half}"
    return faster("actor_step", mine, "eager float32", other, details)


def _plain():
    """Forward, backward, clip, AdamW and an average of weights, parameter by parameter."""
    actor = _actor().train()
    _use_torch_convolutions(actor.unet)
    rows, generator = _Rows(actor), torch.Generator()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    actor.to(device)
    optimiser = torch.optim.AdamW(actor.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6)
    average = [p.detach().clone() for p in actor.parameters()]
    positions = np.arange(BATCH)

    def step() -> None:
        loss = actor(*(part.to(device) for part in rows.batch(positions)), generator)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(actor.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            for kept, p in zip(average, actor.parameters(), strict=True):
                kept.mul_(0.999).add_(p, alpha=0.001)

    return step


def _use_torch_convolutions(module: nn.Module) -> None:
    for name, part in list(module.named_children()):
        if isinstance(part, WideConv):
            taps, channels_in, channels_out = part.weight.shape
            setattr(module, name, nn.Conv1d(channels_in, channels_out, taps, part.stride, part.padding))
        elif isinstance(part, StepUp):
            channels = part.in_channels, part.out_channels
            setattr(module, name, nn.ConvTranspose1d(*channels, 4, stride=2, padding=1))
        else:
            _use_torch_convolutions(part)
