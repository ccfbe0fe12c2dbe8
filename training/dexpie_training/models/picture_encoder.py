"""Pictures of some cameras and proprioception as one feature vector."""

from typing import cast

import torch
from torch import Tensor, nn

from dexpie_training.config import EncoderConfig
from dexpie_training.models.augmentation import Augmentation
from dexpie_training.models.image_encoder import ImageEncoderName, make_image_encoder
from dexpie_training.models.observation import (
    Head,
    ObservationBatch,
    proprioception,
    proprioception_dim,
)
from dexpie_training.models.resnet import FEATURE_DIM
from dexpie_training.normalisation import Standardiser


class PictureEncoder(nn.Module):
    """Pictures of some cameras, or their features, and proprioception -> (B, feature_dim).

    All views go through one network in one batch. Frozen, its features may be given instead of pictures;
    they are standardised like proprioception. Trained, they are taken as they are, and pictures are changed
    at random in training.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        if not config.cameras:
            raise ValueError(f"encoder.cameras is empty, {config.kind} looks at pictures")
        self.config = config
        self.pixels = make_image_encoder(cast(ImageEncoderName, config.kind), config.frozen)
        self.augmentation = Augmentation(config.augmentation)
        seen, measured = len(config.cameras) * FEATURE_DIM, proprioception_dim(config.proprioception)
        self.standardiser = Standardiser(measured + (seen if config.frozen else 0))
        self.mlp = Head(seen + measured, config)
        self.feature_dim = self.mlp.feature_dim

    def fit(self, batch: ObservationBatch) -> None:
        """Take the standardisation from the training rows, whose features are given where it is frozen."""
        self.standardiser.fit(self._steady(batch))

    def _steady(self, batch: ObservationBatch) -> Tensor:
        """What training does not change, and can be standardised: measurements, features where frozen."""
        parts = proprioception(batch, self.config.proprioception)
        return torch.cat([self.look(batch), *parts] if self.config.frozen else parts, dim=-1)

    def look(self, batch: ObservationBatch) -> Tensor:
        """Features (B, cameras x 512) of what is seen."""
        if batch.features is not None:
            return batch.features
        if batch.images is None:
            raise ValueError(f"a {self.config.kind} encoder needs images or their features")
        count, cameras = batch.images.shape[:2]
        change = self.augmentation if self.training and not self.config.frozen else None
        features: Tensor = self.pixels(batch.images.flatten(0, 1), change).to(batch.arm_q.dtype)
        return features.reshape(count, cameras * FEATURE_DIM)

    def forward(self, batch: ObservationBatch) -> Tensor:
        """Feature vector (B, feature_dim)."""
        seen = self.standardiser(self._steady(batch))
        if not self.config.frozen:
            seen = torch.cat([self.look(batch), seen], dim=-1)
        out: Tensor = self.mlp(seen)
        return out
