"""Tremor filter of a tracked pose: the One-Euro filter, its rotation on SO(3). Time is given, never read.

A low-pass filter whose cutoff rises with the speed of the signal (Casiez, Roussel and Vogel 2012, "1 Euro
filter"): at rest it takes tremor (8 to 12 Hz, parts of a millimetre) and jitter of the tracker out, in
motion it lags by milliseconds. Rotations move along the geodesic to the new one; their speed is the angular
velocity in the axes of the body, so nothing depends on where the rotation vector wraps.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core import se3
from dexpie_core.se3 import Array


@dataclass(frozen=True)
class TremorConfig:
    """Cutoff frequency (Hz) at rest, and what each m/s and each rad/s adds to it.

    At 50 Hz and the defaults a 9 Hz tremor of 0.3 mm comes through at 0.18 of its size, of 0.2 degrees at
    0.20; hand motion of 1 Hz and 5 cm lags by 10 ms (1 cm: 32 ms), of 15 degrees by 12 ms.
    """

    cutoff_hz: float = 1.5
    cutoff_hz_per_m_s: float = 80.0
    cutoff_hz_per_rad_s: float = 12.0
    speed_cutoff_hz: float = 2.0

    def __post_init__(self) -> None:
        if not (self.cutoff_hz > 0.0 and self.speed_cutoff_hz > 0.0):
            raise ValueError("tremor.cutoff_hz and tremor.speed_cutoff_hz must be positive")
        if not (self.cutoff_hz_per_m_s >= 0.0 and self.cutoff_hz_per_rad_s >= 0.0):
            raise ValueError("tremor.cutoff_hz_per_m_s and tremor.cutoff_hz_per_rad_s must not be negative")


class TremorFilter:
    """Begin with a pose, then give the poses (4, 4) in the order of their times (s), at any rate."""

    def __init__(self, config: TremorConfig, now_s: float, T: ArrayLike) -> None:
        self.config = config
        self._now_s = now_s
        self._raw = self._filtered = np.array(T, dtype=np.float64)
        self._velocity_m_s = np.zeros(3)
        self._velocity_rad_s = np.zeros(3)

    def step(self, now_s: float, T: ArrayLike) -> Array:
        """The filtered pose (4, 4). A time that is not later than the last one changes nothing."""
        elapsed_s = now_s - self._now_s
        if elapsed_s <= 0.0:
            return self._filtered
        raw = np.array(T, dtype=np.float64)
        self._take_speed(raw, elapsed_s)
        c, before = self.config, self._filtered
        linear = c.cutoff_hz + c.cutoff_hz_per_m_s * float(np.linalg.norm(self._velocity_m_s))
        angular = c.cutoff_hz + c.cutoff_hz_per_rad_s * float(np.linalg.norm(self._velocity_rad_s))
        position = before[:3, 3] + _weight(linear, elapsed_s) * (raw[:3, 3] - before[:3, 3])
        way = se3.rotvec_from_rotation(before[:3, :3].T @ raw[:3, :3])
        rotation = before[:3, :3] @ se3.rotation_from_rotvec(_weight(angular, elapsed_s) * way)
        self._now_s, self._raw, self._filtered = now_s, raw, se3.make(rotation, position)
        return self._filtered

    def _take_speed(self, raw: Array, elapsed_s: float) -> None:
        weight = _weight(self.config.speed_cutoff_hz, elapsed_s)
        metres = raw[:3, 3] - self._raw[:3, 3]
        radians = se3.rotvec_from_rotation(self._raw[:3, :3].T @ raw[:3, :3])
        self._velocity_m_s = self._velocity_m_s + weight * (metres / elapsed_s - self._velocity_m_s)
        self._velocity_rad_s = self._velocity_rad_s + weight * (radians / elapsed_s - self._velocity_rad_s)


def _weight(cutoff_hz: float, elapsed_s: float) -> float:
    """Weight of the new sample in a first-order low-pass filter."""
    ratio = 2.0 * math.pi * cutoff_hz * elapsed_s
    return ratio / (1.0 + ratio)
