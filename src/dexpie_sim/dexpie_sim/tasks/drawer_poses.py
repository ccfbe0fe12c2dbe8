"""How the hand takes hold of the drawer's handle and of the tissue box: hand shapes and TCP poses.

TCP frame: z along the fingers, x out of the palm, y to the thumb side. A `facing` is the horizontal unit
vector (3,) in `base` that the palm faces while the fingers point down; leaning the hand by `lean` tips the
fingers away from it, the wrist towards it. The points in the TCP frame follow from the hand's kinematics.
"""

import math
from typing import Final

import numpy as np

from dexpie_core import se3
from dexpie_core.se3 import Array
from dexpie_sim.model.drawer import BAR_RADIUS_M, BOX_HALF_M, HANDLE_GAP_M

POINT: Final = np.array([0.15, 0.15, 0.15, 0.93, 1.0, 1.0])
"""Index finger all but straight, the others in the palm, thumb aside."""
HOOK: Final = np.array([0.15, 0.15, 0.15, 0.87, 1.0, 1.0])
"""Index finger around the bar: with the bar in the way it presses with all of its force."""
OPEN: Final = np.ones(6)
PRESHAPE: Final = np.array([0.91, 0.91, 0.91, 0.91, 1.0, 0.0])
"""Thumb opposed, thumb and fingers 12 cm apart."""
GRIP: Final = np.array([0.77, 0.75, 0.75, 0.75, 0.40, 0.0])
"""Targets inside the box: thumb and fingers press on its sides."""
LET_GO: Final = np.array([0.86, 0.86, 0.86, 0.86, 0.90, 0.0])
"""Thumb and fingers some 2 cm off the box's sides: there is little more room in the drawer."""

POINT_LEAN_RAD: Final = 0.25
"""Makes the last phalanx of the pointing finger vertical."""
INDEX_TIP_M: Final = np.array([0.013, 0.032, 0.083])
"""Centre of the index fingertip in the TCP frame, hand as POINT."""
INSERT_M: Final = 0.027
"""Depth of the fingertip's centre below the middle of the bar."""

GRIP_LEAN_RAD: Final = 0.84
"""Makes the line from thumb to fingertips horizontal."""
GRIP_POINT_M: Final = np.array([0.0690, 0.005, 0.0430])
"""Where the middle of the box is held, in the TCP frame: the thumb gives way until both sides balance."""


def leaning_rotation(facing: Array, lean_rad: float) -> Array:
    """TCP rotation (3, 3); see the module text."""
    down = np.array([0.0, 0.0, -1.0])
    c, s = math.cos(lean_rad), math.sin(lean_rad)
    z, x = c * down - s * facing, c * facing + s * down
    return np.stack([x, np.cross(z, x), z], axis=1)


def handle_pose(bar: Array, pull: Array, above_m: float = 0.0) -> Array:
    """TCP pose (4, 4) with the index finger in the middle of the gap behind the bar.

    bar (3,): middle of the bar; pull (3,): opening direction; above_m: so much higher.
    """
    R = leaning_rotation(pull, POINT_LEAN_RAD)
    tip = bar - pull * (BAR_RADIUS_M + HANDLE_GAP_M / 2)
    tip = tip + np.array([0.0, 0.0, above_m - INSERT_M])
    return se3.make(R, tip - R @ INDEX_TIP_M)


def grip_axis(R_box: Array) -> tuple[int, int]:
    """Which axes of the box are gripped across and vertical: the shorter of the two that lie flat."""
    vertical = int(np.argmax(np.abs(R_box[2])))
    flat = [i for i in range(3) if i != vertical]
    return min(flat, key=lambda i: BOX_HALF_M[i]), vertical


def box_pose(centre: Array, R_box: Array, prefer: Array, above_m: float = 0.0) -> Array:
    """TCP pose (4, 4) with thumb and fingers at the sides of the box, the palm facing near `prefer` (3,)."""
    across, vertical = grip_axis(R_box)
    facing = R_box[:, across] * np.array([1.0, 1.0, 0.0])
    facing = facing / np.linalg.norm(facing)
    facing = facing if facing @ prefer >= 0.0 else -facing
    R = leaning_rotation(facing, GRIP_LEAN_RAD)
    # The fingers reach as far down as on the upright box, so that they clear what it stands on.
    height = max(0.0, BOX_HALF_M[2] - BOX_HALF_M[vertical])
    point = centre + np.array([0.0, 0.0, height + above_m])
    return se3.make(R, point - R @ GRIP_POINT_M)
