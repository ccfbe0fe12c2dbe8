"""The servo cycles' poses: within bounds for whatever comes, on the path, on time, never past a target."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexpie_core import se3
from dexpie_hardware.ur5.interpolator import Interpolator, MotionBounds

RATES = (125.0, 500.0)
BOUNDS = MotionBounds()
_unit = st.floats(-1.0, 1.0)
vectors = st.tuples(_unit, _unit, _unit).map(np.array)
poses = st.builds(lambda v, p: se3.make(se3.rotation_from_rotvec(np.pi * v), p), vectors, vectors)
near_poses = st.builds(lambda v, p: se3.make(se3.rotation_from_rotvec(0.2 * v), 0.05 * p), vectors, vectors)
# How long after the one before it a target comes, and when it is due after that: late, repeated, far ahead.
timings = st.tuples(st.sampled_from([0.0, 0.004, 0.03, 0.04, 0.05, 0.3]), st.floats(-0.2, 0.5))


def run(interpolator, stream, rate_hz, tail_s=4.0):
    """Poses (n, 4, 4) of every cycle, the start included, for [(arrival_s, due_s, T), ...]."""
    waiting = list(stream)
    end_s = (waiting[-1][0] if waiting else 0.0) + tail_s
    found, k = [interpolator.commanded], 1
    while k / rate_hz <= end_s:
        now_s = k / rate_hz
        while waiting and waiting[0][0] <= now_s:
            _, due_s, T = waiting.pop(0)
            interpolator.add(due_s, T)
        found.append(interpolator.step(now_s))
        k += 1
        if not waiting and interpolator.at_rest and now_s > 1.0:
            break
    return np.array(found)


def velocities(T, rate_hz):
    """Linear and angular velocity (n-1, 3) between consecutive poses, in the base frame."""
    turns = T[1:, :3, :3] @ np.swapaxes(T[:-1, :3, :3], -1, -2)
    return np.diff(T[:, :3, 3], axis=0) * rate_hz, se3.rotvec_from_rotation(turns) * rate_hz


def make_stream(targets):
    stream, arrival_s = [], 0.0
    for (gap_s, ahead_s), T in targets:
        arrival_s += gap_s
        stream.append((arrival_s, arrival_s + ahead_s, T))
    return stream


def at(x, y=0.0, z=0.0, turn=0.0):
    return se3.make(se3.rotation_from_rotvec([0.0, 0.0, turn]), [x, y, z])


@pytest.mark.parametrize("rate_hz", RATES)
@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(timings, st.one_of(poses, near_poses)), min_size=1, max_size=6))
def test_every_cycle_is_within_the_bounds_for_any_stream_and_the_last_target_is_reached(rate_hz, targets):
    stream = make_stream(targets)
    interpolator = Interpolator(np.eye(4), BOUNDS, 1.0 / rate_hz)
    T = run(interpolator, stream, rate_hz, tail_s=30.0)
    assert np.all(np.isfinite(T))
    linear, angular = velocities(T, rate_hz)
    for velocity, speed, acceleration in (
        (linear, BOUNDS.linear_speed_m_s, BOUNDS.linear_acceleration_m_s2),
        (angular, BOUNDS.angular_speed_rad_s, BOUNDS.angular_acceleration_rad_s2),
    ):
        steps = np.diff(np.vstack([np.zeros(3), velocity]), axis=0) * rate_hz
        # Positions are rounded to 1e-16 m: squared rate times that is what a second difference can show.
        assert np.max(np.linalg.norm(velocity, axis=1)) <= speed * (1 + 1e-6)
        assert np.max(np.linalg.norm(steps, axis=1)) <= acceleration * (1 + 1e-6)
    assert interpolator.at_rest
    np.testing.assert_allclose(T[-1], stream[-1][2], atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(timings, _unit), min_size=1, max_size=12), st.sampled_from(RATES))
def test_on_a_line_no_target_is_ever_passed(targets, rate_hz):
    stream = make_stream([(timing, at(0.3 * s, turn=1.5 * s)) for timing, s in targets])
    T = run(Interpolator(np.eye(4), BOUNDS, 1.0 / rate_hz), stream, rate_hz)
    x = T[:, 0, 3]
    turn = np.arctan2(T[:, 1, 0], T[:, 0, 0])
    for found, scale in ((x, 0.3), (turn, 1.5)):
        ends = [0.0, *(scale * s for _, s in targets)]
        assert np.min(found) >= min(ends) - 1e-9
        assert np.max(found) <= max(ends) + 1e-9
    np.testing.assert_allclose(T[:, 1:3, 3], 0.0, atol=1e-12)


@pytest.mark.parametrize("rate_hz", RATES)
@settings(max_examples=15, deadline=None)
@given(st.floats(0.15, 0.9), st.floats(0.1, 0.95), vectors, vectors)
def test_a_target_from_rest_is_reached_at_its_due_time_along_line_and_great_arc(
    rate_hz, due_s, share, direction, axis
):
    # The quickest way from rest to rest: a triangle of speed, or a trapezoid under the speed bound.
    length = share * _reachable(due_s - 4 / rate_hz, BOUNDS.linear_speed_m_s, BOUNDS.linear_acceleration_m_s2)
    turn = share * _reachable(
        due_s - 4 / rate_hz, BOUNDS.angular_speed_rad_s, BOUNDS.angular_acceleration_rad_s2
    )
    direction, axis = _normalised(direction), _normalised(axis)
    target = se3.make(se3.rotation_from_rotvec(turn * axis), length * direction)
    T = run(Interpolator(np.eye(4), BOUNDS, 1.0 / rate_hz), [(0.0, due_s, target)], rate_hz)
    due = int(np.floor(due_s * rate_hz + 1e-9))
    np.testing.assert_allclose(T[due], target, atol=1e-9)
    early = due - 6
    assert np.linalg.norm(T[early, :3, 3] - target[:3, 3]) > 1e-6
    np.testing.assert_allclose(np.cross(T[:, :3, 3], direction), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.cross(se3.rotvec_from_rotation(T[:, :3, :3]), axis), 0.0, atol=1e-7)


def _reachable(time_s, speed, acceleration):
    """Length from rest to rest by planned braking, with a little of the acceleration left over."""
    acceleration *= 0.85
    return min(acceleration * time_s**2 / 4, speed * max(time_s - speed / acceleration, 0.5 * time_s))


def _normalised(v):
    norm = np.linalg.norm(v)
    return v / norm if norm > 1e-3 else np.array([1.0, 0.0, 0.0])


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("speed_m_s", [0.05, 0.25, 0.5])
def test_a_steady_stream_is_followed_at_its_own_speed_and_every_target_met_when_due(rate_hz, speed_m_s):
    period_s, delay_s, latency_s = 0.04, 0.03, 0.008
    targets = [at(speed_m_s * k * period_s, turn=0.5 * k * period_s) for k in range(1, 61)]
    stream = [
        (k * period_s + latency_s, (k + 1) * period_s + delay_s, T) for k, T in enumerate(targets, start=1)
    ]
    T = run(Interpolator(np.eye(4), BOUNDS, 1.0 / rate_hz), stream, rate_hz)
    linear, angular = velocities(T, rate_hz)
    steady = slice(int(0.5 * rate_hz), int(2.2 * rate_hz))
    np.testing.assert_allclose(np.linalg.norm(linear[steady], axis=1), speed_m_s, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(angular[steady], axis=1), 0.5, rtol=1e-6)
    for _, due_s, target in stream[10:50]:
        index = due_s * rate_hz
        before, after = T[int(np.floor(index))], T[int(np.ceil(index))]
        met = se3.interpolate(before, after, index - np.floor(index))
        np.testing.assert_allclose(met, target, atol=1e-6)


def test_the_rotation_takes_the_short_way_through_half_a_turn():
    # Negative test: interpolated rotation vectors would turn by 6.2 rad the other way.
    start, goal = (
        se3.rotation_from_rotvec([np.pi - 0.05, 0, 0]),
        se3.rotation_from_rotvec([-np.pi + 0.05, 0, 0]),
    )
    stream = [(0.0, 0.4, se3.make(goal, np.zeros(3)))]
    T = run(Interpolator(se3.make(start, np.zeros(3)), BOUNDS, 1 / 125), stream, 125.0)
    angles = se3.rotation_angle(start, T[:, :3, :3])
    assert np.max(angles) <= 0.1 + 1e-9
    assert np.all(np.diff(angles) >= -1e-9)
    np.testing.assert_allclose(T[-1, :3, :3], goal, atol=1e-12)


def test_the_next_motion_begins_where_the_last_command_was_without_a_jump():
    interpolator = Interpolator(np.eye(4), BOUNDS, 1 / 125)
    interpolator.add(0.5, at(0.1))
    halfway = [interpolator.step(k / 125) for k in range(1, 30)][-1]
    interpolator.add(0.6, at(0.1, 0.05))
    step = np.linalg.norm(interpolator.step(30 / 125)[:3, 3] - halfway[:3, 3])
    assert 0.0 < step <= BOUNDS.linear_speed_m_s / 125


def test_it_holds_at_the_last_target_when_commands_stop():
    interpolator = Interpolator(np.eye(4), BOUNDS, 1 / 125)
    stream = [(0.04 * k, 0.04 * k + 0.07, at(0.01 * k)) for k in range(1, 20)]
    run(interpolator, stream, 125.0)
    held = [interpolator.step(10.0 + k / 125) for k in range(500)]
    np.testing.assert_array_equal(held, np.broadcast_to(at(0.19), (500, 4, 4)))


def test_a_turn_of_the_path_is_cut_by_the_corner_at_most():
    bounds = MotionBounds(corner_m=0.001)
    corner = np.array([0.1, 0.0, 0.0])
    stream = [(0.0, 0.5, at(0.1)), (0.0, 1.0, at(0.1, 0.1))]
    T = run(Interpolator(np.eye(4), bounds, 1 / 500), stream, 500.0)
    nearest = np.min(np.linalg.norm(T[:, :3, 3] - corner, axis=1))
    beyond = np.max(T[:, 0, 3]) - 0.1
    assert nearest <= 0.0011
    assert beyond <= 0.001
