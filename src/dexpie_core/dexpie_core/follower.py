"""Human-as-follower teleoperation: the operator's motion continues from the robot's last command.

T_ee(t) = T_ee(t0) . X . inv(T_v(t0)) . T_v(t) . inv(X)    (paper 4.1, Figure 2)

with T_v the tracker pose in its own world, and X the fixed rotation of the tracker's axes expressed
in the TCP frame, so that moving the wrist forward moves the TCP forward.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core import se3
from dexpie_core.action_space import HAND_DIM, pack, unpack
from dexpie_core.se3 import Array
from dexpie_core.tremor import TremorConfig, TremorFilter


@dataclass(frozen=True)
class FollowerConfig:
    """Calibration of the tracker, the filter against tremor, and the blend of the hand at the switch.

    tracker_to_wrist_rotvec_rad: rotation X, tracker axes in the TCP frame.
    world_to_base_rotvec_rad: rotation of the tracker's world in the arm's base frame. Only the
    alignment aid uses it; the teleoperation itself never relies on absolute tracker poses.
    tremor: None for no filter.
    """

    tracker_to_wrist_rotvec_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)
    world_to_base_rotvec_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hand_blend_s: float = 0.4
    tremor: TremorConfig | None = None


@dataclass(frozen=True)
class Misalignment:
    """How far the operator's wrist and fingers are from the robot's: angle (rad) and hand (6,) in [-1, 1]."""

    rotation_rad: float
    hand: Array


class HumanFollower:
    """Clutch once at the switch, then ask for the action at any rate. Time is given, never read."""

    def __init__(self, config: FollowerConfig | None = None) -> None:
        self.config = config or FollowerConfig()
        self._X = se3.make(se3.rotation_from_rotvec(self.config.tracker_to_wrist_rotvec_rad), np.zeros(3))
        self._X_inv = se3.invert(self._X)
        self._world_to_base = se3.rotation_from_rotvec(self.config.world_to_base_rotvec_rad)
        self._clutched_at_s: float | None = None

    @property
    def clutched(self) -> bool:
        """Whether reference poses are stored."""
        return self._clutched_at_s is not None

    def clutch(self, now_s: float, tracker_T: ArrayLike, command: ArrayLike) -> None:
        """Store the references: tracker pose (4, 4) and the last commanded action (15,) at the key press."""
        T_ee, hand = unpack(command)
        # Begun anew: what it still had to catch up with belongs to the motion before the switch.
        self._filter = TremorFilter(self.config.tremor, now_s, tracker_T) if self.config.tremor else None
        self._left = T_ee @ self._X @ se3.invert(tracker_T)
        self._hand_start = hand.copy()
        self._clutched_at_s = now_s

    def release(self) -> None:
        """Forget the references."""
        self._clutched_at_s = None

    def action(self, now_s: float, tracker_T: ArrayLike, glove_hand: ArrayLike) -> Array:
        """Absolute action (15,) for the tracker pose (4, 4) and the retargeted glove (6,).

        Raises RuntimeError before the first clutch.
        """
        if self._clutched_at_s is None:
            raise RuntimeError("clutch() the follower before asking for an action")
        T_v = np.asarray(tracker_T, dtype=np.float64)
        if self._filter is not None:
            T_v = self._filter.step(now_s, T_v)
        T_ee = self._left @ T_v @ self._X_inv
        weight = _smoothstep((now_s - self._clutched_at_s) / max(self.config.hand_blend_s, 1e-9))
        hand = (1.0 - weight) * self._hand_start + weight * np.asarray(glove_hand, dtype=np.float64)
        return pack(T_ee, hand)

    def misalignment(self, tracker_T: ArrayLike, glove_hand: ArrayLike, command: ArrayLike) -> Misalignment:
        """Wrist and finger error of the operator against the last commanded action (15,)."""
        T_ee, hand = unpack(command)
        wrist = self._world_to_base @ np.asarray(tracker_T, dtype=np.float64)[:3, :3] @ self._X_inv[:3, :3]
        error = np.asarray(glove_hand, dtype=np.float64) - hand
        if error.shape != (HAND_DIM,):
            raise ValueError(f"glove_hand has shape {error.shape}, expected ({HAND_DIM},)")
        return Misalignment(float(se3.rotation_angle(T_ee[:3, :3], wrist)), error)


def _smoothstep(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)
