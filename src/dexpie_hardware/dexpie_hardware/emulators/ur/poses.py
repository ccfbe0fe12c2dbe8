"""Poses as the controller writes them (x, y, z, rx, ry, rz), and its joint limits. Pure.

Written out for one pose: the general functions of dexpie_core.se3 cost a cycle of 2 ms too much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dexpie_core import ur5
from dexpie_core.se3 import Array

_SMALL_RAD = 1e-9


class ScriptError(RuntimeError):
    """A runtime error of URScript: it ends the program."""


def matrix_from_pose(pose: Sequence[float] | Array) -> Array:
    """Transform (4, 4) of a pose (6,): metres and rotation vector (rad)."""
    px, py, pz, rx, ry, rz = (float(number) for number in pose)
    angle = math.sqrt(rx * rx + ry * ry + rz * rz)
    if angle < _SMALL_RAD:
        return np.array([[1.0, -rz, ry, px], [rz, 1.0, -rx, py], [-ry, rx, 1.0, pz], [0.0, 0.0, 0.0, 1.0]])
    x, y, z = rx / angle, ry / angle, rz / angle
    c, s = math.cos(angle), math.sin(angle)
    t = 1.0 - c
    return np.array(
        [
            [t * x * x + c, t * x * y - s * z, t * x * z + s * y, px],
            [t * x * y + s * z, t * y * y + c, t * y * z - s * x, py],
            [t * x * z - s * y, t * y * z + s * x, t * z * z + c, pz],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def pose_from_matrix(T: Array) -> list[float]:
    """Pose (6,) of a transform (4, 4), the angle in [0, pi]."""
    (a, b, c, px), (d, e, f, py), (g, h, i, pz), _ = T.tolist()
    # Each branch divides by the largest number of the quaternion (w, x, y, z).
    trace = a + e + i
    if trace > max(a, e, i):
        w, x, y, z = 1.0 + trace, h - f, c - g, d - b
    elif a >= e and a >= i:
        w, x, y, z = h - f, 1.0 + a - e - i, b + d, c + g
    elif e >= i:
        w, x, y, z = c - g, b + d, 1.0 - a + e - i, f + h
    else:
        w, x, y, z = d - b, c + g, f + h, 1.0 - a - e + i
    if w < 0.0:
        w, x, y, z = -w, -x, -y, -z
    length = math.sqrt(x * x + y * y + z * z)
    scale = 2.0 * math.atan2(length, w) / length if length > _SMALL_RAD * w else 2.0 / w
    return [px, py, pz, x * scale, y * scale, z * scale]


def joints_within_limits(q: Array) -> bool:
    """Whether joint angles (6,) rad are finite and within the limits."""
    return bool(np.all(np.abs(q) <= ur5.JOINT_LIMIT_RAD))


def inverse_or_fail(T: Array, q_near: Array, tcp_offset: Array, who: str) -> Array:
    """Joint angles (6,) of a TCP pose; ScriptError where there are none."""
    q = ur5.inverse(T, q_near, tcp_offset)
    if q is None:
        where = ", ".join(f"{number:.4f}" for number in pose_from_matrix(T))
        raise ScriptError(f"{who}: inverse kinematics has no solution for p[{where}]")
    return q
