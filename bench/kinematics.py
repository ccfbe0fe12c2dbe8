"""Kinematics and prefix arithmetic of the control loop."""

import numpy as np
from measure import Result, faster, median_pair
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from dexpie_core import se3, ur5
from dexpie_core.action_space import pack, re_reference


def inverse_kinematics() -> Result:
    """Closed-form UR5 inverse against a numeric solver started one control step away."""
    q = np.array([0.3, -1.4, 1.8, -2.0, -1.5, 0.4])
    T, near = ur5.forward(q), q + 0.02

    def residual(x):
        error = se3.invert(ur5.forward(x)) @ T
        return np.concatenate([error[:3, 3], se3.rotvec_from_rotation(error[:3, :3])])

    solution = least_squares(residual, near, xtol=1e-10, ftol=1e-10, gtol=1e-10).x
    np.testing.assert_allclose(solution, ur5.inverse(T, near), atol=1e-5)
    ours, theirs = median_pair(
        lambda: ur5.inverse(T, near), lambda: least_squares(residual, near, xtol=1e-10)
    )
    return faster("inverse_kinematics", ours, "scipy least_squares", theirs, "one pose, 6 joints")


def prefix_re_reference() -> Result:
    """A chunk of 24 relative targets into the new observation's frame: batched against pose by pose."""
    rng = np.random.default_rng(0)
    T = se3.make(se3.rotation_from_rotvec(rng.normal(size=(24, 3))), rng.normal(size=(24, 3)))
    chunk = pack(T, rng.uniform(size=(24, 6)))
    old, new = T[0], T[1]

    def one_by_one():
        out = np.empty_like(chunk)
        for i, row in enumerate(chunk):
            target = se3.matrix_from_pose9(row[:9])
            moved = np.linalg.inv(new) @ old @ target
            out[i, :3] = moved[:3, 3]
            out[i, 3:9] = Rotation.from_matrix(moved[:3, :3]).as_matrix()[:, :2].T.reshape(6)
            out[i, 9:] = row[9:]
        return out

    np.testing.assert_allclose(one_by_one(), re_reference(chunk, old, new), atol=1e-10)
    ours, theirs = median_pair(lambda: re_reference(chunk, old, new), one_by_one)
    return faster("prefix_re_reference", ours, "scipy, pose by pose", theirs, "24 targets")
