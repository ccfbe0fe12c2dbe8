"""What a policy sees at one decision: one time, no history."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dexpie_core.se3 import Array


@dataclass(frozen=True)
class Observation:
    """Measured state at `stamp_s`.

    arm_q (6,) rad; tcp_T (4, 4) in `base`; hand (6,) in [0, 1]; scene (k,) simulated object poses, or
    None on a real cell; images: camera name -> (H, W, 3) uint8 rgb.
    """

    stamp_s: float
    arm_q: Array
    tcp_T: Array
    hand: Array
    scene: Array | None = None
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


class Policy(Protocol):
    """Anything that predicts chunks."""

    @property
    def policy_id(self) -> str:
        """Identity that is recorded with every episode."""

    def infer(self, observation: Observation, prefix: Array) -> Array:
        """Absolute targets (H, 15), the first len(prefix) of which equal prefix (n, 15)."""
