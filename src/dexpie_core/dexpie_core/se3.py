"""Rigid transforms and the 9-number pose (xyz + 6D rotation). Pure numpy, float64, batched.

Conventions: `T` has shape (..., 4, 4) and maps points of the child frame into the parent frame.
A `pose9` has shape (..., 9): translation in metres, then the first and the second column of the
rotation matrix (Zhou et al. 2019, "On the Continuity of Rotation Representations").
Quaternions are (x, y, z, w), as in geometry_msgs.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation, Slerp

Array = NDArray[np.float64]


def make(rotation: ArrayLike, position_m: ArrayLike) -> Array:
    """Transform (..., 4, 4) from a rotation matrix (..., 3, 3) and a position (..., 3)."""
    R = np.asarray(rotation, dtype=np.float64)
    p = np.asarray(position_m, dtype=np.float64)
    single = R.ndim == 2 and p.ndim == 1
    T = np.zeros((4, 4) if single else (*np.broadcast_shapes(R.shape[:-2], p.shape[:-1]), 4, 4))
    T[..., :3, :3] = R
    T[..., :3, 3] = p
    T[..., 3, 3] = 1.0
    return T


def invert(T: ArrayLike) -> Array:
    """Inverse of rigid transforms (..., 4, 4), by transposition."""
    T = np.asarray(T, dtype=np.float64)
    R_inv = np.swapaxes(T[..., :3, :3], -1, -2)
    return make(R_inv, -np.einsum("...ij,...j->...i", R_inv, T[..., :3, 3]))


def rotation_from_6d(columns: ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3) from two stacked columns (..., 6), by Gram-Schmidt.

    Raises ValueError where the columns do not span a plane (zero, parallel, or not finite).
    """
    columns = np.asarray(columns, dtype=np.float64)
    if columns.ndim == 1:
        return _rotation_from_six(*columns[:6].tolist())
    a, b = columns[..., :3], columns[..., 3:6]
    x, x_ok = _normalised(a)
    y, y_ok = _normalised(b - np.sum(x * b, axis=-1, keepdims=True) * x)
    if not (np.all(x_ok) and np.all(y_ok)):
        raise ValueError(_DEGENERATE)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


_DEGENERATE: Final = "6D rotation is degenerate: its two columns must be finite and not parallel"
_SHORTEST: Final = 1e-8


def _rotation_from_six(ax: float, ay: float, az: float, bx: float, by: float, bz: float) -> Array:
    # Several a tick, one at a time: plain floats cost a tenth of numpy, and give the same bits.
    norm = math.sqrt(ax * ax + ay * ay + az * az)
    if not _SHORTEST < norm < math.inf:
        raise ValueError(_DEGENERATE)
    ax, ay, az = ax / norm, ay / norm, az / norm
    along = ax * bx + ay * by + az * bz
    bx, by, bz = bx - along * ax, by - along * ay, bz - along * az
    norm = math.sqrt(bx * bx + by * by + bz * bz)
    if not _SHORTEST < norm < math.inf:
        raise ValueError(_DEGENERATE)
    bx, by, bz = bx / norm, by / norm, bz / norm
    cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return np.array(((ax, bx, cx), (ay, by, cy), (az, bz, cz)))


def _normalised(v: Array) -> tuple[Array, NDArray[np.bool_]]:
    norm = np.linalg.norm(v, axis=-1, keepdims=True)
    ok = np.isfinite(norm) & (norm > _SHORTEST)
    return v / np.where(ok, norm, 1.0), ok


def rotation_to_6d(R: ArrayLike) -> Array:
    """First two columns of (..., 3, 3), stacked to (..., 6)."""
    R = np.asarray(R, dtype=np.float64)
    return np.concatenate([R[..., :, 0], R[..., :, 1]], axis=-1)


def pose9_from_matrix(T: ArrayLike) -> Array:
    """(..., 4, 4) -> (..., 9)."""
    T = np.asarray(T, dtype=np.float64)
    return np.concatenate([T[..., :3, 3], rotation_to_6d(T[..., :3, :3])], axis=-1)


def matrix_from_pose9(pose9: ArrayLike) -> Array:
    """(..., 9) -> (..., 4, 4). Raises ValueError on a degenerate rotation."""
    pose9 = np.asarray(pose9, dtype=np.float64)
    return make(rotation_from_6d(pose9[..., 3:9]), pose9[..., :3])


def quat_from_matrix(T: ArrayLike) -> Array:
    """Quaternion xyzw (..., 4), w >= 0, of rotations (..., 3, 3) or transforms (..., 4, 4)."""
    R = np.asarray(T, dtype=np.float64)[..., :3, :3]
    q = np.asarray(Rotation.from_matrix(R.reshape(-1, 3, 3)).as_quat(canonical=True))
    return q.reshape((*R.shape[:-2], 4))


def matrix_from_pos_quat(position_m: ArrayLike, quat_xyzw: ArrayLike) -> Array:
    """Transform (..., 4, 4) of position (..., 3) and quaternion (..., 4); the quaternion is normalised."""
    quat = np.asarray(quat_xyzw, dtype=np.float64)
    R = Rotation.from_quat(quat.reshape(-1, 4)).as_matrix()
    return make(R.reshape((*quat.shape[:-1], 3, 3)), position_m)


def rotvec_from_rotation(R: ArrayLike) -> Array:
    """Rotation vector (axis * angle, rad) (..., 3) of (..., 3, 3), angle in [0, pi]."""
    R = np.asarray(R, dtype=np.float64)
    v = Rotation.from_matrix(R.reshape(-1, 3, 3)).as_rotvec()
    return np.asarray(v).reshape((*R.shape[:-2], 3))


def rotation_from_rotvec(rotvec_rad: ArrayLike) -> Array:
    """Rotation matrix (..., 3, 3) of a rotation vector (..., 3)."""
    v = np.asarray(rotvec_rad, dtype=np.float64)
    R = Rotation.from_rotvec(v.reshape(-1, 3)).as_matrix()
    return np.asarray(R).reshape((*v.shape[:-1], 3, 3))


def rotation_angle(R_a: ArrayLike, R_b: ArrayLike) -> Array:
    """Angle (rad, in [0, pi]) between rotations (..., 3, 3); accurate near 0 and near pi."""
    R = np.swapaxes(np.asarray(R_a, dtype=np.float64), -1, -2) @ np.asarray(R_b, dtype=np.float64)
    trace = R[..., 0, 0] + R[..., 1, 1] + R[..., 2, 2]
    x, y, z = R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]
    # arctan2 keeps half the digits that arccos of the trace loses at both ends.
    angle: Array = np.arctan2(np.sqrt(x * x + y * y + z * z), trace - 1.0)
    return angle


def interpolate(T_a: ArrayLike, T_b: ArrayLike, s: float) -> Array:
    """Pose (4, 4) at fraction s in [0, 1] from T_a to T_b: line in position, slerp in rotation."""
    T_a, T_b = np.asarray(T_a, dtype=np.float64), np.asarray(T_b, dtype=np.float64)
    slerp = Slerp([0.0, 1.0], Rotation.from_matrix(np.stack([T_a[:3, :3], T_b[:3, :3]])))
    return make(slerp(s).as_matrix(), (1.0 - s) * T_a[:3, 3] + s * T_b[:3, 3])
