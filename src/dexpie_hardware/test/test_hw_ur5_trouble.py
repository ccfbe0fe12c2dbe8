"""The servo loop in trouble: stops, recoveries, silence of the controller."""

import numpy as np
from ur5_robot_for_tests import (
    ARMING,
    EMERGENCY,
    IDLE,
    NORMAL,
    PLAYING,
    POWER_OFF,
    PROTECTIVE,
    SAFEGUARD,
    STOPPED,
    VIOLATION,
    following,
    positions,
    ready,
    shifted,
)

from dexpie_core import ur5
from dexpie_hardware.ur5.supervision import State


def test_a_protective_stop_ends_the_stream_in_the_cycle_that_reads_it():
    bench = following()
    count = len(bench.robot.sent)
    bench.robot.set(safety_bits=PROTECTIVE, safety_mode=3)  # runtime_state stays PLAYING
    bench.cycles(1)
    assert len(bench.robot.sent) == count
    assert not bench.status.ready and bench.status.protective_stop
    assert "safety mode PROTECTIVE_STOP" in bench.status.detail
    bench.seconds(20.0)
    assert bench.loop.state is State.STOPPED  # never by itself
    assert bench.robot.calls == []


def test_recovery_from_a_protective_stop_waits_five_seconds_and_arms_everything_again():
    bench = following()
    bench.robot.set(safety_bits=PROTECTIVE, safety_mode=3)
    bench.seconds(1.0)
    bench.recover()
    bench.seconds(3.5)
    # The old program must not run to its old target when the arm is unlocked.
    assert bench.robot.calls == ["stop_any_program"]
    assert "five seconds" in bench.status.detail
    bench.seconds(1.0)
    assert [c for c in bench.robot.calls if c != "kick"] == [
        "stop_any_program", "close_popups", "unlock_protective_stop", *ARMING,
    ]  # fmt: skip
    assert bench.status.ready and not bench.status.protective_stop
    assert bench.answer.recovered


def test_a_recovered_arm_begins_at_the_measured_pose():
    bench = following()
    bench.robot.set(safety_bits=PROTECTIVE, safety_mode=3)
    bench.seconds(6.0)
    bench.robot.set(q_rad=(0.1, -1.5708, 1.5708, -1.5708, -1.5708, 0.0))  # somebody moved the arm
    bench.recover()
    bench.seconds(0.2)
    assert bench.status.ready
    count = len(bench.robot.sent)
    bench.command(shifted(bench.here, z=0.01))
    first = positions(bench.robot.sent[count:])[0]
    assert np.linalg.norm(first - ur5.forward((0.1, -1.5708, 1.5708, -1.5708, -1.5708, 0.0))[:3, 3]) < 1e-3


def test_an_emergency_stop_needs_its_release_then_power_and_brakes():
    bench = following()
    bench.robot.set(safety_bits=EMERGENCY, safety_mode=7, robot_mode=POWER_OFF, runtime_state=STOPPED)
    bench.seconds(0.1)
    assert bench.status.emergency_stop and not bench.status.ready
    bench.recover()
    bench.seconds(0.1)
    assert bench.answer.recovered is False and "release it" in bench.answer.answer
    assert bench.robot.calls == []
    bench.robot.set(safety_bits=NORMAL, safety_mode=1)
    bench.seconds(0.1)
    assert "robot mode POWER_OFF" in bench.status.detail and not bench.status.emergency_stop
    bench.recover()
    bench.seconds(0.5)
    assert [c for c in bench.robot.calls if c != "kick"] == [
        "stop_any_program", "close_popups", "power_on", "release_brakes", *ARMING,
    ]  # fmt: skip
    assert bench.status.ready


def test_a_violation_restarts_the_safety_system_first():
    bench = following()
    bench.robot.set(safety_bits=VIOLATION, safety_mode=8, robot_mode=POWER_OFF, runtime_state=STOPPED)
    bench.seconds(0.1)
    bench.recover()
    bench.seconds(0.5)
    assert bench.robot.calls[:3] == ["stop_any_program", "restart_safety", "close_popups"]
    assert bench.status.ready


def test_a_safeguard_must_be_closed_by_hand():
    bench = following()
    bench.robot.set(safety_bits=SAFEGUARD, safety_mode=5, runtime_state=4)
    bench.seconds(0.1)
    bench.recover()
    bench.seconds(0.1)
    assert bench.answer.recovered is False and "close the safeguard" in bench.answer.answer


def test_a_recovery_that_does_not_come_to_its_end_says_what_it_waited_for():
    bench = following()
    bench.robot.set(robot_mode=POWER_OFF, runtime_state=STOPPED)
    bench.robot.power_on = lambda: None
    bench.seconds(0.1)
    bench.recover()
    bench.seconds(31.0)
    assert bench.answer.recovered is False
    assert bench.answer.answer == "waiting for power: not within 30 s"
    assert bench.loop.state is State.STOPPED


def test_recover_of_a_ready_arm_does_nothing():
    bench = following()
    bench.recover()
    assert bench.answer.recovered and "nothing to recover" in bench.answer.answer
    assert bench.loop.state is State.FOLLOWING


def test_a_program_stopped_on_the_pendant_is_trouble():
    bench = following()
    bench.robot.set(runtime_state=STOPPED)
    bench.cycles(1)
    assert "program STOPPED" in bench.status.detail and not bench.status.ready


def test_servo_commands_that_are_not_taken_are_trouble():
    bench = following()
    bench.robot.takes_commands = False
    bench.cycles(4)
    assert bench.loop.state is State.STOPPED
    assert "takes no servo commands" in bench.status.detail


def test_an_arm_that_does_not_follow_is_stopped():
    bench = ready(max_lag_m=0.02)
    bench.robot.follows = False
    bench.stream(shifted(bench.here, z=0.01 * k) for k in range(1, 10))
    assert "the arm does not follow" in bench.status.detail and not bench.status.ready
    assert bench.robot.calls == ["servo_stop"]  # and the watchdog is fed no more


def test_a_frozen_controller_is_told_in_the_sixth_cycle_and_nothing_is_sent_to_it():
    bench = following()
    bench.robot.silent = True
    bench.cycles(5)
    assert bench.status.ready
    bench.cycles(1)
    assert not bench.status.ready and "5 periods missed" in bench.status.detail
    count, calls = len(bench.robot.sent), list(bench.robot.calls)
    bench.seconds(0.5)
    assert (len(bench.robot.sent), bench.robot.calls) == (count, calls)
    bench.seconds(0.6)
    assert bench.loop.state is State.LOST


def test_after_a_short_silence_the_servo_is_stopped_and_commands_begin_at_the_arm():
    bench = following()
    bench.robot.silent = True
    bench.seconds(0.1)
    bench.robot.silent = False
    bench.cycles(2)
    assert bench.loop.state is State.REFERENCING and not bench.status.ready
    assert bench.robot.calls == ["servo_stop", "kick"]
    bench.seconds(0.4)
    assert bench.status.ready


def test_after_a_silence_that_the_watchdog_ended_the_arm_waits_for_recover():
    bench = following()
    bench.robot.silent = True
    bench.seconds(0.2)
    bench.robot.silent = False
    bench.robot.set(runtime_state=STOPPED)
    bench.cycles(2)
    assert bench.loop.state is State.STOPPED and "call /arm/recover" in bench.status.detail


def test_a_closed_connection_is_lost_at_once():
    bench = following()
    bench.robot.connected = False
    bench.cycles(1)
    assert bench.loop.state is State.LOST and not bench.status.ready


def test_a_connection_lost_in_a_recovery_answers_it():
    bench = following()
    bench.robot.set(safety_bits=PROTECTIVE, safety_mode=3)
    bench.cycles(2)
    bench.recover()
    bench.robot.connected = False
    bench.cycles(1)
    assert bench.answer.recovered is False and "closed the connection" in bench.answer.answer


def test_a_short_silence_does_not_break_a_recovery():
    bench = following()
    bench.robot.set(safety_bits=PROTECTIVE, safety_mode=3)
    bench.cycles(2)
    bench.recover()
    bench.robot.silent = True
    bench.seconds(0.2)
    bench.robot.silent = False
    bench.seconds(5.0)
    assert bench.answer.recovered and bench.status.ready


def test_the_status_is_told_at_every_change_and_twice_a_second():
    bench = ready()
    before = len(bench.statuses)
    bench.seconds(3.0)
    assert 6 <= len(bench.statuses) - before <= 7
    before = len(bench.statuses)
    bench.robot.set(runtime_state=STOPPED, robot_mode=IDLE)
    bench.cycles(1)
    assert len(bench.statuses) == before + 1
    assert bench.status.speed_scaling == 1.0


def test_the_protective_flag_and_words_follow_the_controller_while_stopped():
    bench = following()
    bench.robot.set(safety_bits=PROTECTIVE, safety_mode=3)
    bench.cycles(2)
    bench.robot.set(safety_bits=NORMAL, safety_mode=1)  # unlocked on the pendant
    bench.cycles(1)
    assert not bench.status.protective_stop
    assert "program PLAYING: the control program does not run" in bench.status.detail
    assert bench.robot.state.runtime_state == PLAYING and bench.loop.state is State.STOPPED
