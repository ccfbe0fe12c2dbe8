"""Sinusoidal embeddings of the denoising step and of a value in [0, 1]."""

import math

import torch
from torch import Tensor, nn

from dexpie_training.config import ConditionConfig


def sinusoid(x: Tensor, dim: int, min_period: float, max_period: float) -> Tensor:
    """Embed scalars x (...,) as (..., dim): sines, then cosines, of dim/2 log-spaced periods.

    Periods are in units of x. A component can only resolve differences of about a tenth of its
    period, so the shortest one has to be small against the differences that matter.
    """
    if dim % 2 or dim < 4:
        raise ValueError(f"embedding dimension must be even and at least 4, got {dim}")
    fraction = torch.linspace(0.0, 1.0, dim // 2, device=x.device, dtype=torch.float32)
    period = min_period * (max_period / min_period) ** fraction
    angle = x.to(torch.float32)[..., None] * (2.0 * math.pi / period)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class StepEmbedding(nn.Module):
    """Denoising step (B,) -> (B, dim): sinusoid, Linear to 4 dim, Mish, Linear back to dim.

    Periods run from 2 pi to 2 pi 10^4 steps, the ladder of the Transformer (Vaswani et al. 2017).
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.Mish(), nn.Linear(4 * dim, dim))

    def forward(self, step: Tensor) -> Tensor:
        embedded: Tensor = self.mlp(sinusoid(step, self.dim, 2.0 * math.pi, 2.0 * math.pi * 1e4))
        return embedded


class OptimalityEmbedding(nn.Module):
    """Optimality I in [0, 1], (B,) -> (B, dim), or the null condition where `masked` (B,) is true.

    `continuous`: a sinusoid. The default periods 4e-3..4 resolve [0, 1]; with the Transformer's ladder 0.6
    and 0.8 are nearly the same vector. `binary` (RECAP): one learned vector for I = 1 and one for less.
    """

    def __init__(self, config: ConditionConfig) -> None:
        super().__init__()
        self.config = config
        learned = config.null == "learned"
        self.null = nn.Parameter(torch.zeros(config.dim), requires_grad=learned)
        if learned:
            nn.init.normal_(self.null, std=0.02)
        self.bit = nn.Embedding(2, config.dim) if config.kind == "binary" else None

    def forward(self, optimality: Tensor, masked: Tensor) -> Tensor:
        config = self.config
        if self.bit is not None:
            embedded = self.bit((optimality >= 1.0).long())
        else:
            embedded = sinusoid(optimality, config.dim, config.min_period, config.max_period)
        return torch.where(masked[:, None], self.null, embedded)


def make_condition(config: ConditionConfig) -> OptimalityEmbedding | None:
    """Embedding of the configured kind, None where there is no condition."""
    return None if config.kind == "none" else OptimalityEmbedding(config)
