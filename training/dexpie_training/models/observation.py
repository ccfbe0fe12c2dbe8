"""What an encoder is given of a batch, and the head that most encoders end with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Final

import torch
from torch import Tensor, nn

from dexpie_training.config import EncoderConfig, ProprioceptionName

PROPRIOCEPTION_DIM: Final[dict[str, int]] = {"q": 6, "tcp": 9, "hand": 6}


@dataclass(frozen=True)
class ObservationBatch:
    """Observations of a batch, float32: arm_q (B, 6), tcp (B, 9), hand (B, 6), and what is seen.

    state (B, k): simulated object poses; features (B, cameras x 512): of pictures, by a frozen network;
    images (B, cameras, H, W, 3) uint8. None: not given.
    """

    arm_q: Tensor
    tcp: Tensor
    hand: Tensor
    state: Tensor | None = None
    features: Tensor | None = None
    images: Tensor | None = None

    def to(self, device: torch.device) -> "ObservationBatch":
        """The same on another device."""
        return self._each(lambda part: part.to(device, non_blocking=True))

    def pin_memory(self) -> "ObservationBatch":
        """The same in memory that a GPU copies from without waiting."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "ObservationBatch":
        parts = (getattr(self, field.name) for field in fields(self))
        return ObservationBatch(*(None if part is None else change(part) for part in parts))  # type: ignore[arg-type]


def proprioception(batch: ObservationBatch, names: Sequence[ProprioceptionName]) -> list[Tensor]:
    """The measured quantities of these names, (B, k) each."""
    measured = {"q": batch.arm_q, "tcp": batch.tcp, "hand": batch.hand}
    return [measured[name] for name in names]


def proprioception_dim(names: Sequence[ProprioceptionName]) -> int:
    """How many numbers they are."""
    return sum(PROPRIOCEPTION_DIM[name] for name in names)


class Head(nn.Sequential):
    """What an encoder ends with: (B, inputs) -> (B, feature_dim); two layers, or nothing at all.

    In training the configured noise is added to what it is given.
    """

    def __init__(self, inputs: int, config: EncoderConfig) -> None:
        hidden, features = config.hidden_dim, config.feature_dim
        layers = (nn.Linear(inputs, hidden), nn.Mish(), nn.Linear(hidden, features)) if hidden else ()
        super().__init__(*layers)
        self.noise = config.noise
        self.feature_dim = features if hidden else inputs

    def forward(self, seen: Tensor) -> Tensor:
        if self.training and self.noise:
            seen = seen + self.noise * torch.randn_like(seen)
        out: Tensor = super().forward(seen)  # type: ignore[no-untyped-call]
        return out
