"""Relative chunks of training rows as tensors, ready to be indexed."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexpie_training.dataset import Dataset, Windows

CACHE_LIMIT_BYTES = 512 * 2**20
BLOCK_ROWS = 4096


@dataclass(frozen=True, eq=False)
class ActorData:
    """What the actor learns from: rows of a dataset, addressed by their position in `rows`.

    Relative chunks are computed once where they fit into memory (36 kB per 25 rows at H = 24), else
    batch by batch; both are vectorised over the batch.
    """

    windows: Windows
    rows: NDArray[np.int64]
    chunks: Tensor | None

    @classmethod
    def prepare(cls, dataset: Dataset, rows: NDArray[np.int64], horizon: int) -> "ActorData":
        """Keep of `rows` those that start a window, and compute their chunks."""
        windows = Windows(dataset, horizon)
        kept = np.intersect1d(rows, windows.starts)
        fits = len(kept) * horizon * 15 * 4 <= CACHE_LIMIT_BYTES
        return cls(windows, kept, _relative(windows, kept) if fits else None)

    def __len__(self) -> int:
        return len(self.rows)

    def relative_chunks(self, positions: NDArray[np.int64]) -> Tensor:
        """Relative chunks (B, H, 15) at these positions, float32."""
        if self.chunks is not None:
            return self.chunks[torch.from_numpy(positions)]
        return _relative(self.windows, self.rows[positions])

    def chunk_range(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Smallest and largest values (H, 15) of every step over all relative chunks."""
        shape = (self.windows.horizon, 15)
        low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
        for first in range(0, len(self), BLOCK_ROWS):
            block = self.relative_chunks(np.arange(first, min(first + BLOCK_ROWS, len(self)))).numpy()
            low = np.minimum(low, block.min(axis=0))
            high = np.maximum(high, block.max(axis=0))
        return low, high


def _relative(windows: Windows, rows: NDArray[np.int64]) -> Tensor:
    blocks = [
        windows.relative_chunks(rows[first : first + BLOCK_ROWS]).astype(np.float32)
        for first in range(0, len(rows), BLOCK_ROWS)
    ]
    empty = np.zeros((0, windows.horizon, 15), dtype=np.float32)
    return torch.from_numpy(np.concatenate(blocks) if blocks else empty)
