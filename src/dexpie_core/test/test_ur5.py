"""UR5 kinematics: known poses, numeric derivatives, and inverse after forward."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_core import se3, ur5

joints = st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6).map(np.array)
OFFSET = se3.make(se3.rotation_from_rotvec([0.1, -0.4, 0.2]), [0.01, 0.02, 0.13])


def test_stretched_arm_by_hand():
    # All joints zero: the arm lies along -x; the wrist points along -y.
    T = ur5.forward(np.zeros(6))
    expected = [-(0.425 + 0.39225), -(0.10915 + 0.0823), 0.089159 - 0.09465]
    np.testing.assert_allclose(T[:3, 3], expected, atol=1e-12)


def test_upright_arm_by_hand():
    T = ur5.forward([0, -np.pi / 2, 0, -np.pi / 2, 0, 0])
    np.testing.assert_allclose(
        T[:3, 3], [0, -(0.10915 + 0.0823), 0.089159 + 0.425 + 0.39225 + 0.09465], atol=1e-12
    )


@given(joints)
def test_jacobian_equals_finite_differences(q):
    J = ur5.jacobian(q, OFFSET)
    step = 1e-6
    for i in range(6):
        dq = np.zeros(6)
        dq[i] = step
        T_low, T_high = ur5.forward(q - dq, OFFSET), ur5.forward(q + dq, OFFSET)
        linear = (T_high[:3, 3] - T_low[:3, 3]) / (2 * step)
        angular = se3.rotvec_from_rotation(T_high[:3, :3] @ T_low[:3, :3].T) / (2 * step)
        np.testing.assert_allclose(J[:, i], [*linear, *angular], atol=1e-6)


@given(joints)
def test_inverse_reaches_the_pose(q):
    T = ur5.forward(q, OFFSET)
    solution = ur5.inverse(T, q, OFFSET)
    assert solution is not None
    np.testing.assert_allclose(ur5.forward(solution, OFFSET), T, atol=1e-6)
    assert np.all(np.abs(solution) <= ur5.JOINT_LIMIT_RAD + 1e-9)


def test_inverse_stays_on_the_branch_of_q_near():
    q = np.array([0.3, -1.2, 1.7, -2.0, -1.5, 0.4])
    solution = ur5.inverse(ur5.forward(q), q + 0.05)
    np.testing.assert_allclose(solution, q, atol=1e-9)


def test_inverse_keeps_the_turn():
    q = np.array([0.3, -1.2, 1.7, -2.0, -1.5, 0.4 + 2 * np.pi - 1.0])
    np.testing.assert_allclose(ur5.inverse(ur5.forward(q), q), q, atol=1e-9)


@pytest.mark.parametrize("position", [[2.0, 0, 0.3], [0, 0, 1.4]])
def test_out_of_reach_is_none(position):
    assert ur5.inverse(se3.make(np.eye(3), position), np.zeros(6)) is None
