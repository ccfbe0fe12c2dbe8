"""How the joints are moved: servo, moves, speeds, brakes. Pure.

A motion is stepped once a control cycle and returns the joint reference. Where it cannot go on it
raises ScriptError, which ends the program.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from dexpie_core import se3, ur5
from dexpie_core.se3 import Array
from dexpie_hardware.emulators.ur.poses import (
    ScriptError,
    inverse_or_fail,
    joints_within_limits,
)

MAX_JOINT_SPEED_RAD_S: Final = np.array([3.15, 3.15, 3.15, 3.2, 3.2, 3.2])
MAX_JOINT_ACCELERATION_RAD_S2: Final = 40.0
# A turn without translation has no length; a metre of this lever gives it one.
_LEVER_M_PER_RAD: Final = 0.2
_SMALLEST_LAG_S: Final = 0.002


class Motion(Protocol):
    """What moves the joints."""

    thread: str  # which thread of the program keeps it up; "" where none does

    @property
    def finished(self) -> bool:
        """Whether it has come to its end."""

    def step(self, q: Array, qd: Array, dt_s: float, scaling: float) -> tuple[Array, Array]:
        """Joint reference (6,) rad and rad/s a cycle later; `scaling` in [0, 1] slows the motion."""


class Hold:
    """Stands where it is."""

    thread = ""
    finished = True

    def step(self, q: Array, qd: Array, dt_s: float, scaling: float) -> tuple[Array, Array]:
        return q, np.zeros(6)


class Servo:
    """Follows the newest target for ever, which a steadily moving target leads by `lag_s`.

    Critically damped, within the joints' speed and acceleration. Gain is accepted and has no effect.
    """

    thread = "servo"
    finished = False

    def __init__(self, target_q: Array, lag_s: float) -> None:
        self.retarget(target_q, lag_s)

    def retarget(self, target_q: Array, lag_s: float) -> None:
        """Take a new target (6,) rad."""
        self.target_q = target_q
        self._lag_s = max(lag_s, _SMALLEST_LAG_S)

    def step(self, q: Array, qd: Array, dt_s: float, scaling: float) -> tuple[Array, Array]:
        error = self.target_q - q
        top = MAX_JOINT_SPEED_RAD_S * scaling
        # Never faster than a stop at the target allows with half the acceleration.
        braking = np.sqrt(MAX_JOINT_ACCELERATION_RAD_S2 * np.abs(error))
        wanted = np.clip(error / self._lag_s, -np.minimum(top, braking), np.minimum(top, braking))
        # A quarter of the lag makes the pair of poles real and equal.
        share = 1.0 - math.exp(-4.0 * dt_s / self._lag_s)
        reach = MAX_JOINT_ACCELERATION_RAD_S2 * dt_s
        qd = qd + np.clip((wanted - qd) * share, -reach, reach)
        return q + qd * dt_s, qd


class Trapezoid:
    """Distance along a path of a length, from rest to rest, with a speed and an acceleration limit."""

    def __init__(self, length: float, speed: float, acceleration: float) -> None:
        self._length = length
        self._speed = min(speed, math.sqrt(length * acceleration))
        self._acceleration = acceleration
        self._ramp_s = self._speed / acceleration
        self.duration_s = length / self._speed + self._ramp_s if length > 0.0 else 0.0

    def fraction(self, time_s: float) -> float:
        """Share of the path in [0, 1] at a time."""
        if time_s >= self.duration_s:
            return 1.0
        left_s = self.duration_s - time_s
        if time_s < self._ramp_s:
            done = 0.5 * self._acceleration * time_s**2
        elif left_s < self._ramp_s:
            done = self._length - 0.5 * self._acceleration * left_s**2
        else:
            done = self._speed * (time_s - 0.5 * self._ramp_s)
        return done / self._length


class _Path:
    """A move along a path with a trapezoid speed profile."""

    thread = "move"

    def __init__(self, profile: Trapezoid) -> None:
        self._profile = profile
        self._time_s = 0.0
        self.finished = profile.duration_s == 0.0

    def step(self, q: Array, qd: Array, dt_s: float, scaling: float) -> tuple[Array, Array]:
        self._time_s += dt_s * scaling
        following = self._at(self._profile.fraction(self._time_s), q)
        if self._time_s >= self._profile.duration_s:
            self.finished = True
        return following, (following - q) / dt_s

    def _at(self, fraction: float, q: Array) -> Array:
        raise NotImplementedError


class JointMove(_Path):
    """moveJ: all joints start and arrive together; the one with the longest way sets the pace."""

    def __init__(
        self, start_q: Array, target_q: Array, speed_rad_s: float, acceleration_rad_s2: float
    ) -> None:
        if not joints_within_limits(target_q):
            raise ScriptError("movej: target is beyond the joint limits")
        self._start_q, self._target_q = start_q, target_q
        length = float(np.max(np.abs(target_q - start_q)))
        super().__init__(Trapezoid(length, min(speed_rad_s, ur5.MAX_JOINT_SPEED_RAD_S), acceleration_rad_s2))

    def _at(self, fraction: float, q: Array) -> Array:
        return self._start_q + fraction * (self._target_q - self._start_q)


class LinearMove(_Path):
    """moveL: the TCP on a line, the rotation along its shortest arc."""

    def __init__(
        self,
        start_q: Array,
        target: Array,
        speed_m_s: float,
        acceleration_m_s2: float,
        tcp_offset: Array,
    ) -> None:
        self._offset = tcp_offset
        self._start = ur5.forward(start_q, tcp_offset)
        self._target = target
        inverse_or_fail(self._target, start_q, tcp_offset, "movel")
        metres = float(np.linalg.norm(self._target[:3, 3] - self._start[:3, 3]))
        turned = float(se3.rotation_angle(self._start[:3, :3], self._target[:3, :3]))
        super().__init__(Trapezoid(max(metres, _LEVER_M_PER_RAD * turned), speed_m_s, acceleration_m_s2))

    def _at(self, fraction: float, q: Array) -> Array:
        return inverse_or_fail(se3.interpolate(self._start, self._target, fraction), q, self._offset, "movel")


class JointSpeed:
    """speedJ: joint speeds, reached with an acceleration."""

    thread = "speed"
    finished = False

    def __init__(self, qd_rad_s: Array, acceleration_rad_s2: float) -> None:
        self._wanted = np.clip(qd_rad_s, -MAX_JOINT_SPEED_RAD_S, MAX_JOINT_SPEED_RAD_S)
        self._acceleration = acceleration_rad_s2

    def step(self, q: Array, qd: Array, dt_s: float, scaling: float) -> tuple[Array, Array]:
        reach = self._acceleration * dt_s
        qd = qd + np.clip(self._wanted * scaling - qd, -reach, reach)
        return q + qd * dt_s, qd


class ToolSpeed:
    """speedL: a TCP velocity (m/s, rad/s in base), reached with an acceleration."""

    thread = "speed"
    finished = False

    def __init__(self, velocity: Array, acceleration_m_s2: float, tcp_offset: Array) -> None:
        self._wanted = velocity
        self._acceleration = acceleration_m_s2
        self._offset = tcp_offset

    def step(self, q: Array, qd: Array, dt_s: float, scaling: float) -> tuple[Array, Array]:
        jacobian = ur5.jacobian(q, self._offset)
        reach = self._acceleration * dt_s
        velocity = jacobian @ qd
        velocity = velocity + np.clip(self._wanted * scaling - velocity, -reach, reach)
        wanted_qd = np.linalg.lstsq(jacobian, velocity, rcond=1e-4)[0]
        qd = np.clip(wanted_qd, -MAX_JOINT_SPEED_RAD_S, MAX_JOINT_SPEED_RAD_S)
        return q + qd * dt_s, qd


class Brake:
    """Slows all joints down together until they stand."""

    thread = ""

    def __init__(self, qd: Array, duration_s: float) -> None:
        self._start_qd = qd
        self._duration_s = duration_s
        self._time_s = 0.0
        self.finished = duration_s <= 0.0 or not np.any(qd)

    @classmethod
    def of_joints(cls, qd: Array, deceleration_rad_s2: float) -> Brake:
        """stopj: the fastest joint slows down at this rate."""
        return cls(qd, float(np.max(np.abs(qd))) / deceleration_rad_s2)

    @classmethod
    def of_tool(cls, q: Array, qd: Array, deceleration_m_s2: float, tcp_offset: Array) -> Brake:
        """stopl: the TCP slows down at this rate, at least as fast as the joints can."""
        velocity = ur5.jacobian(q, tcp_offset) @ qd
        speed = max(
            float(np.linalg.norm(velocity[:3])), float(np.linalg.norm(velocity[3:])) * _LEVER_M_PER_RAD
        )
        joints = float(np.max(np.abs(qd))) / MAX_JOINT_ACCELERATION_RAD_S2
        return cls(qd, max(speed / deceleration_m_s2, joints))

    def step(self, q: Array, qd: Array, dt_s: float, scaling: float) -> tuple[Array, Array]:
        if self.finished:
            return q, np.zeros(6)
        self._time_s += dt_s
        left = max(0.0, 1.0 - self._time_s / self._duration_s)
        self.finished = left == 0.0
        qd = self._start_qd * left
        return q + qd * dt_s, qd


class BrakeThenMove:
    """Brings a moving arm to rest, then starts a move from there."""

    thread = "move"

    def __init__(self, brake: Brake, move_from: Callable[[Array], Motion]) -> None:
        self._brake = brake
        self._move_from = move_from
        self._move: Motion | None = None

    @property
    def finished(self) -> bool:
        return self._move is not None and self._move.finished

    def step(self, q: Array, qd: Array, dt_s: float, scaling: float) -> tuple[Array, Array]:
        if not self._brake.finished:
            return self._brake.step(q, qd, dt_s, scaling)
        if self._move is None:
            self._move = self._move_from(q)
        return self._move.step(q, qd, dt_s, scaling)
