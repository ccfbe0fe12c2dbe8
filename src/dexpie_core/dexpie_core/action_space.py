"""The action space: absolute and relative chunks of 15 numbers a step.

An action is (..., 15): TCP target as pose9 (see `se3`), then six hand targets in [0, 1], 1 = open.
Absolute targets are in the arm's `base` frame. A relative chunk expresses the arm part in the TCP
frame observed at the chunk's observation, inv(T_ref) . T_target; the hand part stays absolute
(spec/learning.md 1; the scheme of UMI, Chi et al. 2024).
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core import se3
from dexpie_core.se3 import Array

POSE_DIM: Final = 9
HAND_DIM: Final = 6
ACTION_DIM: Final = POSE_DIM + HAND_DIM
HAND_CHANNELS: Final = ("little", "ring", "middle", "index", "thumb_bend", "thumb_rotate")
RATE_HZ: Final = 25.0


def pack(T: ArrayLike, hand: ArrayLike) -> Array:
    """Action (..., 15) of a TCP target (..., 4, 4) and hand targets (..., 6)."""
    return np.concatenate([se3.pose9_from_matrix(T), np.asarray(hand, dtype=np.float64)], axis=-1)


def unpack(action: ArrayLike) -> tuple[Array, Array]:
    """TCP target (..., 4, 4) and hand targets (..., 6) of an action (..., 15)."""
    action = _checked(action)
    return se3.matrix_from_pose9(action[..., :POSE_DIM]), action[..., POSE_DIM:]


def relative_from_absolute(reference: ArrayLike, targets: ArrayLike) -> Array:
    """Absolute targets (..., 15) seen from `reference`.

    `reference` is the observed TCP pose, (4, 4) or (..., 1, 4, 4) for a batch of chunks (..., H, 15).
    """
    T, hand = unpack(targets)
    return pack(se3.invert(reference) @ T, hand)


def absolute_from_relative(reference: ArrayLike, relative: ArrayLike) -> Array:
    """Inverse of `relative_from_absolute`."""
    T, hand = unpack(relative)
    return pack(np.asarray(reference, dtype=np.float64) @ T, hand)


def re_reference(relative: ArrayLike, T_old: ArrayLike, T_new: ArrayLike) -> Array:
    """Relative targets (..., 15) of the frame T_old, expressed in the frame T_new.

    The future-state-referenced padding of the paper, 4.2 (Figure 3).
    """
    T, hand = unpack(relative)
    return pack(se3.invert(T_new) @ np.asarray(T_old, dtype=np.float64) @ T, hand)


def _checked(action: ArrayLike) -> Array:
    array = np.asarray(action, dtype=np.float64)
    if array.shape[-1] != ACTION_DIM:
        raise ValueError(f"an action has {ACTION_DIM} numbers, got {array.shape[-1]}")
    return array
