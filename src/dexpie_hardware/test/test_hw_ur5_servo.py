"""The servo loop against a robot in memory: what it sends, refuses, tells; how it stops and recovers."""

import dataclasses

import numpy as np
import pytest
from ur5_robot_for_tests import (
    ARMING,
    EMERGENCY,
    POWER_OFF,
    PROTECTIVE,
    Bench,
    following,
    positions,
    ready,
    shifted,
)

from dexpie_core import se3, ur5
from dexpie_hardware.ur5.controller import matrix_from_pose6
from dexpie_hardware.ur5.supervision import State

# start


def test_the_first_connection_starts_program_tcp_payload_and_watchdog_in_this_order():
    bench = Bench()
    bench.seconds(0.2)
    assert [call for call in bench.robot.calls if call != "kick"] == ARMING
    assert bench.robot.calls[-1] == "kick"  # an armed watchdog is fed although nothing moves
    assert bench.status.ready and bench.status.state == "READY"


def test_a_later_connection_starts_nothing_and_says_what_recover_will_do():
    bench = Bench(autostart=False)
    bench.seconds(2.0)
    assert bench.robot.calls == []
    assert not bench.status.ready
    assert bench.status.detail.startswith("safety mode NORMAL, robot mode RUNNING, program STOPPED")
    assert "call /arm/recover to start it" in bench.status.detail
    bench.recover()
    bench.seconds(0.2)
    assert bench.status.ready
    assert bench.answer.recovered and "recovered" in bench.answer.answer


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"safety_bits": PROTECTIVE, "safety_mode": 3}, "safety mode PROTECTIVE_STOP"),
        ({"safety_bits": EMERGENCY, "safety_mode": 7, "robot_mode": POWER_OFF}, "release it"),
        ({"robot_mode": POWER_OFF}, "robot mode POWER_OFF"),
    ],
)
def test_a_robot_that_cannot_move_is_not_started(fields, words):
    bench = Bench()
    bench.robot.set(**fields)
    bench.seconds(0.2)
    assert bench.robot.calls == []
    assert bench.status.state == "STOPPED" and words in bench.status.detail


def test_registers_held_by_another_client_are_one_status_until_they_are_free():
    bench = Bench()
    bench.robot.registers_taken = 3
    bench.seconds(5.0)
    assert [s.detail for s in bench.statuses if "another client" in s.detail]
    changes = [a.detail != b.detail for a, b in zip(bench.statuses, bench.statuses[1:], strict=False)]
    assert sum(changes) <= 3  # connecting, asking, starting, taken
    assert not bench.status.ready
    bench.seconds(2.0)
    assert bench.status.ready


def test_local_control_and_a_rate_beyond_cb3_are_said():
    bench = Bench()
    bench.robot.remote = False
    bench.seconds(0.2)
    assert "switch it to remote control" in bench.status.detail and "start_program" not in bench.robot.calls
    fast = Bench(servo_rate_hz=500.0)
    fast.seconds(0.2)
    assert "servo_rate_hz 500 is too fast for CB3: at most 125" in fast.status.detail
    e_series = Bench(servo_rate_hz=500.0)
    e_series.robot.version_is = (5, 11, 6)
    e_series.seconds(0.2)
    assert e_series.status.ready


def test_an_arm_that_is_no_ur5_is_not_commanded():
    bench = Bench()
    bench.robot.set_tcp = lambda offset: bench.robot.set(tcp=(0.3, 0.0, 0.3, 0.0, 0.0, 0.0))
    bench.seconds(1.5)
    assert "is the arm a UR5?" in bench.status.detail
    assert ("set_watchdog", 10.0) not in bench.robot.calls
    other = Bench(kinematics="none")
    other.robot.set_tcp = lambda offset: other.robot.set(tcp=(0.3, 0.0, 0.3, 0.0, 0.0, 0.0))
    other.seconds(0.2)
    assert other.status.ready


def test_a_failing_call_ends_the_start_with_its_own_words():
    bench = Bench()
    bench.robot.fails = {"set_payload"}
    bench.seconds(0.2)
    assert (bench.status.state, bench.status.detail) == ("STOPPED", "set_payload failed")


# following


def test_commands_are_followed_and_the_stream_ends_at_the_last_target():
    bench = ready()
    start = bench.here
    goal = shifted(start, z=0.05)
    bench.stream(shifted(start, z=0.005 * k) for k in range(1, 11))
    bench.cycles(20)
    np.testing.assert_allclose(positions(bench.robot.sent)[-1], goal[:3, 3], atol=1e-9)
    assert bench.status.counters["accepted_commands"] == 10
    # One pose in every cycle from the first command on.
    assert len(bench.robot.sent) == 10 * 5 + 20


def test_servo_by_joints_reaches_the_same_pose():
    bench = ready(servo="joints")
    start = bench.here
    goal = shifted(start, z=0.05)
    bench.stream(shifted(start, z=0.005 * k) for k in range(1, 11))
    bench.cycles(20)
    np.testing.assert_allclose(ur5.forward(bench.robot.sent[-1]), goal, atol=1e-8)


def test_the_motion_goes_on_from_the_commanded_pose_not_from_the_lagging_one():
    bench = ready()
    bench.robot.follows = False  # the measured pose stays where it was
    bench.stream(shifted(bench.here, z=0.005 * k) for k in range(1, 11))
    z = positions(bench.robot.sent)[:, 2]
    assert np.all(np.diff(z) >= -1e-12)
    assert z[-1] - z[0] > 0.03


def test_packages_are_told_at_the_published_rate():
    bench = ready(rate_hz=25.0)
    before = len(bench.measured)
    bench.seconds(2.0)
    assert len(bench.measured) - before == 50
    assert bench.measured[-1].tcp == bench.robot.state.tcp


def test_a_silent_controllers_old_package_is_not_told_again():
    bench = ready()
    bench.robot.silent = True
    bench.cycles(1)
    before = len(bench.measured)
    bench.seconds(0.5)
    assert len(bench.measured) == before


# refusals


@pytest.mark.parametrize(
    ("change", "counter"),
    [
        ({"pose": (float("nan"),) * 7}, "refused_not_finite"),
        ({"pose": (0.1, 0.2)}, "refused_wrong_length"),
        ({"pose": (0.1, 0.2, 0.3, 0.0, 0.0, 0.0, 0.1)}, "refused_no_rotation"),
        ({"pose": (-0.9, 0.0, 0.4, 0.0, 0.0, 0.0, 1.0)}, "refused_outside_workspace"),
        ({"pose": (0.3, 0.0, 0.4, 0.0, 0.0, 0.0, 1.0)}, "refused_step_too_large"),
        ({"due_ns": 0}, "refused_bad_due_time"),
    ],
)
@pytest.mark.parametrize("begin", [ready, following])
def test_a_refused_command_changes_nothing_that_is_sent(begin, change, counter):
    bench, untouched = begin(), begin()
    bad = dataclasses.replace(bench.target(bench.here), **change)
    bench.cycles(10, [bad])
    untouched.cycles(10)
    assert bench.robot.sent == untouched.robot.sent
    bench.seconds(0.6)
    assert bench.status.counters[counter] == 1
    assert bench.status.refusal.startswith("command refused: ")
    assert bench.status.ready


def test_a_way_through_a_singularity_ends_before_it_and_is_counted():
    # wrist_2 near zero: a turn across its axis asks the joints beside it to race.
    q = np.array([0.0, -1.5708, 1.5708, -1.5708, -0.05, 0.0])
    bench = Bench(max_joint_speed_rad_s=1.0)
    bench.robot.set(q_rad=tuple(q))
    bench.seconds(0.2)
    start = bench.here
    turns = [se3.make(se3.rotation_from_rotvec([0.02 * k, 0.0, 0.0]), np.zeros(3)) for k in range(1, 30)]
    bench.stream(start @ turn for turn in turns)
    bench.seconds(0.6)
    assert bench.status.counters["blocked_cycles"] > 0
    for pose in bench.robot.sent:
        after = ur5.inverse(matrix_from_pose6(pose), q)
        assert after is not None and np.max(np.abs(after - q)) <= 1.0 / 125 + 1e-9
        q = after


# silence of commands


def test_commands_that_stop_are_held_then_the_servo_is_stopped():
    bench = following(command_timeout_s=0.2, hold_s=1.0)
    bench.seconds(0.3)
    assert bench.loop.state is State.HOLDING
    held = positions(bench.robot.sent)[-10:]
    np.testing.assert_allclose(held, np.broadcast_to(held[-1], held.shape))
    assert "servo_stop" not in bench.robot.calls
    bench.seconds(1.0)
    assert bench.loop.state is State.READY
    assert bench.robot.calls == ["servo_stop", "kick"]
    count = len(bench.robot.sent)
    bench.seconds(1.0)
    assert len(bench.robot.sent) == count
    assert bench.status.ready


def test_after_the_stop_commands_begin_within_a_step_of_the_measured_pose():
    bench = following()
    bench.seconds(2.0)
    away = shifted(bench.here, z=0.08)
    count = len(bench.robot.sent)
    bench.command(away)
    assert bench.loop.state is State.REFERENCING and not bench.status.ready
    assert "commands do not begin at the arm" in bench.status.detail
    bench.seconds(bench.p.settle_s + 0.1)
    assert bench.status.ready and len(bench.robot.sent) == count
    bench.command(shifted(bench.here, z=0.01))
    assert bench.loop.state is State.FOLLOWING


def test_old_commands_right_after_readiness_are_refused_without_a_new_reference():
    bench = Bench(settle_s=0.3)
    bench.seconds(0.1)
    bench.command(shifted(bench.here, z=0.2))
    assert bench.loop.state is State.READY and bench.status.ready
    assert bench.robot.sent == []


def test_commands_to_an_arm_that_is_not_ready_are_counted_and_not_sent():
    bench = Bench(autostart=False)
    bench.seconds(0.1)
    bench.stream([bench.here] * 5)
    bench.seconds(0.6)
    assert bench.status.counters["ignored_commands"] == 5
    assert bench.robot.sent == []
