"""Bounds on every command: one place for limits, one function that refuses, one that clamps.

These are software limits. They are not safety rated; the controller's safety configuration is.
"""

import math
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core import se3
from dexpie_core.action_space import ACTION_DIM, POSE_DIM, RATE_HZ, pack, unpack
from dexpie_core.se3 import Array


class CommandRefused(ValueError):
    """A command that must not be executed, not even clamped."""


class Clamp(IntFlag):
    """Which bound shortened a command. Bits of dexpie_msgs/msg/ExecutedAction.clamped."""

    NONE = 0
    LINEAR = 1
    ANGULAR = 2
    HAND = 4
    WORKSPACE = 8


@dataclass(frozen=True)
class MotionLimits:
    """Speed bounds of the commanded TCP and hand, and the workspace box in `base` (metres).

    Hand speed is in full travels a second: 1.25 is the hand's unloaded maximum (800 ms travel),
    3.0 leaves the shaping of fast gestures to the hand itself.
    """

    max_linear_speed_m_s: float = 0.5
    max_angular_speed_rad_s: float = 1.5
    max_hand_speed_1_s: float = 3.0
    workspace_min_m: tuple[float, float, float] = (-0.85, -0.85, 0.0)
    workspace_max_m: tuple[float, float, float] = (0.85, 0.85, 0.9)
    rate_hz: float = RATE_HZ

    @property
    def linear_step_m(self) -> float:
        """Largest TCP displacement in one tick (m)."""
        return self.max_linear_speed_m_s / self.rate_hz

    @property
    def angular_step_rad(self) -> float:
        """Largest TCP rotation in one tick (rad)."""
        return self.max_angular_speed_rad_s / self.rate_hz

    @property
    def hand_step(self) -> float:
        """Largest change of one hand channel in one tick (fraction of travel)."""
        return self.max_hand_speed_1_s / self.rate_hz


@dataclass(frozen=True)
class Limited:
    """A command within bounds, and which bounds had to act."""

    command: Array
    clamped: Clamp


_HAND_SLACK: Final = 0.05


def check_action(target: ArrayLike) -> Array:
    """The target (15,) as float64, or CommandRefused: wrong length, not finite, no rotation, no hand."""
    action = np.asarray(target, dtype=np.float64)
    if action.shape != (ACTION_DIM,):
        raise CommandRefused(f"action has shape {action.shape}, expected ({ACTION_DIM},)")
    if not np.all(np.isfinite(action)):
        raise CommandRefused("action is not finite")
    hand = action[POSE_DIM:]
    if np.any(hand < -_HAND_SLACK) or np.any(hand > 1.0 + _HAND_SLACK):
        raise CommandRefused(f"hand target {np.round(hand, 3).tolist()} is outside [0, 1]")
    try:
        se3.rotation_from_6d(action[3:POSE_DIM])
    except ValueError as error:
        raise CommandRefused(str(error)) from None
    return action


def limit_step(previous: ArrayLike, target: ArrayLike, limits: MotionLimits) -> Limited:
    """The command (15,) nearest to `target` that is one tick's step away from `previous` at most.

    Position moves along the line, rotation along the geodesic, each hand channel by itself.
    """
    T_prev, hand_prev = unpack(previous)
    T_goal, hand_goal = unpack(target)
    clamped = Clamp.NONE

    low, high = np.array(limits.workspace_min_m), np.array(limits.workspace_max_m)
    # A robot that starts outside the box may stay there or return, never go further out.
    low, high = np.minimum(low, T_prev[:3, 3]), np.maximum(high, T_prev[:3, 3])
    position = np.clip(T_goal[:3, 3], low, high)
    if not np.array_equal(position, T_goal[:3, 3]):
        clamped |= Clamp.WORKSPACE

    step = position - T_prev[:3, 3]
    length = float(np.linalg.norm(step))
    if length > limits.linear_step_m:
        position = T_prev[:3, 3] + step * (limits.linear_step_m / length)
        clamped |= Clamp.LINEAR

    rotation = T_goal[:3, :3]
    angle = float(se3.rotation_angle(T_prev[:3, :3], rotation))
    if angle > limits.angular_step_rad:
        rotation = se3.interpolate(T_prev, T_goal, limits.angular_step_rad / angle)[:3, :3]
        clamped |= Clamp.ANGULAR

    hand_goal = np.clip(hand_goal, 0.0, 1.0)
    hand = np.clip(hand_goal, hand_prev - limits.hand_step, hand_prev + limits.hand_step)
    if not np.array_equal(hand, hand_goal):
        clamped |= Clamp.HAND
    return Limited(pack(se3.make(rotation, position), hand), clamped)


def step_sizes(previous: ArrayLike, command: ArrayLike) -> tuple[float, float, float]:
    """Displacement (m), rotation (rad) and largest hand change (fraction) between two commands (15,)."""
    T_a, hand_a = unpack(previous)
    T_b, hand_b = unpack(command)
    displacement = float(np.linalg.norm(T_b[:3, 3] - T_a[:3, 3]))
    rotation = float(se3.rotation_angle(T_a[:3, :3], T_b[:3, :3]))
    change = float(np.max(np.abs(hand_b - hand_a)))
    assert math.isfinite(displacement)
    return displacement, rotation, change
