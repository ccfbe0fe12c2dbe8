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
Matrix = Sequence[Sequence[float]]


def link_transforms(q_rad: ArrayLike) -> Array:
    """Poses (6, 4, 4) in `base` of the six Denavit-Hartenberg frames at joint angles (6,)."""
    angles = np.asarray(q_rad, dtype=np.float64).tolist()
    cosines = np.array([math.cos(angle) for angle in angles])
    sines = np.array([math.sin(angle) for angle in angles])
    frames = _FIXED + cosines[:, None, None] * _OF_COSINE + sines[:, None, None] * _OF_SINE
    for i in range(1, 6):
        frames[i] = frames[i - 1].dot(frames[i])
    return frames


def _joint_matrices() -> tuple[Array, Array, Array]:
    """A joint's transform is the first plus cos(q) times the second plus sin(q) times the third (6, 4, 4)."""
    fixed, of_cosine, of_sine = np.zeros((3, 6, 4, 4))
    for i, (d, a, alpha) in enumerate(DH):
        ca, sa = math.cos(alpha), math.sin(alpha)
        fixed[i, 2], fixed[i, 3, 3] = (0.0, sa, ca, d), 1.0
        of_cosine[i, 0, 0], of_cosine[i, 0, 3] = 1.0, a
        of_cosine[i, 1, 1:3] = ca, -sa
        of_sine[i, 0, 1:3] = -ca, sa
        of_sine[i, 1, 0], of_sine[i, 1, 3] = 1.0, a
    return fixed, of_cosine, of_sine


_FIXED, _OF_COSINE, _OF_SINE = _joint_matrices()


def forward(q_rad: ArrayLike, tcp_offset: ArrayLike | None = None) -> Array:
    """TCP pose (4, 4) in `base` at joint angles (6,)."""
    flange: Array = link_transforms(q_rad)[5]
    return flange if tcp_offset is None else flange @ np.asarray(tcp_offset, dtype=np.float64)


def jacobian(q_rad: ArrayLike, tcp_offset: ArrayLike | None = None) -> Array:
    """Geometric Jacobian (6, 6): rows are TCP linear (m/s) then angular (rad/s) velocity, in `base`."""
    frames = link_transforms(q_rad)
    tcp = frames[5] if tcp_offset is None else frames[5] @ np.asarray(tcp_offset, dtype=np.float64)
    axes, arms = np.zeros((6, 3)), np.empty((6, 3))
    axes[0, 2] = 1.0
    axes[1:] = frames[:5, :3, 2]
    arms[0] = tcp[:3, 3]
    arms[1:] = tcp[:3, 3] - frames[:5, :3, 3]
    (ax, ay, az), (rx, ry, rz) = axes.T, arms.T
    rows: Array = np.stack([ay * rz - az * ry, az * rx - ax * rz, ax * ry - ay * rx, ax, ay, az])
    return rows


def inverse(T: ArrayLike, q_near_rad: ArrayLike, tcp_offset: ArrayLike | None = None) -> Array | None:
    """Joint angles (6,) that reach the TCP pose T (4, 4), or None where it is out of reach.

    Of the up to eight branches, and of each angle's turns within +-2 pi, the solution whose largest
    joint difference to q_near (6,) is smallest. In a wrist singularity wrist_3 keeps its angle.
    """
    flange = np.asarray(T, dtype=np.float64)
    if tcp_offset is not None:
        flange = flange @ se3.invert(tcp_offset)
    near: list[float] = np.asarray(q_near_rad, dtype=np.float64).tolist()
    best, nearest = None, math.inf
    # Nearest branch first: along a path the others are farther already in their first angles.
    for shoulder_distance, q1, angle1 in _shoulders(flange.tolist(), near[0]):
        if shoulder_distance >= nearest:
            break
        for wrist_distance, q5, q6, x, y, q234 in _wrists(flange.tolist(), angle1, near):
            if wrist_distance >= nearest:
                break
            for planar_distance, *q2_to_4 in _planar(x, y, q234, near):
                distance = max(shoulder_distance, wrist_distance, planar_distance)
                if distance < nearest:
                    best, nearest = [q1, *q2_to_4, q5, q6], distance
    return None if best is None else np.array(best)


# The closed form in plain floats: eight branches cost some 50 us, numpy ten times that.


def _shoulders(T: Matrix, near: float) -> list[tuple[float, ...]]:
    """(distance, joint 1 turned near, joint 1), nearest first."""
    (_, _, ax, px), (_, _, ay, py), _, _ = T
    wx, wy = px - D6_M * ax, py - D6_M * ay
    cosine = _clamped(D4_M, math.hypot(wx, wy))
    if cosine is None:
        return []
    found = []
    for sign in (1.0, -1.0):
        angle = math.atan2(wy, wx) + sign * math.acos(cosine) + math.pi / 2
        q1 = _turn_near(angle, near)
        found.append((abs(q1 - near), q1, angle))
    return sorted(found)


def _wrists(T: Matrix, q1: float, near: Sequence[float]) -> list[tuple[float, ...]]:
    """(distance, joints 5 and 6 turned near, x, y, q2 + q3 + q4 of the planar arm), nearest first."""
    (nx, ox, ax, px), (ny, oy, ay, py), (nz, oz, az, pz), _ = T
    s1, c1 = math.sin(q1), math.cos(q1)
    wrist_cos = _clamped(px * s1 - py * c1 - D4_M, D6_M)
    if wrist_cos is None:
        return []
    wx, wy, wz = px - D6_M * ax, py - D6_M * ay, pz - D6_M * az
    found = []
    for sign in (1.0, -1.0):
        q5 = sign * math.acos(wrist_cos)
        s5, c5 = math.sin(q5), math.cos(q5)
        if abs(s5) < 1e-7:
            q6 = near[5]
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
        q5, q6 = _turn_near(q5, near[4]), _turn_near(q6, near[5])
        found.append((max(abs(q5 - near[4]), abs(q6 - near[5])), q5, q6, x, y, q234))
    return sorted(found)


def _planar(x: float, y: float, q234: float, near: Sequence[float]) -> Iterator[tuple[float, ...]]:
    """(distance, joints 2, 3 and 4 turned near) of both elbows."""
    elbow_cos = _clamped(x * x + y * y - A2_M**2 - A3_M**2, 2 * A2_M * A3_M)
    if elbow_cos is None:
        return
    for elbow_sign in (1.0, -1.0):
        q3 = elbow_sign * math.acos(elbow_cos)
        q2 = math.atan2(y, x) - math.atan2(A3_M * math.sin(q3), A2_M + A3_M * math.cos(q3))
        q4 = _turn_near(q234 - q2 - q3, near[3])
        q2, q3 = _turn_near(q2, near[1]), _turn_near(q3, near[2])
        yield max(abs(q2 - near[1]), abs(q3 - near[2]), abs(q4 - near[3])), q2, q3, q4


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
