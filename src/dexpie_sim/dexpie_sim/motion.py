"""How a person's hand moves: smooth reaches with bounded speed, and tremor. Pure functions of given time."""

import math
from dataclasses import dataclass

import numpy as np

from dexpie_core import se3
from dexpie_core.se3 import Array

_PEAK = 15.0 / 8.0  # peak over mean speed of a minimum-jerk reach


@dataclass(frozen=True)
class ReachLimits:
    """Peak speeds of a reach, its shortest duration, and the time in which an old motion fades."""

    linear_m_s: float = 0.30
    angular_rad_s: float = 1.0
    shortest_s: float = 0.30
    fade_s: float = 0.35


@dataclass(frozen=True)
class _Segment:
    """A minimum-jerk reach from rest plus the fading of the velocity that was there, which ends sooner.

    A single quintic from the present velocity and acceleration would swing far out on long reaches.
    """

    start_s: float
    duration_s: float
    fade_s: float
    p: Array
    v: Array
    R: Array
    rotvec: Array
    goal: Array

    def position(self, t_s: float) -> Array:
        """Position (3,) `t_s` after the start."""
        s, f = _fraction(t_s, self.duration_s), _fraction(t_s, self.fade_s)
        carried = self.v * self.fade_s
        way = self.goal[:3, 3] - self.p - carried / 2.0
        out: Array = self.p + carried * (f - f**3 + f**4 / 2.0) + way * _minimum_jerk(s)
        return out

    def velocity(self, t_s: float) -> Array:
        """Velocity (3,) `t_s` after the start."""
        s, f = _fraction(t_s, self.duration_s), _fraction(t_s, self.fade_s)
        way = self.goal[:3, 3] - self.p - self.v * self.fade_s / 2.0
        out: Array = self.v * (1 - 3 * f**2 + 2 * f**3) + way * (30 * s**2 * (1 - s) ** 2 / self.duration_s)
        return out


def _fraction(t_s: float, duration_s: float) -> float:
    return min(max(t_s / duration_s, 0.0), 1.0)


def _minimum_jerk(s: float) -> float:
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2)


class Reacher:
    """Moves a pose towards goals; a new goal may come at any time and takes over the present velocity."""

    def __init__(self, T: Array, now_s: float, limits: ReachLimits) -> None:
        self.limits = limits
        self._segment = _plan(now_s, T, np.zeros(3), T, limits, 1.0)

    def go(self, goal: Array, now_s: float, speed: float = 1.0, tolerance_m: float = 0.004) -> None:
        """Head for `goal` (4, 4) at `speed` times the limits; goals that differ little change nothing."""
        present = self._segment.goal
        moved = float(np.linalg.norm(goal[:3, 3] - present[:3, 3]))
        turned = float(se3.rotation_angle(goal[:3, :3], present[:3, :3]))
        if moved < tolerance_m and turned < 0.03:
            return
        v = self._segment.velocity(now_s - self._segment.start_s)
        self._segment = _plan(now_s, self.pose(now_s), v, goal, self.limits, speed)

    def pose(self, now_s: float) -> Array:
        """Pose (4, 4) at `now_s`."""
        segment = self._segment
        t = now_s - segment.start_s
        s = _minimum_jerk(_fraction(t, segment.duration_s))
        return se3.make(segment.R @ se3.rotation_from_rotvec(s * segment.rotvec), segment.position(t))

    def remaining_s(self, now_s: float) -> float:
        """Time until the present goal is reached; negative afterwards."""
        return self._segment.start_s + self._segment.duration_s - now_s


def _plan(now_s: float, T: Array, v: Array, goal: Array, limits: ReachLimits, speed: float) -> _Segment:
    rotvec = se3.rotvec_from_rotation(T[:3, :3].T @ goal[:3, :3])
    distance = float(np.linalg.norm(goal[:3, 3] - T[:3, 3]))
    duration = max(
        _PEAK * distance / (limits.linear_m_s * speed),
        _PEAK * float(np.linalg.norm(rotvec)) / (limits.angular_rad_s * speed),
        limits.shortest_s,
    )
    fade = min(duration, limits.fade_s)
    return _Segment(now_s, duration, fade, T[:3, 3].copy(), v, T[:3, :3].copy(), rotvec, goal.copy())


@dataclass(frozen=True)
class TremorConfig:
    """Sums of three sines a coordinate: slow sway, drift correction and physiological tremor (8-12 Hz)."""

    frequencies_hz: tuple[float, float, float] = (0.7, 2.3, 9.1)
    amplitudes_m: tuple[float, float, float] = (0.0006, 0.0003, 0.0002)
    amplitudes_rad: tuple[float, float, float] = (0.003, 0.002, 0.001)


class Tremor:
    """Small unwanted motion, a function of seed and time."""

    def __init__(self, seed: int, config: TremorConfig) -> None:
        rng = np.random.default_rng([seed, 9091])
        self._phases = rng.uniform(0.0, 2 * math.pi, (6, 3))
        self._omega = 2 * math.pi * np.array(config.frequencies_hz) * rng.uniform(0.9, 1.1, (6, 3))
        self._amplitudes = np.stack(
            [np.array(config.amplitudes_m)] * 3 + [np.array(config.amplitudes_rad)] * 3
        )

    def offset(self, now_s: float) -> Array:
        """Transform (4, 4) to be multiplied from the right."""
        values = np.sum(self._amplitudes * np.sin(self._omega * now_s + self._phases), axis=1)
        return se3.make(se3.rotation_from_rotvec(values[3:]), values[:3])


def pursue(R: Array, goal: Array, dt_s: float, limit_rad_s: float, gain_1_s: float = 4.0) -> Array:
    """Rotation (3, 3) after `dt_s` of turning after a goal (3, 3) that may move, slower the nearer it is.

    A person who follows a slow target with the wrist lags by some quarter of a second.
    """
    rotvec = se3.rotvec_from_rotation(R.T @ goal)
    angle = float(np.linalg.norm(rotvec))
    step = min(1.0 - math.exp(-gain_1_s * dt_s), limit_rad_s * dt_s / max(angle, 1e-9))
    turned: Array = R @ se3.rotation_from_rotvec(step * rotvec)
    return turned
