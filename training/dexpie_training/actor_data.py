"""Rows that the actor learns from, with the optimality of the windows that start at them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexpie_training.batches import ActorData
from dexpie_training.config import ActorConfig
from dexpie_training.labels import Labels
from dexpie_training.models.observation import ObservationBatch
from dexpie_training.observed import ObservedRows


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Windows of a dataset and their optimality (n,) float32; 1 where nothing is labelled."""

    observed: ObservedRows
    data: ActorData
    optimality: Tensor

    @classmethod
    def prepare(
        cls, observed: ObservedRows, rows: NDArray[np.int64], config: ActorConfig, labels: Labels | None
    ) -> "LabelledRows":
        """Keep of `rows` those that start a window, and look up what each window is worth."""
        data = ActorData.prepare(observed.dataset, rows, config.horizon)
        if labels is None:
            return cls(observed, data, torch.ones(len(data)))
        optimality = labels.of_windows(data.windows.rows(data.rows), config.condition.window_rule)
        return cls(observed, data, torch.from_numpy(optimality.astype(np.float32)))

    def __len__(self) -> int:
        return len(self.data)

    def batch(
        self, positions: NDArray[np.int64], draw: np.random.Generator | None = None
    ) -> tuple[ObservationBatch, Tensor, Tensor]:
        """Observations, relative chunks (B, H, 15) and optimality (B,) at these positions.

        draw: as of ObservedRows.
        """
        return (
            self.observed(self.data.rows[positions], draw=draw),
            self.data.relative_chunks(positions),
            self.optimality[torch.from_numpy(positions)],
        )
