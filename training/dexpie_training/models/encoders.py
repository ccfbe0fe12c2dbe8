"""Observation encoders: whatever they look at, they give one feature vector a sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dexpie_training.config import EncoderConfig
from dexpie_training.models.observation import (
    Head,
    ObservationBatch,
    proprioception,
    proprioception_dim,
)
from dexpie_training.models.picture_encoder import PictureEncoder
from dexpie_training.normalisation import Standardiser


@dataclass(frozen=True)
class StateLayout:
    """Which columns of the simulated state are points, directions and plain numbers.

    Names are `<object>.<quantity>`, in the base frame: three neighbours x, y, z are a point (m); three
    neighbours <p>x, <p>y, <p>z with a common <p>, such as ax, ay, az, are a direction. Columns of
    objects named tcp_* are left out: what they say follows from the others and the observed TCP pose.
    """

    points: tuple[int, ...]
    directions: tuple[int, ...]
    scalars: tuple[int, ...]

    @classmethod
    def from_names(cls, names: Sequence[str]) -> "StateLayout":
        """Read the layout off the column names."""
        points: list[int] = []
        directions: list[int] = []
        scalars: list[int] = []
        column = 0
        while column < len(names):
            name = names[column]
            stem = name[:-1]
            is_vector = name.endswith("x") and list(names[column : column + 3]) == [stem + c for c in "xyz"]
            if not name.startswith("tcp_"):
                kind = (points if stem.endswith(".") else directions) if is_vector else scalars
                kind.append(column)
            column += 3 if is_vector else 1
        return cls(tuple(points), tuple(directions), tuple(scalars))

    def vectors(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, p, 3) and directions (B, d, 3) of states (B, k)."""
        return _triples(state, self.points), _triples(state, self.directions)


def _triples(state: Tensor, firsts: Sequence[int]) -> Tensor:
    columns = [first + i for first in firsts for i in range(3)]
    return state[:, columns].reshape(len(state), len(firsts), 3)


def to_frame(reference: Tensor, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Points (B, p, 3) and directions (B, d, 3) of `base`, seen from poses `reference` (B, 9) in base."""
    x, y = reference[:, 3:6], reference[:, 6:9]
    axes = torch.stack([x, y, torch.linalg.cross(x, y)], dim=2)  # columns: rotation, (B, 3, 3)
    return (points - reference[:, None, :3]) @ axes, directions @ axes


class StateView:
    """What is looked at of object poses and proprioception, as plain numbers: (B, dim), nothing learned."""

    def __init__(self, config: EncoderConfig, state_names: Sequence[str]) -> None:
        self.config = config
        self.layout = StateLayout.from_names(state_names)
        vectors = len(self.layout.points) + len(self.layout.directions)
        self.dim = 3 * vectors * (int(config.objects_in_base) + int(config.objects_in_tcp))
        self.dim += len(self.layout.scalars) + proprioception_dim(config.proprioception)

    def __call__(self, batch: ObservationBatch) -> Tensor:
        parts = proprioception(batch, self.config.proprioception)
        if batch.state is not None:
            points, directions = self.layout.vectors(batch.state)
            if self.config.objects_in_base:
                parts += [points.flatten(1), directions.flatten(1)]
            if self.config.objects_in_tcp:
                parts += [part.flatten(1) for part in to_frame(batch.tcp, points, directions)]
            parts.append(batch.state[:, list(self.layout.scalars)])
        return torch.cat(parts, dim=-1)


class StateEncoder(nn.Module):
    """Object poses and proprioception -> (B, feature_dim), through standardisation and two layers."""

    def __init__(self, config: EncoderConfig, state_names: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        self.raw_features = StateView(config, state_names)
        inputs = self.raw_features.dim
        if not inputs:
            raise ValueError("the encoder sees nothing: give it proprioception or object poses")
        self.standardiser = Standardiser(inputs)
        self.mlp = Head(inputs, config)
        self.feature_dim = self.mlp.feature_dim

    def fit(self, batch: ObservationBatch) -> None:
        """Take the standardisation from the training rows."""
        self.standardiser.fit(self.raw_features(batch))

    def forward(self, batch: ObservationBatch) -> Tensor:
        """Feature vector (B, feature_dim)."""
        out: Tensor = self.mlp(self.standardiser(self.raw_features(batch)))
        return out


def make_encoder(config: EncoderConfig, state_names: Sequence[str]) -> StateEncoder | PictureEncoder:
    """Encoder of the configured kind."""
    return PictureEncoder(config) if config.looks else StateEncoder(config, state_names)
