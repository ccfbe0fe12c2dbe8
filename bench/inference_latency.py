"""How long a policy of the paper's size takes on two CPU cores, from two images to a chunk."""

import os
import time
from collections.abc import Callable

import numpy as np
import torch
from measure import Result

from dexpie_core.action_space import ACTION_DIM, RATE_HZ
from dexpie_core.chunk_schedule import ScheduleConfig
from dexpie_training.acceleration import Bfloat16Unet
from dexpie_training.config import ACTOR_PRESETS, ConditionConfig, Size
from dexpie_training.diffusion import Diffusion
from dexpie_training.guidance import guided
from dexpie_training.models.embeddings import OptimalityEmbedding
from dexpie_training.models.image_encoder import FrozenImageEncoder
from dexpie_training.models.resnet import FEATURE_DIM, ResNet18
from dexpie_training.models.unet1d import ConditionalUnet1d

VIEWS, SIZE_PX, PROPRIOCEPTION, PREFIX = 2, 224, 21, 4
RUNS, LEAST_RUNS, LONGEST_S = 40, 5, 10.0
CONDITION = ConditionConfig(kind="continuous")
COMPILE = bool(os.environ.get("DEXPIE_BENCH_COMPILE"))  # takes minutes, and a C++ compiler


class _ImagePolicy:
    """Two ResNet-18 views, proprioception and optimality into a preset's U-Net; guidance, 10 steps."""

    def __init__(self, half: bool, compiled: bool = False, size: Size = "paper") -> None:
        torch.manual_seed(0)
        preset = ACTOR_PRESETS[size]
        dim = VIEWS * FEATURE_DIM + PROPRIOCEPTION + CONDITION.dim
        self.encoder = FrozenImageEncoder(ResNet18()).to(memory_format=torch.channels_last)
        self.embedding = OptimalityEmbedding(CONDITION)
        unet: torch.nn.Module = ConditionalUnet1d(ACTION_DIM, dim, preset.unet).eval().requires_grad_(False)
        if half:
            self.encoder.to(torch.bfloat16)
            unet = Bfloat16Unet(unet)
        self.unet = torch.compile(unet) if compiled else unet
        self.diffusion = Diffusion(preset.diffusion)
        horizon = ScheduleConfig.horizon
        self.images = torch.randint(0, 256, (VIEWS, SIZE_PX, SIZE_PX, 3), dtype=torch.uint8)
        self.noise, self.prefix = torch.randn(1, horizon, ACTION_DIM), torch.rand(1, PREFIX, ACTION_DIM)
        self.proprioception = torch.randn(1, PROPRIOCEPTION)

    @torch.inference_mode()
    def one_batch(self) -> torch.Tensor:
        """Both views in one batch, with and without condition in one batch."""
        seen = self.encoder(self.images).float().reshape(1, -1)
        features = self._condition(torch.cat([seen, self.proprioception], dim=1).expand(2, -1))
        denoiser = guided(lambda x, step, clean: self.unet(x, step, features, clean), CONDITION.guidance)
        return self.diffusion.sample(denoiser, self.noise, self.prefix)

    @torch.inference_mode()
    def one_by_one(self) -> torch.Tensor:
        """View by view, and a pass each with and without condition."""
        seen = torch.cat([self.encoder(self.images[i : i + 1]) for i in range(VIEWS)], dim=1)
        features = self._condition(torch.cat([seen, self.proprioception], dim=1).expand(2, -1))

        def denoiser(x, step, clean):
            plain, wanted = (self.unet(x, step, features[i : i + 1], clean) for i in (0, 1))
            return plain + CONDITION.guidance * (wanted - plain)

        return self.diffusion.sample(denoiser, self.noise, self.prefix)

    def _condition(self, features: torch.Tensor) -> torch.Tensor:
        masked = torch.tensor([True, False])
        return torch.cat([features, self.embedding(torch.ones(2), masked)], dim=1)


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
    """p99 of a chunk: bfloat16 in one batch against plain float32 one by one, both on two threads."""
    plain, half = _ImagePolicy(half=False), _ImagePolicy(half=True)
    torch.testing.assert_close(plain.one_batch(), plain.one_by_one(), atol=1e-3, rtol=1e-3)
    torch.set_num_threads(2)
    ways = {
        "float32 one by one": plain.one_by_one,
        "float32 one batch": plain.one_batch,
        "bfloat16 one batch": half.one_batch,
        "preset small, bfloat16": _ImagePolicy(half=True, size="small").one_batch,
        "bfloat16, encoder alone": torch.inference_mode()(lambda: half.encoder(half.images)),
    }
    if COMPILE:
        ways["bfloat16 compiled"] = _ImagePolicy(half=True, compiled=True).one_batch
    found = {name: _milliseconds(way) for name, way in ways.items()}
    torch.set_num_threads(1)
    found["bfloat16 one thread"] = _milliseconds(half.one_batch)
    budget_ms = 1e3 * ScheduleConfig.max_delay / RATE_HZ
    told = ", ".join(
        f"{name} {p50:.0f}/{p99:.0f} ms ({100 * p99 / budget_ms:.0f} %)" for name, (p50, p99) in found.items()
    )
    details = f"p50/p99 and share of the {budget_ms:.0f} ms budget, two threads: {told}"
    ours, theirs = float(found["bfloat16 one batch"][1]), float(found["float32 one by one"][1])
    return Result("inference_latency", "ms", ours, "float32 one by one", theirs, theirs / ours, details)
