"""What the simulated cell tells the simulated cameras: the numbers of /sim/qpos, both ways. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core.se3 import Array

NS_PER_S: Final = 1_000_000_000
_HEADER: Final = 3
_FIXED_LOOKS: Final = -1.0


@dataclass(frozen=True)
class CameraView:
    """One moment for all cameras.

    stamp_ns: when the pictures are taken, ROS time. qpos (k,): the state that they show, which is older by
    the cameras' latency. looks_seed: what the looks are drawn from, None where they are fixed. noise: of the
    pixels, counts of 255.
    """

    stamp_ns: int
    qpos: Array
    looks_seed: int | None = None
    noise: float = 0.0

    def encode(self) -> Array:
        """(3 + k,): stamp in seconds, seed of the looks or -1, noise, state. The type has no header."""
        looks = _FIXED_LOOKS if self.looks_seed is None else float(self.looks_seed)
        return np.concatenate(([self.stamp_ns / NS_PER_S, looks, self.noise], self.qpos))

    @classmethod
    def decode(cls, data: ArrayLike) -> "CameraView":
        """The view again, its stamp to a microsecond. Raises ValueError where numbers are missing."""
        numbers = np.asarray(data, dtype=np.float64)
        if len(numbers) < _HEADER:
            raise ValueError(f"/sim/qpos has {len(numbers)} numbers; it begins with stamp, looks and noise")
        stamp_s, looks, noise = numbers[:_HEADER].tolist()
        seed = None if looks == _FIXED_LOOKS else int(looks)
        return cls(round(stamp_s * NS_PER_S), numbers[_HEADER:], seed, noise)
