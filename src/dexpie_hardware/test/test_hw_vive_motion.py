"""What a hand can do with a tracker, and what its clock says in terms of ours."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_hardware.vive.clock import DeviceClock
from dexpie_hardware.vive.motion import MotionBounds, MotionCheck

IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


def turned(rad: float) -> np.ndarray:
    return np.array([0.0, 0.0, math.sin(rad / 2.0), math.cos(rad / 2.0)])


class TestMotion:
    def test_the_bound_of_a_jump_grows_with_the_gap_but_not_beyond_the_longest(self) -> None:
        for gap_s, allowed_m in ((0.01, 0.05), (0.04, 0.05), (0.08, 0.10), (0.1, 0.125), (5.0, 0.125)):
            for factor, good in ((0.99, True), (1.01, False)):
                check = MotionCheck(MotionBounds(max_speed_m_s=1e9, max_angular_speed_rad_s=1e9))
                assert check.problem(0.0, np.zeros(3), IDENTITY) == ""
                problem = check.problem(gap_s, np.array([0.0, factor * allowed_m, 0.0]), IDENTITY)
                assert (problem == "") is good, (gap_s, factor)

    def test_a_drift_in_steps_below_the_bound_is_a_speed_that_no_hand_has(self) -> None:
        check = MotionCheck(MotionBounds())
        problems = [check.problem(0.01 * k, np.array([0.04 * k, 0.0, 0.0]), IDENTITY) for k in range(10)]
        assert problems[:5] == [""] * 5
        assert problems[-1] == "moves at 4.0 m/s, 0.0 rad/s"

    def test_a_quick_hand_is_no_drift(self) -> None:
        check = MotionCheck(MotionBounds())
        assert {check.problem(0.01 * k, np.array([0.028 * k, 0.0, 0.0]), IDENTITY) for k in range(50)} == {""}

    def test_a_quaternion_and_its_negative_are_the_same_rotation(self) -> None:
        check = MotionCheck(MotionBounds())
        assert check.problem(0.0, np.zeros(3), turned(0.1)) == ""
        assert check.problem(0.01, np.zeros(3), -turned(0.1)) == ""

    def test_turning_on_the_spot_without_moving_is_rotation_only_until_it_moves(self) -> None:
        check = MotionCheck(MotionBounds())
        place = np.array([0.3, 0.2, 1.0])
        # 20 deg/s, far below every bound of speed
        problems = [check.problem(0.01 * k, place, turned(math.radians(0.2 * k))) for k in range(40)]
        assert problems[:15] == [""] * 15
        assert "rotation only" in problems[20]
        # It stays lost when the wrist rests: the position is still the one from before.
        assert "rotation only" in check.problem(0.41, place, turned(math.radians(8.0)))
        assert "rotation only" in check.problem(9.0, place, turned(math.radians(8.0)))
        for time_s in (9.01, 9.02):
            assert check.problem(time_s, place + 1e-4, turned(math.radians(8.0))) == ""

    def test_a_hand_at_rest_is_not_rotation_only(self) -> None:
        check = MotionCheck(MotionBounds())
        assert {check.problem(0.01 * k, np.zeros(3), turned(0.0001 * (k % 7))) for k in range(300)} == {""}


class TestClock:
    def test_by_hand(self) -> None:
        clock = DeviceClock()
        assert clock.host_s(10.0, 110.020) == pytest.approx(110.020)  # nothing quicker is known yet
        assert clock.host_s(10.1, 110.103) == pytest.approx(110.103)  # 17 ms quicker
        assert clock.host_s(10.2, 110.250) == pytest.approx(110.203, abs=1e-4)  # 47 ms late
        clock.reset()
        assert clock.host_s(0.5, 111.0) == pytest.approx(111.0)

    def test_a_clock_that_started_again_is_told_from_a_line_that_became_slow(self) -> None:
        clock = DeviceClock()
        assert not clock.is_another(10.0, 110.0)
        clock.host_s(10.0, 110.0)
        assert not clock.is_another(12.0, 112.3)  # 0.3 s late
        assert clock.is_another(9.9, 112.0)  # it went back
        assert not clock.is_another(10.0, 115.0)  # the last sample again
        assert clock.is_another(10.5, 112.0)  # 1.5 s late
        assert not clock.is_another(500.0, 112.0)  # ahead: the next sample sets the offset anyway

    def test_a_clock_that_runs_apart_is_followed(self) -> None:
        clock = DeviceClock()
        errors = [
            clock.host_s(t * (1.0 - 1e-4), 1000.0 + t + 0.002) - (1000.0 + t + 0.002) for t in range(7200)
        ]
        assert max(map(abs, errors)) < 1e-6

    @given(
        st.lists(
            st.tuples(st.floats(0.001, 1.0), st.floats(0.0, 0.3), st.booleans()), min_size=1, max_size=60
        )
    )
    def test_never_after_the_arrival_and_never_back(self, steps) -> None:
        clock = DeviceClock()
        device_s, arrival_s, newest_s = -3.0, 50.0, -math.inf
        for step_s, delay_s, restart in steps:
            device_s += step_s
            arrival_s = max(arrival_s, 100.0 + device_s + delay_s)
            if restart:
                clock.reset()
            host_s = clock.host_s(device_s, arrival_s)
            assert newest_s - 1e-9 <= host_s <= arrival_s
            newest_s = host_s
