"""The tremor filter: what it takes out, how late it makes motion, and that rotations stay rotations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import actions, hands, transforms, vectors

from dexpie_core import se3
from dexpie_core.follower import FollowerConfig, HumanFollower
from dexpie_core.limits import step_sizes
from dexpie_core.tremor import TremorConfig, TremorFilter

RATE_HZ = 50.0
SECONDS = 8.0
AXIS = np.array([0.6, 0.0, 0.8])


def filtered(pose_at, config: TremorConfig | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Times (n,) and filtered poses (n, 4, 4) of a function of time."""
    times_s = np.arange(0.0, SECONDS, 1.0 / RATE_HZ)
    tremor = TremorFilter(config or TremorConfig(), times_s[0], pose_at(times_s[0]))
    return times_s, np.array([tremor.step(t, pose_at(t)) for t in times_s])


def gain_and_lag(times_s: np.ndarray, signal: np.ndarray, hz: float, amplitude: float) -> tuple[float, float]:
    """Amplitude ratio and lag (s) of the fundamental, from the last second of a whole number of periods."""
    part = times_s >= SECONDS - 1.0 - 1e-9
    phasor = 2.0 * np.mean(signal[part] * np.exp(-2j * np.pi * hz * times_s[part]))
    lag_rad = -np.pi / 2.0 - np.angle(phasor)  # of a sine
    return float(abs(phasor) / amplitude), float(lag_rad % (2.0 * np.pi) / (2.0 * np.pi * hz))


def line(hz: float, amplitude_m: float):
    return lambda t: se3.make(np.eye(3), [amplitude_m * np.sin(2 * np.pi * hz * t), 0.0, 0.0])


def turn(hz: float, amplitude_rad: float, about: np.ndarray | None = None):
    R = np.eye(3) if about is None else about
    return lambda t: se3.make(
        R @ se3.rotation_from_rotvec(amplitude_rad * np.sin(2 * np.pi * hz * t) * AXIS), np.zeros(3)
    )


def angles(poses: np.ndarray) -> np.ndarray:
    return se3.rotvec_from_rotation(poses[:, :3, :3]) @ AXIS


def test_tremor_of_nine_hertz_is_taken_out():
    times_s, poses = filtered(line(9.0, 0.3e-3))
    gain, _ = gain_and_lag(times_s, poses[:, 0, 3], 9.0, 0.3e-3)
    assert gain < 0.22
    times_s, poses = filtered(turn(9.0, np.radians(0.2)))
    gain, _ = gain_and_lag(times_s, angles(poses), 9.0, np.radians(0.2))
    assert gain < 0.27


def test_hand_motion_of_one_hertz_is_hardly_late():
    times_s, poses = filtered(line(1.0, 0.05))
    gain, lag_s = gain_and_lag(times_s, poses[:, 0, 3], 1.0, 0.05)
    assert gain > 0.98 and lag_s < 0.014
    times_s, poses = filtered(turn(1.0, np.radians(15.0)))
    gain, lag_s = gain_and_lag(times_s, angles(poses), 1.0, np.radians(15.0))
    assert gain > 0.98 and lag_s < 0.020


def test_a_plain_low_pass_that_is_as_calm_is_far_later():
    plain = TremorConfig(cutoff_hz_per_m_s=0.0)
    times_s, poses = filtered(line(9.0, 0.3e-3), plain)
    calm, _ = gain_and_lag(times_s, poses[:, 0, 3], 9.0, 0.3e-3)
    times_s, poses = filtered(line(1.0, 0.05), plain)
    _, lag_s = gain_and_lag(times_s, poses[:, 0, 3], 1.0, 0.05)
    assert calm > 0.1 and lag_s > 0.08


def test_first_order_step_by_hand():
    # 2 pi f dt = 1 at f = 1 / (2 pi dt): the first sample after the start counts a half.
    config = TremorConfig(1.0 / (2.0 * np.pi * 0.02), 0.0, 0.0, 1.0)
    tremor = TremorFilter(config, 0.0, np.eye(4))
    T = se3.make(se3.rotation_from_rotvec([0.0, 0.0, 0.4]), [0.1, 0.0, 0.0])
    np.testing.assert_allclose(
        tremor.step(0.02, T), se3.make(se3.rotation_from_rotvec([0.0, 0.0, 0.2]), [0.05, 0.0, 0.0])
    )


def test_rotations_are_filtered_the_same_wherever_they_are():
    # Half a turn from the identity is where rotation vectors wrap.
    half_turn = se3.rotation_from_rotvec(np.pi * AXIS)
    _, here = filtered(turn(1.0, np.radians(10.0)))
    _, there = filtered(turn(1.0, np.radians(10.0), half_turn))
    np.testing.assert_allclose(half_turn @ here[:, :3, :3], there[:, :3, :3], atol=1e-9)


def test_filtering_rotation_vectors_would_swing_the_wrist_around():
    # The classic mistake: 2 degrees across the wrap, low-passed as numbers, pass near the identity.
    a = se3.rotation_from_rotvec(np.radians(179.0) * AXIS)
    b = se3.rotation_from_rotvec(np.radians(181.0) * AXIS)
    wrong = se3.rotation_from_rotvec(0.5 * (se3.rotvec_from_rotation(a) + se3.rotvec_from_rotation(b)))
    assert se3.rotation_angle(a, wrong) > np.radians(170.0)
    tremor = TremorFilter(TremorConfig(), 0.0, se3.make(a, np.zeros(3)))
    right = tremor.step(0.02, se3.make(b, np.zeros(3)))
    assert se3.rotation_angle(a, right[:3, :3]) < np.radians(2.0)


@given(transforms, transforms, st.floats(1e-4, 1.0))
def test_the_way_goes_towards_the_new_pose_and_never_beyond(before, after, elapsed_s):
    result = TremorFilter(TremorConfig(), 0.0, before).step(elapsed_s, after)
    np.testing.assert_allclose(result[:3, :3] @ result[:3, :3].T, np.eye(3), atol=1e-9)
    for distance in (
        lambda a, b: np.linalg.norm(a[:3, 3] - b[:3, 3]),
        lambda a, b: float(se3.rotation_angle(a[:3, :3], b[:3, :3])),
    ):
        assert distance(before, result) + distance(result, after) <= distance(before, after) + 1e-6


def test_the_same_moment_twice_changes_nothing():
    tremor = TremorFilter(TremorConfig(), 0.0, np.eye(4))
    once = tremor.step(0.02, line(1.0, 1.0)(0.1))
    np.testing.assert_array_equal(tremor.step(0.02, line(1.0, 1.0)(0.2)), once)


@given(transforms, vectors, actions, hands)
def test_a_motionless_tracker_moves_nothing_at_the_switch_whatever_went_before(tracker, way, command, glove):
    follower = HumanFollower(FollowerConfig(hand_blend_s=0.4, tremor=TremorConfig()))
    follower.clutch(0.0, tracker, command)
    moved = tracker.copy()
    for i in range(5):
        moved[:3, 3] = tracker[:3, 3] + 0.02 * i * way
        follower.action(0.02 * i, moved, glove)
    follower.clutch(0.1, moved, command)  # the filter was still catching up
    for now_s in (0.1, 0.12, 0.14):
        metres, radians, _ = step_sizes(command, follower.action(now_s, moved, glove))
        assert metres < 1e-9 and radians < 1e-9


@pytest.mark.parametrize("field", ["cutoff_hz", "speed_cutoff_hz"])
def test_a_cutoff_of_nothing_is_refused(field):
    with pytest.raises(ValueError, match=field):
        TremorConfig(**{field: 0.0})
