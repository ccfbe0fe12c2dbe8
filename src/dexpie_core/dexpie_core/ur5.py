"""UR5 kinematics: forward, closed-form inverse, Jacobian. Pure numpy.

Denavit-Hartenberg numbers as published by the maker for the UR5 (CB3), metres and radians. Poses are
in the controller's `base` frame. `tcp_offset` is the transform flange -> TCP, as given to setTcp.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core import se3
from dexpie_core.se3 import Array

D1_M: Final = 0.089159
A2_M: Final = -0.425
A3_M: Final = -0.39225
D4_M: Final = 0.10915
D5_M: Final = 0.09465
D6_M: Final = 0.0823
DH: Final = (  # d, a, alpha of each joint
    (D1_M, 0.0, math.pi / 2),
    (0.0, A2_M, 0.0),
    (0.0, A3_M, 0.0),
    (D4_M, 0.0, math.pi / 2),
    (D5_M, 0.0, -math.pi / 2),
    (D6_M, 0.0, 0.0),
)
JOINT_NAMES: Final = (
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
)
JOINT_LIMIT_RAD: Final = 2 * math.pi
MAX_JOINT_SPEED_RAD_S: Final = 3.15
_TOLERANCE: Final = 1e-9


def link_transforms(q_rad: ArrayLike) -> Array:
    """Poses (6, 4, 4) in `base` of the six Denavit-Hartenberg frames at joint angles (6,)."""
    T = np.eye(4)
    frames = np.empty((6, 4, 4))
    for i, (angle, (d, a, alpha)) in enumerate(zip(np.asarray(q_rad, dtype=np.float64), DH, strict=True)):
        c, s, ca, sa = math.cos(angle), math.sin(angle), math.cos(alpha), math.sin(alpha)
        T = T @ np.array(
            [
                [c, -s * ca, s * sa, a * c],
                [s, c * ca, -c * sa, a * s],
                [0.0, sa, ca, d],
                [0.0, 0.0, 0.0, 1.0],
            ]
        )
        frames[i] = T
    return frames


def forward(q_rad: ArrayLike, tcp_offset: ArrayLike | None = None) -> Array:
    """TCP pose (4, 4) in `base` at joint angles (6,)."""
    flange: Array = link_transforms(q_rad)[5]
    return flange if tcp_offset is None else flange @ np.asarray(tcp_offset, dtype=np.float64)


def jacobian(q_rad: ArrayLike, tcp_offset: ArrayLike | None = None) -> Array:
    """Geometric Jacobian (6, 6): rows are TCP linear (m/s) then angular (rad/s) velocity, in `base`."""
    frames = link_transforms(q_rad)
    tcp = frames[5] if tcp_offset is None else frames[5] @ np.asarray(tcp_offset, dtype=np.float64)
    axes = np.vstack([[0.0, 0.0, 1.0], frames[:5, :3, 2]])
    origins = np.vstack([np.zeros(3), frames[:5, :3, 3]])
    linear = np.cross(axes, tcp[:3, 3] - origins)
    rows: Array = np.concatenate([linear.T, axes.T])
    return rows


def inverse(T: ArrayLike, q_near_rad: ArrayLike, tcp_offset: ArrayLike | None = None) -> Array | None:
    """Joint angles (6,) that reach the TCP pose T (4, 4), or None where it is out of reach.

    Of the up to eight branches, and of each angle's turns within +-2 pi, the solution whose largest
    joint difference to q_near (6,) is smallest. In a wrist singularity wrist_3 keeps its angle.
    """
    flange = np.asarray(T, dtype=np.float64)
    if tcp_offset is not None:
        flange = flange @ se3.invert(tcp_offset)
    near = [float(angle) for angle in np.asarray(q_near_rad, dtype=np.float64)]
    best: list[float] | None = None
    best_distance = math.inf
    for branch in _branches(flange.tolist(), near[5]):
        q = [_turn_near(angle, reference) for angle, reference in zip(branch, near, strict=True)]
        distance = max(abs(angle - reference) for angle, reference in zip(q, near, strict=True))
        if distance < best_distance:
            best, best_distance = q, distance
    return None if best is None else np.array(best)


def _branches(T: Sequence[Sequence[float]], q6_if_singular: float) -> Iterator[tuple[float, ...]]:
    """All closed-form solutions, as plain floats: eight branches cost some 50 us, numpy ten times that."""
    (nx, ox, ax, px), (ny, oy, ay, py), (nz, oz, az, pz), _ = T
    wx, wy, wz = px - D6_M * ax, py - D6_M * ay, pz - D6_M * az
    shoulder_cos = _clamped(D4_M, math.hypot(wx, wy))
    if shoulder_cos is None:
        return
    for shoulder_sign in (1.0, -1.0):
        q1 = math.atan2(wy, wx) + shoulder_sign * math.acos(shoulder_cos) + math.pi / 2
        s1, c1 = math.sin(q1), math.cos(q1)
        wrist_cos = _clamped(px * s1 - py * c1 - D4_M, D6_M)
        if wrist_cos is None:
            continue
        for wrist_sign in (1.0, -1.0):
            q5 = wrist_sign * math.acos(wrist_cos)
            s5, c5 = math.sin(q5), math.cos(q5)
            if abs(s5) < 1e-7:
                q6 = q6_if_singular
            else:
                q6 = math.atan2((oy * c1 - ox * s1) / s5, (nx * s1 - ny * c1) / s5)
            s6, c6 = math.sin(q6), math.cos(q6)
            # x axis of frame 4: the sum of the three parallel joints is its angle in the arm's plane.
            vx = nx * c5 * c6 - ox * c5 * s6 - ax * s5
            vy = ny * c5 * c6 - oy * c5 * s6 - ay * s5
            vz = nz * c5 * c6 - oz * c5 * s6 - az * s5
            q234 = math.atan2(vz, c1 * vx + s1 * vy)
            x = c1 * wx + s1 * wy - D5_M * math.sin(q234)
            y = wz - D1_M + D5_M * math.cos(q234)
            yield from ((q1, *rest, q5, q6) for rest in _planar(x, y, q234))


def _planar(x: float, y: float, q234: float) -> Iterator[tuple[float, float, float]]:
    elbow_cos = _clamped(x * x + y * y - A2_M**2 - A3_M**2, 2 * A2_M * A3_M)
    if elbow_cos is None:
        return
    for elbow_sign in (1.0, -1.0):
        q3 = elbow_sign * math.acos(elbow_cos)
        q2 = math.atan2(y, x) - math.atan2(A3_M * math.sin(q3), A2_M + A3_M * math.cos(q3))
        yield q2, q3, q234 - q2 - q3


def _clamped(numerator: float, denominator: float) -> float | None:
    if abs(numerator) > abs(denominator) * (1.0 + _TOLERANCE):
        return None
    return max(-1.0, min(1.0, numerator / denominator))


def _turn_near(angle: float, reference: float) -> float:
    q = reference + math.remainder(angle - reference, 2 * math.pi)
    while q > JOINT_LIMIT_RAD:
        q -= 2 * math.pi
    while q < -JOINT_LIMIT_RAD:
        q += 2 * math.pi
    return q
