"""Poses for every servo cycle from timed targets that come at a lower rate. Pure.

Targets are joined by lines in position and by great arcs in rotation. A target is reached at its due
time where the bounds allow, and the motion rests at the last one. Every cycle starts from the last
commanded pose and velocity; change of velocity and velocity are bounded by construction, whatever
comes in. The speed is planned so that a stop at the last known target, and a turn back at any other
one, is always possible: the targets of a line are never passed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core import se3
from dexpie_core.se3 import Array

# Nearer than this (m or rad) is the same point.
_SAME: Final = 1e-9
# Share of the acceleration bound that plans use; the rest is for what rounding adds.
_PLANNED_SHARE: Final = 0.95
# A stop is planned so many cycles before its due time: braking in cycles takes longer than in one piece.
_EARLY_CYCLES: Final = 2.0


@dataclass(frozen=True)
class MotionBounds:
    """Bounds of the commanded TCP, and how far a turn of the path may be cut (m, rad)."""

    linear_speed_m_s: float = 0.6
    angular_speed_rad_s: float = 1.8
    linear_acceleration_m_s2: float = 15.0
    angular_acceleration_rad_s2: float = 45.0
    corner_m: float = 0.001
    corner_rad: float = 0.003


@dataclass(frozen=True)
class _Knot:
    """A point of the path, when it is due, the way to it from the knot before."""

    due_s: float
    point: Array
    way: Array
    length: float
    stop_in_time: bool  # the motion to it began at rest: nothing tells that it will go on


class _Track(ABC):
    """Follows timed points under a speed and an acceleration bound."""

    def __init__(
        self, point: Array, period_s: float, speed: float, acceleration: float, corner: float
    ) -> None:
        self.point = point
        self.velocity = np.zeros(3)
        self._period_s = period_s
        self._top_speed = speed
        self._reach = acceleration * period_s
        self._planned = _PLANNED_SHARE * acceleration
        self._corner_change = max(self._reach, math.sqrt(8.0 * acceleration * corner))
        self._knots: deque[_Knot] = deque()

    @abstractmethod
    def difference(self, start: Array, end: Array) -> Array:
        """Vector (3,) that moves `start` to `end`."""

    @abstractmethod
    def moved(self, start: Array, vector: Array) -> Array:
        """Where `vector` (3,) moves `start` to."""

    @property
    def at_rest(self) -> bool:
        """Whether the last point is reached."""
        return not self._knots and not self.velocity.any()

    def add(self, due_s: float, point: Array) -> None:
        """Append a point; it is never due before the one before it."""
        last = self._knots[-1] if self._knots else None
        way = self.difference(self.point if last is None else last.point, point)
        length = float(np.linalg.norm(way))
        if length > _SAME:
            due_s = due_s if last is None else max(due_s, last.due_s)
            self._knots.append(_Knot(due_s, point, way, length, self.at_rest))

    def step(self, now_s: float) -> None:
        """Go on by one cycle; `now_s` is when the new point is commanded."""
        if self.at_rest:
            return
        wanted, passed = self._wanted(now_s)
        change = wanted - self.velocity
        size = float(np.linalg.norm(change))
        self.velocity = wanted if size <= self._reach else self.velocity + change * (self._reach / size)
        self.point = self.moved(self.point, self.velocity * self._period_s)
        if passed:
            self._knots.popleft()
        if len(self._knots) == 1:
            last = self._knots[0].point
            if np.linalg.norm(self.difference(self.point, last)) < _SAME:
                self.point = last
                self._knots.clear()

    def _wanted(self, now_s: float) -> tuple[Array, bool]:
        """Velocity (3,) of this cycle as the path wants it, and whether it passes the next knot."""
        if not self._knots:
            return np.zeros(3), False
        way = self.difference(self.point, self._knots[0].point)
        length = float(np.linalg.norm(way))
        advance = min(self._scheduled(now_s, length), self._braked(length) * self._period_s)
        if advance < length:
            return way * (advance / length / self._period_s), False
        if len(self._knots) == 1:
            return way / self._period_s, False
        after = self._knots[1]
        share = min((advance - length) / after.length, 1.0)
        return (way + share * after.way) / self._period_s, True

    def _scheduled(self, now_s: float, length: float) -> float:
        """Length of path that the due times ask for in this cycle, within the speed bound."""
        most = self._top_speed * self._period_s
        knot = self._knots[0]
        left_s = knot.due_s - now_s + self._period_s
        if left_s <= self._period_s:
            if len(self._knots) == 1:
                return most
            after = self._knots[1]
            duration_s = after.due_s - knot.due_s
            share = min((self._period_s - left_s) / duration_s, 1.0) if duration_s > 0.0 else 1.0
            return min(length + share * after.length, most)
        if len(self._knots) == 1 and knot.stop_in_time:
            # Cruising at v and braking at a covers v t - v^2 / (2 a).
            reach = self._planned * max(left_s - _EARLY_CYCLES * self._period_s, self._period_s)
            root = reach * reach - 2.0 * self._planned * length
            return min((reach - math.sqrt(root)) * self._period_s, most) if root >= 0.0 else most
        return min(length * self._period_s / left_s, most)

    def _braked(self, length: float) -> float:
        """Largest speed of this cycle from which every knot ahead can still be taken as it must be."""
        end_speed = 0.0
        for before, knot in reversed(list(pairwise(self._knots))):
            reachable = math.sqrt(end_speed * end_speed + 2.0 * self._planned * knot.length)
            end_speed = min(self._top_speed, reachable, self._turning_speed(before, knot))
        if len(self._knots) == 1 and length <= self._planned * self._period_s**2:
            return length / self._period_s
        loss = self._planned * self._period_s
        return math.sqrt(loss * loss + end_speed * end_speed + 2.0 * self._planned * length) - loss

    def _turning_speed(self, before: _Knot, after: _Knot) -> float:
        """Largest speed for a turn: in one cycle where it leads back, else rounded by the corner at most."""
        a, b = before.way / before.length, after.way / after.length
        change = float(np.linalg.norm(b - a))
        if change < 1e-6:
            return math.inf
        return (self._reach if float(a @ b) <= 0.0 else self._corner_change) / change


class _Position(_Track):
    def difference(self, start: Array, end: Array) -> Array:
        return end - start

    def moved(self, start: Array, vector: Array) -> Array:
        return start + vector


class _Orientation(_Track):
    """Points are rotation matrices; vectors turn about axes of the base frame, along the shorter arc."""

    def difference(self, start: Array, end: Array) -> Array:
        return se3.rotvec_from_rotation(end @ start.T)

    def moved(self, start: Array, vector: Array) -> Array:
        moved: Array = se3.rotation_from_rotvec(vector) @ start
        return moved


class Interpolator:
    """Timed TCP targets in, one TCP pose a servo cycle out."""

    def __init__(self, start_T: ArrayLike, bounds: MotionBounds, period_s: float) -> None:
        T = np.array(start_T, dtype=np.float64)
        self._position = _Position(
            T[:3, 3], period_s, bounds.linear_speed_m_s, bounds.linear_acceleration_m_s2, bounds.corner_m
        )
        self._orientation = _Orientation(
            T[:3, :3],
            period_s,
            bounds.angular_speed_rad_s,
            bounds.angular_acceleration_rad_s2,
            bounds.corner_rad,
        )

    @property
    def commanded(self) -> Array:
        """The pose (4, 4) of the last cycle."""
        return se3.make(self._orientation.point, self._position.point)

    @property
    def at_rest(self) -> bool:
        """Whether the last target is reached."""
        return self._position.at_rest and self._orientation.at_rest

    def add(self, due_s: float, T: ArrayLike) -> None:
        """A target (4, 4) to be reached at `due_s`, on the clock of `step`; late is as soon as possible."""
        T = np.array(T, dtype=np.float64)
        self._position.add(due_s, T[:3, 3])
        self._orientation.add(due_s, T[:3, :3])

    def step(self, now_s: float) -> Array:
        """The pose (4, 4) to command now; call it once a servo cycle."""
        self._position.step(now_s)
        self._orientation.step(now_s)
        return self.commanded
