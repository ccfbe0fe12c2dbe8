"""Rows of a dataset as observations: with object poses, pictures, or features of pictures."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexpie_core.errors import UsageError
from dexpie_training.config import EncoderConfig
from dexpie_training.dataset import Dataset, copy_rows
from dexpie_training.feature_files import FrozenFeatures
from dexpie_training.models.observation import ObservationBatch
from dexpie_training.returns import Ints


@dataclass(frozen=True, eq=False)
class ObservedRows:
    """Rows of a dataset as observations. No encoder runs here.

    features: of a frozen encoder, cached; cameras: those whose pictures are read.
    """

    dataset: Dataset
    features: FrozenFeatures | None = None
    cameras: tuple[str, ...] = ()

    @classmethod
    def open(cls, dataset: Dataset, config: EncoderConfig, views: int = 0) -> Self:
        """What this encoder looks at; UsageError where the dataset does not have it.

        views: augmented views of cached features, for training to draw from.
        """
        if not config.looks:
            return cls(dataset)
        if not config.frozen:
            missing = [camera for camera in config.cameras if camera not in dataset.frames]
            if missing:
                raise UsageError(f"{dataset.path}: has no camera {missing[0]}, which the encoder looks at")
            return cls(dataset, cameras=config.cameras)
        features = FrozenFeatures.open(dataset, config.kind, views)
        if features.encoder_sha256 != config.weights_sha256:
            raise UsageError(f"{features.file}: made by another encoder than the one that this run knows")
        return cls(dataset, features)

    def __call__(
        self, rows: Ints, pictures: bool = True, draw: np.random.Generator | None = None
    ) -> ObservationBatch:
        """Observations of rows (B,), float32; without pictures where only what is measured is asked for.

        draw: of training alone; which of the cached versions of its pictures is seen of a row.
        """
        dataset = self.dataset
        return ObservationBatch(
            _tensor(dataset.arm_q, rows),
            _tensor(dataset.tcp_pose, rows),
            _tensor(dataset.hand_q, rows),
            None if dataset.state is None else _tensor(dataset.state, rows),
            None if self.features is None else torch.from_numpy(self.features.seen(rows, draw)),
            self._pictures(rows) if pictures and self.cameras else None,
        )

    def _pictures(self, rows: Ints) -> Tensor:
        """(B, cameras, H, W, 3), uint8."""
        frames = [self.dataset.frames[camera] for camera in self.cameras]
        found = np.empty((len(rows), len(frames), *frames[0].shape[1:]), dtype=np.uint8)
        for index, camera in enumerate(frames):
            copy_rows(camera, rows, found[:, index])
        return torch.from_numpy(found)


def _tensor(column: NDArray[np.generic], rows: Ints) -> Tensor:
    return torch.from_numpy(np.asarray(column[rows], dtype=np.float32))
