"""How the hand takes small things: a pinch of thumb against index and middle finger, from above.

In the TCP frame (z along the fingers, x out of the palm, y to the thumb side) the pads of the three digits
meet at PINCH_POINT_M. They close along the line from thumb to fingers, and point at right angles to it; the
hand is held so that they point straight down. The figures follow from the hand's kinematics.
"""

import math
from typing import Final

import numpy as np

from dexpie_core import se3
from dexpie_core.se3 import Array
from dexpie_sim.model.lid import BOX_INNER_HALF_M, BOX_WALL_M, KNOB_RADIUS_M

PINCH_POINT_M: Final = np.array([0.0730, 0.0215, 0.0370])
FINGERS_DOWN_RAD: Final = 0.69
"""Angle of the outstretched fingers below the horizontal."""

OPEN: Final = np.array([1.0, 1.0, 0.80, 0.81, 0.82, 0.15])
"""Digits 80 mm apart: around knob or candy, touching neither. Little and ring finger stay out of the way."""
PINCH: Final = {
    "lid": np.array([1.0, 1.0, 0.59, 0.59, 0.35, 0.15]),
    "candy": np.array([1.0, 1.0, 0.54, 0.54, 0.42, 0.15]),
}
"""Targets inside knob and candy: fingers press with 2 to 5 N each and the thumb with their sum, near the
pinch point. With more on either side the thing wanders off, or slips out between the digits."""
PART: Final = np.array([1.0, 1.0, 0.70, 0.71, 0.70, 0.15])
"""Digits just off the object: they let go within the box's opening without touching its walls."""
SPREAD: Final = np.ones(6)
"""The hand stretched out, as it starts."""
CANDY_GRASP_M: Final = 0.003
"""Height above the candy's centre at which it is pinched: the thumb then clears the table."""
WRIST_TURN_RAD: Final = 0.7
MOST_TURN_RAD: Final = 1.85
"""How far from straight the wrist turns for a better grip, and at most, where things are in the way."""

# Where the open digits come down, seen from the pinch: along and across the line on which they close. Little
# and ring finger stay 3 cm higher, on the side away from the thumb.
_REACH_M: Final = (-0.060, -0.030, 0.030, 0.060)
_WIDTH_M: Final = (-0.020, 0.020)
_LITTLE_FINGER_M: Final = -0.057
_BOX_HALF_M: Final = BOX_INNER_HALF_M + BOX_WALL_M
_LID_REACH_M: Final = 0.075
_KNOB_REACH_M: Final = KNOB_RADIUS_M + 0.008
_ON_LID_M: Final = 0.020  # a candy whose centre is higher than this lies on the lid


def pinch_rotation(heading_rad: float) -> Array:
    """TCP rotation (3, 3) for a pinch from above, its digits closing along the heading on the table."""
    c, s = math.cos(FINGERS_DOWN_RAD), math.sin(FINGERS_DOWN_RAD)
    along = np.array([math.cos(heading_rad), math.sin(heading_rad), 0.0])
    down = np.array([0.0, 0.0, -1.0])
    z, x = c * along + s * down, c * down - s * along
    return np.stack([x, np.cross(z, x), z], axis=1)


def pinch_pose(point_m: Array, heading_rad: float) -> Array:
    """TCP pose (4, 4) that has the pinch at `point_m` (3,) in `base`."""
    R = pinch_rotation(heading_rad)
    return se3.make(R, np.asarray(point_m) - R @ PINCH_POINT_M)


def straight_heading(point_m: Array) -> float:
    """Heading (rad) of a relaxed wrist at a point: half the turn of the arm."""
    return 0.5 * math.atan2(point_m[1], point_m[0])


def pinch_heading(point_m: Array, axis: Array) -> float:
    """Heading (rad) for a long thing: across its axis (3,), as far as the wrist likes to turn."""
    straight = straight_heading(point_m)
    across = math.atan2(axis[1], axis[0]) + math.pi / 2 - straight
    turned = (across + math.pi / 2) % math.pi - math.pi / 2
    return straight + float(np.clip(turned, -WRIST_TURN_RAD, WRIST_TURN_RAD))


def free_heading(candy: Array, box: Array, lid: Array) -> float:
    """Heading (rad) for the candy at which the open digits come down beside the box and the lid.

    Arguments are the scene's groups: centre and long axis; opening, up and side axis; knob and up axis.
    """
    wanted = pinch_heading(candy[:3], candy[3:6])
    headings = straight_heading(candy) + np.linspace(-MOST_TURN_RAD, MOST_TURN_RAD, 33)
    free = [h for h in (wanted, *headings) if not _blocked(candy[:3], h, box, lid)]
    return float(min(free, key=lambda heading: abs(heading - wanted), default=wanted))


def off_the_wall(point_m: Array, box: Array) -> Array:
    """How far (3,) the pinch stays off a thing's centre, so that fingers pass between it and the box."""
    local = _in_box(point_m[:2], box)
    nearest = np.clip(local, -_BOX_HALF_M, _BOX_HALF_M)
    gap = float(np.linalg.norm(local - nearest))
    if gap == 0.0:
        return np.zeros(3)
    shift = (local - nearest) / gap * np.clip(_WIDTH_M[1] + 0.002 - gap, 0.0, 0.008)
    side = box[6:8] / np.linalg.norm(box[6:8])
    return np.array([*(shift[0] * side + shift[1] * np.array([-side[1], side[0]])), 0.0])


def _in_box(xy: Array, box: Array) -> Array:
    """Positions (..., 2) along the box's two sides, from its middle."""
    side = box[6:8] / np.linalg.norm(box[6:8])
    offset = xy - box[:2]
    return np.stack([offset @ side, offset @ np.array([-side[1], side[0]])], axis=-1)


def _blocked(point_m: Array, heading_rad: float, box: Array, lid: Array) -> bool:
    """Whether fingers or thumb, open, would come down on the box, on the lid's plate or on its knob."""
    along = np.array([math.cos(heading_rad), math.sin(heading_rad)])
    across = np.array([-along[1], along[0]])
    centre = (point_m + off_the_wall(point_m, box))[:2]
    digits = centre + np.array([x * along + y * across for x in _REACH_M for y in _WIDTH_M])
    others = centre + np.array([x * along + _LITTLE_FINGER_M * across for x in _REACH_M])
    on_box = np.max(np.abs(_in_box(np.vstack([digits, others]), box)), axis=1) < _BOX_HALF_M
    lid_reach_m = _LID_REACH_M if point_m[2] < _ON_LID_M else _KNOB_REACH_M
    on_lid = np.linalg.norm(digits - lid[:2], axis=1) < lid_reach_m
    return bool(np.any(on_box) or np.any(on_lid))
