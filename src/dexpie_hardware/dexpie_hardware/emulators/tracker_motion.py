"""What an emulated tracker does and how it goes wrong: a path, a tremor, and faults. Pure."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from dexpie_core import se3
from dexpie_core.se3 import Array
from dexpie_hardware.tracker_sample import TrackerSample, Tracking

Trajectory = Callable[[float], Array]
CENTRE_M: Final = np.array([0.4, 0.1, 1.1])
SIZE_M: Final = 0.12
PERIOD_S: Final = 6.0
TURN_RAD: Final = 0.5
TREMOR_HZ: Final = (8.7, 10.3, 9.4)


def figure_eight(time_s: float) -> Array:
    """A lying eight, the wrist turning with it: pose (4, 4) at a time."""
    phase = 2.0 * np.pi * time_s / PERIOD_S
    shape = np.array([np.sin(phase), np.sin(2.0 * phase), 0.3 * np.sin(phase)])
    turn = TURN_RAD * np.array([np.sin(phase), 0.5 * np.sin(2.0 * phase), np.cos(phase)])
    return se3.make(se3.rotation_from_rotvec(turn), CENTRE_M + SIZE_M * shape)


def still(time_s: float) -> Array:
    """A hand at rest: pose (4, 4)."""
    return se3.make(np.eye(3), CENTRE_M)


def recorded(file: Path) -> Trajectory:
    """A path from JSON: rows of time_s, x, y, z (m), qx, qy, qz, qw; it begins again at its end.

    Raises ValueError that names the file.
    """
    try:
        rows = np.array(json.loads(file.read_text()), dtype=np.float64)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{file}: {error}") from error
    if rows.ndim != 2 or rows.shape[1] != 8 or len(rows) < 2 or not np.all(np.diff(rows[:, 0]) > 0):
        raise ValueError(f"{file}: needs at least two rows of 8 numbers, times growing")
    times_s = rows[:, 0] - rows[0, 0]
    poses = se3.matrix_from_pos_quat(rows[:, 1:4], rows[:, 4:8])

    def at(time_s: float) -> Array:
        time_s %= times_s[-1]
        k = min(bisect_right(times_s.tolist(), time_s), len(times_s) - 1)
        share = (time_s - times_s[k - 1]) / (times_s[k] - times_s[k - 1])
        return se3.interpolate(poses[k - 1], poses[k], float(share))

    return at


@dataclass
class Faults:
    """What is wrong now. `offset` (4, 4) is where the tracker believes to be, relative to the truth."""

    silent: bool = False
    frozen: bool = False  # the newest sample again and again
    rotation_only: bool = False
    admits: bool = False  # whether it says so
    nan: bool = False
    tracking: Tracking = Tracking.OK
    offset: Array = field(default_factory=lambda: np.eye(4))


class EmulatedTracker:
    """Gives the sample of a moment. Its clock starts anywhere; `faults` may be changed at any time."""

    def __init__(self, name: str, tremor_m: float, clock_s: float = 1000.0) -> None:
        self.faults = Faults()
        self.clock_s = clock_s  # what its clock said at time 0
        self._name = name
        self._tremor_m = tremor_m
        self._newest: TrackerSample | None = None

    def sample(self, time_s: float, T: Array) -> TrackerSample | None:
        """What it says at a time when it is at the pose T (4, 4); None while it is silent."""
        if self.faults.silent:
            return None
        if self.faults.frozen and self._newest is not None:
            return self._newest
        T = self.faults.offset @ T
        wave = np.sin(2.0 * np.pi * np.array(TREMOR_HZ) * time_s)
        position_m = T[:3, 3] + self._tremor_m * wave
        tracking = self.faults.tracking
        if self.faults.rotation_only and self._newest is not None:
            position_m = self._newest.position_m
            tracking = Tracking.ROTATION_ONLY if self.faults.admits else tracking
        self._newest = TrackerSample(
            self._name, self.clock_s + time_s, position_m, se3.quat_from_matrix(T), tracking
        )
        if self.faults.nan:
            return replace(self._newest, position_m=np.full(3, np.nan))
        return self._newest
