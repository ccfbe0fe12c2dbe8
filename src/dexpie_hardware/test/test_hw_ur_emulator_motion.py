"""Motions against hand-computed times and places, and their bounds under any targets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ur_controller_for_tests import HOME

from dexpie_core import se3, ur5
from dexpie_hardware.emulators.ur import motion
from dexpie_hardware.emulators.ur.motion import (
    Brake,
    JointMove,
    JointSpeed,
    LinearMove,
    Servo,
    ToolSpeed,
    Trapezoid,
)
from dexpie_hardware.emulators.ur.poses import ScriptError, matrix_from_pose, pose_from_matrix

DT_S = 0.008
angles = st.floats(-3.0, 3.0)
joints = st.lists(angles, min_size=6, max_size=6).map(np.array)


def run(a_motion, q, steps, dt_s=DT_S, scaling=1.0):
    qd = np.zeros(6)
    rows = []
    for _ in range(steps):
        q, qd = a_motion.step(q, qd, dt_s, scaling)
        rows.append((q, qd))
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


@given(joints, st.floats(0.0, np.pi), st.sampled_from([-4.0, 4.0]), st.integers(0, 2))
def test_poses_equal_those_of_the_core(numbers, angle, main, along):
    axis = np.array(numbers[3:])
    axis[along] += main
    rotvec = axis / np.linalg.norm(axis) * angle
    T = matrix_from_pose([*numbers[:3], *rotvec])
    np.testing.assert_allclose(T, se3.make(se3.rotation_from_rotvec(rotvec), numbers[:3]), atol=1e-14)
    back = pose_from_matrix(T)
    np.testing.assert_allclose(back[:3], numbers[:3])
    assert se3.rotation_angle(se3.rotation_from_rotvec(back[3:]), T[:3, :3]) < 1e-9
    assert np.linalg.norm(back[3:]) < np.pi + 1e-9


def test_trapezoid_with_a_plateau():
    # 1 rad at 0.5 rad/s and 1 rad/s^2: ramps of 0.5 s and 0.125 rad, plateau 0.75 rad in 1.5 s.
    profile = Trapezoid(1.0, 0.5, 1.0)
    assert profile.duration_s == pytest.approx(2.5)
    assert [profile.fraction(t) for t in (0.0, 0.5, 1.25, 2.0, 2.5)] == pytest.approx(
        [0, 0.125, 0.5, 0.875, 1]
    )


def test_trapezoid_that_never_reaches_its_speed():
    # 0.25 rad at 1 rad/s^2 needs a top of 0.5 rad/s: half a second up, half a second down.
    profile = Trapezoid(0.25, 10.0, 1.0)
    assert profile.duration_s == pytest.approx(1.0)
    assert profile.fraction(0.5) == pytest.approx(0.5)


def test_joint_move_arrives_exactly_and_the_longest_joint_sets_the_time():
    target = HOME + np.array([0.5, -0.25, 0.0, 0.0, 0.0, 1.0])
    move = JointMove(HOME, target, 0.5, 1.0)
    q, _ = run(move, HOME, round(2.5 / DT_S) + 1)
    assert move.finished
    np.testing.assert_allclose(q[-1], target)
    np.testing.assert_allclose(q[round(1.25 / DT_S) - 1], (HOME + target) / 2, atol=5e-3)


def test_half_the_speed_slider_takes_twice_the_time():
    move = JointMove(HOME, HOME + 1.0, 0.5, 1.0)
    run(move, HOME, round(4.9 / DT_S), scaling=0.5)
    assert not move.finished
    run(move, HOME, round(0.2 / DT_S), scaling=0.5)
    assert move.finished


def test_joint_move_beyond_the_limits_is_an_error():
    with pytest.raises(ScriptError, match="joint limits"):
        JointMove(HOME, np.array([6.3, 0, 0, 0, 0, 0]), 1.0, 1.0)


def test_linear_move_keeps_to_its_line():
    offset = matrix_from_pose([0.0, 0.0, 0.1, 0.0, 0.0, 0.0])
    start = ur5.forward(HOME, offset)
    target = start @ matrix_from_pose([0.05, -0.04, 0.08, 0.3, 0.0, 0.2])
    move = LinearMove(HOME, target, 0.25, 1.2, offset)
    q, _ = run(move, HOME, 200)
    assert move.finished
    way = (target - start)[:3, 3]
    for joint_angles in q[::10]:
        gone = (ur5.forward(joint_angles, offset) - start)[:3, 3]
        assert np.linalg.norm(np.cross(way, gone)) / np.linalg.norm(way) < 1e-9
    np.testing.assert_allclose(ur5.forward(q[-1], offset), target, atol=1e-9)


def test_linear_move_out_of_reach_is_an_error_before_it_starts():
    with pytest.raises(ScriptError, match="no solution"):
        LinearMove(HOME, matrix_from_pose([2.0, 0, 0, 0, 0, 0]), 0.25, 1.2, np.eye(4))


@pytest.mark.parametrize("lag_s", [0.03, 0.1, 0.2])
@pytest.mark.parametrize("dt_s", [0.008, 0.002])
def test_servo_trails_a_steady_ramp_by_its_lag(lag_s, dt_s):
    servo, q, qd, speed = Servo(HOME, lag_s), HOME, np.zeros(6), 0.4
    for k in range(round(2.0 / dt_s)):
        servo.retarget(HOME + speed * dt_s * (k + 1), lag_s)
        q, qd = servo.step(q, qd, dt_s, 1.0)
    np.testing.assert_allclose((servo.target_q - q) / speed, lag_s, atol=dt_s)
    np.testing.assert_allclose(qd, speed, rtol=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.lists(joints, min_size=1, max_size=4), st.floats(0.03, 0.2), st.floats(0.1, 1.0))
def test_servo_stays_within_speed_and_acceleration(targets, lag_s, scaling):
    servo, q, qd = Servo(targets[0], lag_s), np.zeros(6), np.zeros(6)
    for target in targets:
        servo.retarget(target, lag_s)
        for _ in range(60):
            before = qd
            q, qd = servo.step(q, qd, DT_S, scaling)
            assert np.all(np.abs(qd) <= motion.MAX_JOINT_SPEED_RAD_S * scaling + 1e-9)
            assert np.all(np.abs(qd - before) <= motion.MAX_JOINT_ACCELERATION_RAD_S2 * DT_S + 1e-9)


@settings(max_examples=40, deadline=None)
@given(joints, st.floats(0.03, 0.2))
def test_servo_reaches_a_still_target_without_passing_it(target, lag_s):
    q, _ = run(Servo(target, lag_s), np.zeros(6), 500)
    np.testing.assert_allclose(q[-1], target, atol=1e-4)
    beyond = np.max(np.sign(target) * (q - target), axis=0)
    assert np.all(beyond < 1e-6)


def test_speeds_are_reached_with_the_acceleration():
    _, qd = run(JointSpeed(np.full(6, 0.2), 0.5), HOME, 100)
    assert qd[24] == pytest.approx(np.full(6, 0.1))  # 25 cycles of 8 ms at 0.5 rad/s^2
    assert qd[-1] == pytest.approx(np.full(6, 0.2))


def test_tool_speed_moves_the_tcp_straight():
    offset = matrix_from_pose([0.0, 0.0, 0.1, 0.0, 0.0, 0.0])
    q, qd = run(ToolSpeed(np.array([0.0, 0.1, 0.0, 0.0, 0.0, 0.0]), 1.0, offset), HOME, 100)
    velocity = ur5.jacobian(q[-2], offset) @ qd[-1]
    np.testing.assert_allclose(velocity, [0.0, 0.1, 0.0, 0.0, 0.0, 0.0], atol=1e-6)


def test_brake_of_the_joints_takes_speed_over_deceleration():
    start = np.array([1.0, 0.0, -0.5, 0.0, 0.0, 0.0])
    brake = Brake.of_joints(start, 2.0)
    q, qd = HOME, start
    for _ in range(62):
        q, qd = brake.step(q, qd, DT_S, 1.0)
    assert not brake.finished
    q, qd = brake.step(q, qd, DT_S, 1.0)
    assert brake.finished
    assert not np.any(qd)
    # Half a second from 1 rad/s to rest is a quarter of a radian; the discrete sum is half a cycle off.
    np.testing.assert_allclose(q - HOME, start * 0.25, atol=DT_S)


def test_brake_of_a_standing_arm_is_over():
    assert Brake.of_tool(HOME, np.zeros(6), 10.0, np.eye(4)).finished
