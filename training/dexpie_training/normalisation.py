"""Scaling of relative chunks to [-1, 1], and standardisation of conditions. Statistics are buffers."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dexpie_core.action_space import ACTION_DIM
from dexpie_training.config import ActionScale

ROTATION = slice(3, 9)  # 6D rotation in an action: left as it is
MIN_RANGE = 1e-4  # m or share of the hand's range: below it a channel counts as constant


class ActionNormaliser(nn.Module):
    """Positions and hand of RELATIVE chunks to [-1, 1] by their range in the data; rotation unchanged.

    Ranges are over all steps of all chunks (`chunk`), or of each step of the chunk on its own (`step`): a
    chunk starts near the TCP, so that its first steps, of which a motion is made, gain resolution. `none`
    leaves everything as it is.
    """

    def __init__(self, horizon: int, scale: ActionScale = "chunk") -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("centre", torch.zeros(horizon, ACTION_DIM))
        self.register_buffer("half_range", torch.ones(horizon, ACTION_DIM))
        self.centre: Tensor
        self.half_range: Tensor

    def fit(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
        """Take the smallest and the largest values (H, 15) of every step over the relative chunks."""
        if self.scale == "none":
            return
        if self.scale == "chunk":
            low = np.broadcast_to(low.min(axis=0), low.shape)
            high = np.broadcast_to(high.max(axis=0), high.shape)
        centre, half_range = (low + high) / 2, (high - low) / 2
        half_range = np.where(half_range < MIN_RANGE, 1.0, half_range)
        centre[:, ROTATION], half_range[:, ROTATION] = 0.0, 1.0
        self.centre.copy_(torch.from_numpy(centre))
        self.half_range.copy_(torch.from_numpy(half_range))

    def normalise(self, relative: Tensor) -> Tensor:
        """First n <= H steps of chunks (..., n, 15), m and [0, 1] -> about [-1, 1]."""
        n = relative.shape[-2]
        return (relative - self.centre[:n]) / self.half_range[:n]

    def denormalise(self, normalised: Tensor) -> Tensor:
        """Inverse of `normalise`."""
        n = normalised.shape[-2]
        return normalised * self.half_range[:n] + self.centre[:n]


class Standardiser(nn.Module):
    """Condition features to zero mean and unit deviation, clipped to +- `limit` deviations.

    `floor` keeps a feature that hardly moved in the data from being blown up when it does.
    """

    def __init__(self, dim: int, floor: float = 0.01, limit: float = 5.0) -> None:
        super().__init__()
        self.floor, self.limit = floor, limit
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))
        self.mean: Tensor
        self.deviation: Tensor

    def fit(self, features: Tensor) -> None:
        """Take the statistics of features (N, dim), computed in float64."""
        wide = features.double()
        self.mean.copy_(wide.mean(dim=0))
        self.deviation.copy_(wide.std(dim=0, correction=0).clamp(min=self.floor))

    def forward(self, features: Tensor) -> Tensor:
        return ((features - self.mean) / self.deviation).clamp(-self.limit, self.limit)
