"""The nearest messages to points of time, and values between two messages."""

import numpy as np
from numpy.typing import NDArray

from dexpie_core import se3

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def nearest(anchors: Ints, stamps: Ints) -> Ints:
    """Index of the stamp nearest to each anchor, the earlier one of two equally near; stamps ascend."""
    if len(stamps) == 0:
        raise ValueError("no stamps")
    right = np.clip(np.searchsorted(stamps, anchors), 1, max(len(stamps) - 1, 1))
    right = np.minimum(right, len(stamps) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(anchors - stamps[left] <= stamps[right] - anchors, left, right)


def bracket(anchors: Ints, stamps: Ints) -> tuple[Ints, Ints, Floats]:
    """Indices of the stamps before and after each anchor, and where it lies between them, [0, 1].

    An anchor on a stamp, and one beyond the ends, has one and the same message on both sides.
    """
    if len(stamps) == 0:
        raise ValueError("no stamps")
    last = len(stamps) - 1
    after = np.minimum(np.searchsorted(stamps, anchors), last)
    before = np.where(stamps[after] > anchors, np.maximum(after - 1, 0), after)
    span = (stamps[after] - stamps[before]).astype(np.float64)
    fraction = np.where(span > 0, (anchors - stamps[before]) / np.maximum(span, 1.0), 0.0)
    return before, after, fraction


def between(first: Floats, second: Floats, fraction: Floats) -> Floats:
    """Rows (n, d) at fractions (n,) of the way from the first ones to the second ones."""
    return first + fraction[:, None] * (second - first)


def pose9_between(first: Floats, second: Floats, fraction: Floats) -> Floats:
    """Poses (n, 9) between two: position on a line, rotation along the geodesic."""
    A, B = se3.matrix_from_pose9(first), se3.matrix_from_pose9(second)
    R_a, R_b = A[:, :3, :3], B[:, :3, :3]
    turn = se3.rotvec_from_rotation(np.swapaxes(R_a, 1, 2) @ R_b)
    R = R_a @ se3.rotation_from_rotvec(fraction[:, None] * turn)
    return se3.pose9_from_matrix(se3.make(R, between(A[:, :3, 3], B[:, :3, 3], fraction)))
