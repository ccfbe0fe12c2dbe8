"""What a person sees of the drawer task, and reads from it: in the hand, stowed, where to put the box."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from dexpie_core import se3
from dexpie_core.se3 import Array
from dexpie_sim.model.drawer import BOX_HALF_M, CABINET_HALF_M, FLOOR_TOP_M, HANDLE_AT_M, INNER_X_M
from dexpie_sim.tasks.base import SceneReading
from dexpie_sim.tasks.drawer_poses import GRIP_POINT_M, grip_axis

_FLAT: Final = np.array([1.0, 1.0, 0.0])
_BAR_TO_PANEL_M: Final = HANDLE_AT_M[0] - INNER_X_M[1]
_BEHIND_BAR_M: Final = (0.05, 0.20)


@dataclass(frozen=True)
class Sight:
    """Box centre (3,) and rotation (3, 3), middle of the bar (3,), opening direction (3,), opening (m).

    tcp_box, tcp_handle (3,): box and bar in the TCP frame. All in metres, in `base` unless said otherwise.
    """

    box: Array
    R_box: Array
    handle: Array
    pull: Array
    opening_m: float
    tcp_box: Array
    tcp_handle: Array

    @classmethod
    def of(cls, scene: SceneReading) -> "Sight":
        """Read it from the scene."""
        box = scene.group("box.")
        along, up = box[3:6], box[6:9]
        return cls(
            box[:3],
            np.stack([along, np.cross(up, along), up], axis=1),
            scene.group("handle."),
            np.append(scene.group("pull."), 0.0),
            float(scene.group("drawer.opening")[0]),
            scene.group("tcp_box.")[:3],
            scene.group("tcp_handle."),
        )

    @property
    def lowest_m(self) -> float:
        """Height of the box's lowest corner."""
        return float(self.box[2] - np.abs(self.R_box[2]) @ np.array(BOX_HALF_M))

    @property
    def in_hand(self) -> bool:
        """Whether the box is where a held box is, seen from the palm."""
        x, y, z = self.tcp_box
        return bool(0.03 < x < 0.11 and -0.05 < y < 0.06 and 0.0 < z < 0.09)

    def grip_error_m(self, tcp_T: Array) -> float:
        """How far the box's middle is from where a good grip has it."""
        vertical = grip_axis(self.R_box)[1]
        height = max(0.0, BOX_HALF_M[2] - BOX_HALF_M[vertical])
        gripped = self.tcp_box + tcp_T[:3, :3].T @ [0.0, 0.0, height]
        return float(np.linalg.norm(gripped - GRIP_POINT_M))

    @property
    def stowed(self) -> bool:
        """Whether the box lies flat on the floor of an open drawer."""
        behind = float((self.handle - self.box) @ self.pull)
        low = self.lowest_m < FLOOR_TOP_M + 0.006
        flat = np.max(np.abs(self.R_box[2])) > 0.98
        return bool(low and flat and _BEHIND_BAR_M[0] < behind < _BEHIND_BAR_M[1] and self.opening_m > 0.10)

    def place_in_drawer(self, forward_m: float) -> Array:
        """Point (3,) on the drawer's floor, `forward_m` before the middle of its open part."""
        room = self.opening_m + INNER_X_M[1] - CABINET_HALF_M[0]
        back = _BAR_TO_PANEL_M + room / 2 - forward_m
        return self.handle * _FLAT - back * self.pull + np.array([0.0, 0.0, FLOOR_TOP_M])

    def place_before_drawer(self, ahead_m: float) -> Array:
        """Point (3,) on the table, `ahead_m` before the handle."""
        return self.handle * _FLAT + ahead_m * self.pull

    def carried_to(self, tcp_T: Array, bottom: Array) -> Array:
        """TCP pose (4, 4) with the box straight and the middle of its lower side at `bottom` (3,)."""
        R, p = tcp_T[:3, :3], tcp_T[:3, 3]
        vertical = grip_axis(self.R_box)[1]
        R_goal = self._straightening() @ R
        centre = bottom + np.array([0.0, 0.0, BOX_HALF_M[vertical]])
        return se3.make(R_goal, centre - R_goal @ (R.T @ (self.box - p)))

    def _straightening(self) -> Array:
        """Smallest turn (3, 3) that makes the box stand straight, its gripped axis along the drawer's way."""
        across, vertical = grip_axis(self.R_box)
        third = 3 - across - vertical
        goal = np.empty((3, 3))
        goal[:, vertical] = [0.0, 0.0, 1.0 if self.R_box[2, vertical] > 0.0 else -1.0]
        goal[:, across] = self.pull if self.R_box[:, across] @ self.pull >= 0.0 else -self.pull
        goal[:, third] = np.cross(goal[:, vertical], goal[:, across])
        if np.linalg.det(goal) < 0.0:
            goal[:, third] *= -1.0
        return goal @ self.R_box.T
