"""Transforms against hand-computed values, scipy and their own inverses."""

import numpy as np
import pytest
from hypothesis import given
from scipy.spatial.transform import Rotation
from strategies import transforms, vectors

from dexpie_core import se3


def test_pose9_holds_columns_not_rows():
    T = se3.make([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [1, 2, 3])
    np.testing.assert_array_equal(se3.pose9_from_matrix(T), [1, 2, 3, 0, 1, 0, -1, 0, 0])


def test_rows_instead_of_columns_give_another_rotation():
    R = se3.rotation_from_rotvec([0.3, -0.2, 0.5])
    rows = R[:2].reshape(6)
    assert se3.rotation_angle(R, se3.rotation_from_6d(rows)) > 0.5


@given(transforms)
def test_pose9_round_trip(T):
    np.testing.assert_allclose(se3.matrix_from_pose9(se3.pose9_from_matrix(T)), T, atol=1e-12)


@given(transforms)
def test_inverse(T):
    np.testing.assert_allclose(T @ se3.invert(T), np.eye(4), atol=1e-12)


@given(transforms)
def test_quaternion_round_trip(T):
    quat = se3.quat_from_matrix(T)
    assert quat[3] >= 0.0
    np.testing.assert_allclose(se3.matrix_from_pos_quat(T[:3, 3], quat), T, atol=1e-12)


def test_gram_schmidt_of_a_scaled_skewed_pair():
    # x = (2, 0, 0), y = (5, 3, 0): normalise, remove the x part, normalise.
    np.testing.assert_allclose(se3.rotation_from_6d([2, 0, 0, 5, 3, 0]), np.eye(3), atol=1e-15)


@pytest.mark.parametrize("columns", [[0] * 6, [1, 0, 0, 2, 0, 0], [np.nan, 0, 0, 0, 1, 0]])
def test_degenerate_6d_is_refused(columns):
    with pytest.raises(ValueError, match="degenerate"):
        se3.rotation_from_6d(columns)


@given(vectors, vectors)
def test_rotation_angle_agrees_with_scipy(a, b):
    R_a, R_b = se3.rotation_from_rotvec(a), se3.rotation_from_rotvec(b)
    expected = (Rotation.from_matrix(R_a).inv() * Rotation.from_matrix(R_b)).magnitude()
    assert se3.rotation_angle(R_a, R_b) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("angle", [1e-9, 1e-4, np.pi - 1e-9])
def test_rotation_angle_keeps_its_digits_at_both_ends(angle):
    R = se3.rotation_from_rotvec([0, 0, angle])
    assert se3.rotation_angle(np.eye(3), R) == pytest.approx(angle, abs=1e-12)


def test_interpolation_halves_a_quarter_turn():
    T = se3.make(se3.rotation_from_rotvec([0, 0, np.pi / 2]), [2, 0, 0])
    middle = se3.interpolate(np.eye(4), T, 0.5)
    np.testing.assert_allclose(se3.rotvec_from_rotation(middle[:3, :3]), [0, 0, np.pi / 4], atol=1e-12)
    np.testing.assert_allclose(middle[:3, 3], [1, 0, 0], atol=1e-12)


def test_batches_equal_single_calls():
    rng = np.random.default_rng(0)
    T = se3.make(se3.rotation_from_rotvec(rng.normal(size=(4, 5, 3))), rng.normal(size=(4, 5, 3)))
    batch = se3.quat_from_matrix(T)
    assert batch.shape == (4, 5, 4)
    np.testing.assert_allclose(batch[2, 3], se3.quat_from_matrix(T[2, 3]))
