"""Whether a tracker moves as a hand can: jumps, speeds, positions that stand still while it turns. Pure."""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from dexpie_core.se3 import Array


@dataclass(frozen=True)
class MotionBounds:
    """What a hand with a tracker does not do.

    jump_m, jump_rad: largest step between two samples up to jump_gap_s apart; it grows with a longer gap,
    to the one of longest_gap_s. Speeds are means over speed_window_s. A position that has moved less than
    still_m for still_s while the tracker turned by still_rad is one that the tracker has lost.
    """

    jump_m: float = 0.05
    jump_rad: float = math.radians(15.0)
    jump_gap_s: float = 0.04  # one tick of the executor
    longest_gap_s: float = 0.1
    max_speed_m_s: float = 3.0
    max_angular_speed_rad_s: float = 15.0
    speed_window_s: float = 0.1
    still_m: float = 1e-5
    still_rad: float = math.radians(3.0)
    still_s: float = 0.1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0.0:
                raise ValueError(f"{name} must be positive, not {value}")


@dataclass(frozen=True)
class _Point:
    time_s: float
    position_m: Array
    quat: Array


class MotionCheck:
    """Judges each sample by those before it. Times are the tracker's own, and grow."""

    def __init__(self, bounds: MotionBounds) -> None:
        self._bounds = bounds
        self._recent: deque[_Point] = deque()
        self._anchor: _Point | None = None  # the first sample at the position that the tracker has had since
        self._stuck = False

    def reset(self) -> None:
        """The next sample is the first one."""
        self._recent.clear()
        self._anchor = None
        self._stuck = False

    def problem(self, time_s: float, position_m: Array, quat: Array) -> str:
        """What is implausible about a sample, else ''. It is the new reference either way.

        position_m (3,), quat (4,) of length one.
        """
        point = _Point(time_s, position_m, quat)
        problem = self._jump(point)
        if problem:
            self._recent.clear()
        self._recent.append(point)
        while self._recent[0].time_s < time_s - self._bounds.speed_window_s:
            self._recent.popleft()
        return problem or self._speed(point) or self._standstill(point)

    def _jump(self, point: _Point) -> str:
        if not self._recent:
            return ""
        bounds, last = self._bounds, self._recent[-1]
        gap_s = point.time_s - last.time_s
        scale = max(1.0, min(gap_s, bounds.longest_gap_s) / bounds.jump_gap_s)
        moved_m, turned_rad = _apart(last, point)
        if moved_m <= scale * bounds.jump_m and turned_rad <= scale * bounds.jump_rad:
            return ""
        return f"jumped by {moved_m * 100:.1f} cm, {math.degrees(turned_rad):.0f} deg in {gap_s * 1e3:.0f} ms"

    def _speed(self, point: _Point) -> str:
        bounds, first = self._bounds, self._recent[0]
        elapsed_s = point.time_s - first.time_s
        if elapsed_s < 0.5 * bounds.speed_window_s:  # over less, a step within the bounds looks like a speed
            return ""
        moved_m, turned_rad = _apart(first, point)
        if (
            moved_m <= bounds.max_speed_m_s * elapsed_s
            and turned_rad <= bounds.max_angular_speed_rad_s * elapsed_s
        ):
            return ""
        return f"moves at {moved_m / elapsed_s:.1f} m/s, {turned_rad / elapsed_s:.1f} rad/s"

    def _standstill(self, point: _Point) -> str:
        bounds, anchor = self._bounds, self._anchor
        if anchor is None or float(np.linalg.norm(point.position_m - anchor.position_m)) > bounds.still_m:
            self._anchor, self._stuck = point, False
            return ""
        turned_rad = _apart(anchor, point)[1]
        self._stuck |= turned_rad > bounds.still_rad and point.time_s - anchor.time_s >= bounds.still_s
        return "turns while its position stands still (rotation only)" if self._stuck else ""


def _apart(a: _Point, b: _Point) -> tuple[float, float]:
    """Distance (m) and angle (rad)."""
    other = b.quat if np.dot(a.quat, b.quat) >= 0.0 else -b.quat
    angle_rad = 4.0 * math.atan2(np.linalg.norm(a.quat - other), np.linalg.norm(a.quat + other))
    return float(np.linalg.norm(b.position_m - a.position_m)), angle_rad
