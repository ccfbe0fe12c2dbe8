"""How long a policy of the paper's size takes on two CPU cores, from two images to a chunk."""

import time
from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import torch
from measure import Result

from dexpie_core.action_space import ACTION_DIM, RATE_HZ
from dexpie_core.chunk_schedule import ScheduleConfig
from dexpie_core.topics import CAMERAS
from dexpie_training.acceleration import accelerate
from dexpie_training.actor_presets import actor_preset
from dexpie_training.config import Size
from dexpie_training.models.actor import Actor
from dexpie_training.models.observation import ObservationBatch
from dexpie_training.schema import IMAGE_SIZE_PX

PREFIX = 4
RUNS, LEAST_RUNS, LONGEST_S = 40, 5, 10.0


def _actor(size: Size = "paper") -> Actor:
    """Two views through ResNet-18, proprioception and a continuous optimality, as published."""
    torch.manual_seed(0)
    config = actor_preset("paper", size).config
    encoder = replace(config.encoder, kind="r3m", cameras=CAMERAS)
    condition = replace(config.condition, kind="continuous")
    return Actor(replace(config, encoder=encoder, condition=condition)).eval().requires_grad_(False)


class _Sampling:
    """One observation, one noise, one prefix."""

    def __init__(self, actor: Actor) -> None:
        torch.manual_seed(1)
        self.actor, horizon = actor, actor.config.horizon
        shape = (1, len(CAMERAS), IMAGE_SIZE_PX, IMAGE_SIZE_PX, 3)
        pose = torch.tensor([[0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]])
        pictures = torch.randint(0, 256, shape, dtype=torch.uint8)
        self.seen = ObservationBatch(torch.zeros(1, 6), pose, torch.full((1, 6), 0.5), images=pictures)
        self.noise, self.prefix = torch.randn(1, horizon, ACTION_DIM), torch.rand(1, PREFIX, ACTION_DIM)

    @torch.inference_mode()
    def one_batch(self) -> torch.Tensor:
        """As the node does: both views in one batch, with and without condition in one batch."""
        return self.actor.sample(self.seen, self.noise, self.prefix)

    @torch.inference_mode()
    def one_by_one(self) -> torch.Tensor:
        """View by view, and a pass each with and without condition."""
        actor, pictures = self.actor, self.seen.images
        views = [actor.encoder.pixels(pictures[:, i]) for i in range(len(CAMERAS))]
        features = actor.encoder(replace(self.seen, features=torch.cat(views, dim=1)))
        plain, wanted = (
            actor.denoiser(features, torch.ones(1), torch.tensor([masked])) for masked in (True, False)
        )
        beta, given = actor.config.condition.guidance, actor.normaliser.normalise(self.prefix)

        def denoiser(x, step, clean):
            base = plain(x, step, clean)
            return base + beta * (wanted(x, step, clean) - base)

        return actor.normaliser.denormalise(actor.diffusion.sample(denoiser, self.noise, given))


def _fast(size: Size = "paper", engine: bool = True) -> _Sampling:
    """As the node runs it; without the engine: torch in bfloat16."""
    actor = _actor(size)
    if engine:
        accelerate(actor)
    else:
        with patch("dexpie_training.acceleration.engine_installed", return_value=False):
            accelerate(actor)
    return _Sampling(actor)


def _milliseconds(function: Callable[[], object]) -> np.ndarray:
    for _ in range(3):
        function()
    durations: list[float] = []
    while len(durations) < RUNS and (len(durations) < LEAST_RUNS or sum(durations) < 1e3 * LONGEST_S):
        begun = time.perf_counter()
        function()
        durations.append(1e3 * (time.perf_counter() - begun))
    return np.percentile(durations, (50, 99))


def inference_latency() -> Result:
    """p99 of a chunk: compiled, in one batch, against plain float32 one by one, both on two threads."""
    torch.set_num_threads(2)
    plain, fast, half = _Sampling(_actor()), _fast(), _fast(engine=False)
    torch.testing.assert_close(plain.one_batch(), plain.one_by_one(), atol=1e-3, rtol=1e-3)
    ways = {
        "float32 one by one": plain.one_by_one,
        "float32 one batch": plain.one_batch,
        "bfloat16 in torch": half.one_batch,
        "compiled": fast.one_batch,
        "compiled, pictures alone": torch.inference_mode()(lambda: fast.actor.encoder.look(fast.seen)),
        "size small, compiled": _fast("small").one_batch,
        "size tiny, compiled": _fast("tiny").one_batch,
    }
    found = {name: _milliseconds(way) for name, way in ways.items()}
    torch.set_num_threads(1)
    found["compiled, one thread"] = _milliseconds(_fast().one_batch)
    budget_ms = 1e3 * ScheduleConfig.max_delay / RATE_HZ
    told = ", ".join(
        f"{name} {p50:.0f}/{p99:.0f} ms ({100 * p99 / budget_ms:.0f} %)" for name, (p50, p99) in found.items()
    )
    details = f"p50/p99 and share of the {budget_ms:.0f} ms budget, two threads: {told}"
    ours, theirs = float(found["compiled"][1]), float(found["float32 one by one"][1])
    return Result("inference_latency", "ms", ours, "float32 one by one", theirs, theirs / ours, details)
