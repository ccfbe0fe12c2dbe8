"""What makes a command unfit to be sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core import se3, ur5
from dexpie_core.limits import CommandRefused
from dexpie_core.se3 import Array
from dexpie_hardware.ur5.parameters import Ur5Parameters

MAX_AHEAD_S = 1.0
_NORM_SLACK = 0.01
_BOX_SLACK_M = 0.001


class Reason(Enum):
    """Why a command was refused; the text is the name of its counter."""

    LENGTH = "wrong_length"
    NOT_FINITE = "not_finite"
    NO_ROTATION = "no_rotation"
    TIME = "bad_due_time"
    WORKSPACE = "outside_workspace"
    STEP = "step_too_large"
    UNREACHABLE = "unreachable"


class Refused(CommandRefused):
    """A command that must not be sent; the message holds the numbers."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Here:
    """Where a command has to begin: a pose (4, 4) and joints (6,) rad near it."""

    T: Array
    q_rad: Array


def pose_from_numbers(values: ArrayLike) -> Array:
    """Transform (4, 4) of x y z (m) and a unit quaternion x y z w, or Refused."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (7,):
        raise Refused(Reason.LENGTH, f"a pose has 7 numbers, not {numbers.shape}")
    if not np.all(np.isfinite(numbers)):
        raise Refused(Reason.NOT_FINITE, f"pose {np.round(numbers, 3).tolist()} is not finite")
    norm = float(np.linalg.norm(numbers[3:]))
    if abs(norm - 1.0) > _NORM_SLACK:
        raise Refused(Reason.NO_ROTATION, f"quaternion has length {norm:.3f}, not 1")
    return se3.matrix_from_pos_quat(numbers[:3], numbers[3:])


class CommandChecks:
    """Refuses what is late, outside the box, too far from where it begins, or out of reach."""

    def __init__(self, parameters: Ur5Parameters) -> None:
        self._p = parameters
        self._tcp_offset = parameters.tcp_offset_T
        self._has_model = parameters.kinematics == "ur5"

    def check(self, T: Array, due_s: float, here: Here, now_s: float) -> None:
        """Refused unless the target (4, 4), due at `due_s` on our clock, may follow from `here`."""
        self._check_time(due_s - now_s)
        self._check_box(T[:3, 3], here.T[:3, 3])
        if self.is_away(T, here.T):
            step_m, step_rad = distance(here.T, T)
            raise Refused(
                Reason.STEP,
                f"{step_m * 100:.1f} cm and {step_rad:.2f} rad from the pose before it "
                f"(at most {self._p.max_step_m * 100:.1f} cm, {self._p.max_step_rad:.2f} rad)",
            )
        if self._has_model and self.joints(T, here.q_rad) is None:
            raise Refused(Reason.UNREACHABLE, f"position {np.round(T[:3, 3], 3).tolist()} is out of reach")

    def joints(self, T: Array, near_rad: Array) -> Array | None:
        """Joint angles (6,) rad of a TCP pose (4, 4) by the model, None where it is out of reach."""
        return ur5.inverse(T, near_rad, self._tcp_offset)

    def next_joints(self, T: Array, before_rad: Array) -> Array | None:
        """Joint angles (6,) of the next cycle's pose, None where the joints cannot get there in one cycle.

        Without a model they are not known: the ones before come back.
        """
        if not self._has_model:
            return before_rad
        q = self.joints(T, before_rad)
        if q is None or np.max(np.abs(q - before_rad)) > self._p.max_joint_speed_rad_s * self._p.period_s:
            return None
        return q

    def is_away(self, T: Array, here_T: Array) -> bool:
        """Whether a target (4, 4) is more than a step from a pose (4, 4)."""
        step_m, step_rad = distance(here_T, T)
        return step_m > self._p.max_step_m or step_rad > self._p.max_step_rad

    def lags(self, T: Array, measured_T: Array) -> bool:
        """Whether the arm is so far from the streamed pose that it does not follow."""
        lag_m, lag_rad = distance(measured_T, T)
        return lag_m > self._p.max_lag_m or lag_rad > self._p.max_lag_rad

    def tcp_error(self, q_rad: ArrayLike, tcp_T: Array) -> tuple[float, float]:
        """Distance (m) and rotation (rad) between the controller's TCP and the model's; 0 without a model."""
        if not self._has_model:
            return 0.0, 0.0
        return distance(ur5.forward(q_rad, self._tcp_offset), tcp_T)

    def _check_time(self, left_s: float) -> None:
        if left_s < -self._p.late_command_s:
            raise Refused(Reason.TIME, f"it was due {-left_s:.3f} s ago")
        if left_s > MAX_AHEAD_S:
            raise Refused(Reason.TIME, f"it is due in {left_s:.1f} s (at most {MAX_AHEAD_S:.0f} s)")

    def _check_box(self, position_m: Array, here_m: Array) -> None:
        # An arm that is outside the box may stay there or come back, never go further out.
        low = np.minimum(self._p.workspace_min_m, here_m) - _BOX_SLACK_M
        high = np.maximum(self._p.workspace_max_m, here_m) + _BOX_SLACK_M
        if np.any(position_m < low) or np.any(position_m > high):
            raise Refused(
                Reason.WORKSPACE, f"position {np.round(position_m, 3).tolist()} is outside the workspace box"
            )


def distance(T_a: Array, T_b: Array) -> tuple[float, float]:
    """Distance (m) and rotation (rad) between two poses (4, 4)."""
    return float(np.linalg.norm(T_b[:3, 3] - T_a[:3, 3])), float(se3.rotation_angle(T_a[:3, :3], T_b[:3, :3]))
