"""Reaches and tremor."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dexpie_core import se3
from dexpie_sim.motion import Reacher, ReachLimits, Tremor, TremorConfig

coordinate = st.floats(-0.5, 0.5)
vector = st.tuples(coordinate, coordinate, coordinate)


@settings(max_examples=40, deadline=None)
@given(vector, vector)
def test_a_reach_ends_at_its_goal_within_its_speed(offset: tuple, rotvec: tuple) -> None:
    limits = ReachLimits()
    goal = se3.make(se3.rotation_from_rotvec(rotvec), offset)
    reacher = Reacher(np.eye(4), 0.0, limits)
    reacher.go(goal, 0.0, tolerance_m=0.0)
    end = reacher.remaining_s(0.0)
    times = np.linspace(0.0, end, 80)
    poses = np.stack([reacher.pose(t) for t in times])
    speed = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) / (times[1] - times[0])
    assert speed.max() <= limits.linear_m_s * 1.001
    assert speed[0] < 0.05
    assert speed[-1] < 0.05
    if np.linalg.norm(rotvec) > 0.03 or np.linalg.norm(offset) > 0:
        np.testing.assert_allclose(reacher.pose(end + 1.0), goal, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(vector, vector, st.floats(0.05, 1.0))
def test_a_new_goal_takes_over_the_present_velocity(first: tuple, second: tuple, switch_s: float) -> None:
    reacher = Reacher(np.eye(4), 0.0, ReachLimits())
    reacher.go(se3.make(np.eye(3), first), 0.0)
    h = 1e-4
    before = (reacher.pose(switch_s)[:3, 3] - reacher.pose(switch_s - h)[:3, 3]) / h
    reacher.go(se3.make(np.eye(3), second), switch_s)
    after = (reacher.pose(switch_s + h)[:3, 3] - reacher.pose(switch_s)[:3, 3]) / h
    np.testing.assert_allclose(before, after, atol=2e-3)


def test_a_goal_that_hardly_moved_changes_nothing() -> None:
    reacher = Reacher(np.eye(4), 0.0, ReachLimits())
    reacher.go(se3.make(np.eye(3), [0.3, 0.0, 0.0]), 0.0)
    left = reacher.remaining_s(0.5)
    reacher.go(se3.make(np.eye(3), [0.302, 0.0, 0.0]), 0.5)
    assert reacher.remaining_s(0.5) == left


def test_tremor_is_small_and_repeats() -> None:
    first, again, other = Tremor(1, TremorConfig()), Tremor(1, TremorConfig()), Tremor(2, TremorConfig())
    offsets = np.stack([first.offset(t)[:3, 3] for t in np.arange(0.0, 4.0, 0.04)])
    assert 1e-4 < np.abs(offsets).max() < 0.0015
    np.testing.assert_array_equal(first.offset(1.3), again.offset(1.3))
    assert not np.array_equal(first.offset(1.3), other.offset(1.3))
