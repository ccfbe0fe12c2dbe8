"""The control program: ready, done, executing; what each command does; what ends it."""

import numpy as np
import pytest
from ur_controller_for_tests import HOME, SERVO_REST, Robot

from dexpie_core import ur5
from dexpie_hardware.emulators.ur.motion import Brake, Hold, Servo
from dexpie_hardware.emulators.ur.poses import matrix_from_pose, pose_from_matrix
from dexpie_hardware.emulators.ur.program import PROGRAM_TABLE, ProgramEvent, RuntimeState
from dexpie_hardware.emulators.ur.script import COMMANDS, DONE, READY

SERVOJ, SERVOL, SERVO_STOP, SET_TCP, WATCHDOG = 11, 24, 16, 29, 35
MOVEJ, MOVEL, STOPJ = 1, 3, 34
UNREACHABLE = (1.5, 0.0, 0.3, 0.0, 3.0, 0.0)


def state(robot):
    return robot.controller.program.state


def pose_of(q, offset=None):
    return pose_from_matrix(ur5.forward(q, offset))


def test_a_command_is_done_once_until_it_is_cleared():
    robot = Robot().start()
    assert robot.answer == READY
    robot.send(SET_TCP, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0)
    robot.cycles()
    assert robot.answer == DONE
    # Other arguments for the same, uncleared command are not looked at.
    robot.send(SET_TCP, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0)
    robot.cycles()
    assert robot.arm.load.tcp_offset[2, 3] == 0.1
    robot.send(0)
    robot.cycles()
    assert robot.answer == READY
    robot.send(SET_TCP, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0)
    robot.cycles()
    assert robot.arm.load.tcp_offset[2, 3] == 0.2


def test_streaming_commands_leave_it_ready():
    robot = Robot().start()
    robot.send(SERVOJ, *(HOME + 0.1), *SERVO_REST)
    robot.cycles()
    assert robot.answer == READY
    assert isinstance(robot.arm.motion, Servo)


def test_a_blocking_move_is_done_when_it_has_arrived():
    robot = Robot().start()
    target = HOME + 0.2
    robot.send(MOVEJ, *target, 1.05, 1.4, i1=0)
    robot.cycles(10)
    assert robot.answer == READY
    robot.send(0)
    robot.command(MOVEJ, *target, 1.05, 1.4, i1=0)
    np.testing.assert_allclose(robot.arm.q, target, atol=1e-9)


def test_an_asynchronous_move_is_done_at_once_and_tells_its_progress():
    robot = Robot().start()
    robot.send(MOVEJ, *(HOME + 0.2), 1.05, 1.4, i1=1)
    robot.cycles()
    register = robot.controller.outputs.ints[2]
    assert robot.answer == DONE
    assert register >> 15 & 1 == 1
    assert register >> 24 == 1  # first operation
    robot.seconds(2.0)
    finished = robot.controller.outputs.ints[2]
    assert finished >> 15 & 1 == 0
    assert finished >> 16 & 127 == (register >> 16 & 127) + 1
    np.testing.assert_allclose(robot.arm.q, HOME + 0.2)


def test_a_move_that_catches_another_one_brakes_first():
    robot = Robot().start()
    robot.command(MOVEJ, *(HOME + 1.0), 1.05, 1.4, i1=1)
    robot.seconds(0.7)
    fastest = [0.0]
    robot.send(MOVEJ, *HOME, 1.05, 1.4, i1=0)
    while robot.answer != DONE:
        before = robot.arm.qd_ref
        robot.cycles()
        fastest.append(float(np.max(np.abs(robot.arm.qd_ref - before))))
    assert max(fastest) < 0.15  # rad/s a cycle: from 0.8 rad/s to rest in 0.1 s is 0.08
    np.testing.assert_allclose(robot.arm.q_ref, HOME)


def test_servo_holds_its_last_target_for_ever():
    robot = Robot().start()
    robot.send(SERVOJ, *(HOME + 0.1), *SERVO_REST)
    robot.seconds(20.0)
    assert state(robot) == RuntimeState.PLAYING
    np.testing.assert_allclose(robot.arm.q, HOME + 0.1, atol=1e-6)
    assert isinstance(robot.arm.motion, Servo)


def test_servo_stop_ends_the_servo():
    robot = Robot().start()
    robot.send(SERVOJ, *(HOME + 0.5), *SERVO_REST)
    robot.seconds(0.2)
    robot.command(SERVO_STOP, 10.0)
    stopped_at = robot.arm.q_ref
    robot.seconds(1.0)
    assert isinstance(robot.arm.motion, (Hold, Brake))
    np.testing.assert_array_equal(robot.arm.q_ref, stopped_at)
    assert not np.any(robot.arm.qd_ref)


def test_servol_follows_the_pose_of_the_tcp():
    robot = Robot().start()
    robot.command(SET_TCP, 0.0, 0.0, 0.15, 0.0, 0.0, 0.0)
    offset = robot.arm.load.tcp_offset
    pose = pose_of(HOME, offset)
    pose[2] += 0.05
    robot.send(SERVOL, *pose, *SERVO_REST)
    robot.seconds(2.0)
    np.testing.assert_allclose(ur5.forward(robot.arm.q, offset), matrix_from_pose(pose), atol=1e-6)


def test_lag_of_the_settings_replaces_the_lookahead():
    slow, fast = Robot(lag_s=0.4).start(), Robot().start()
    for robot in (slow, fast):
        robot.send(SERVOJ, *(HOME + 0.1), *SERVO_REST)
        robot.seconds(0.3)
    assert np.all(HOME + 0.1 - slow.arm.q_ref > 3 * (HOME + 0.1 - fast.arm.q_ref))


@pytest.mark.parametrize(
    "code, doubles, said",
    [
        (SERVOL, (*UNREACHABLE, *SERVO_REST), "no solution"),
        (MOVEL, (*UNREACHABLE, 0.25, 1.2), "no solution"),
        (46, UNREACHABLE, "no solution"),
        (SERVOJ, (float("nan"), *HOME[1:], *SERVO_REST), "not finite"),
        (SET_TCP, (float("inf"), 0, 0, 0, 0, 0), "not finite"),
        (MOVEJ, (*HOME, 0.0, 1.4), "speed"),
        (MOVEJ, (7.0, *HOME[1:], 1.0, 1.4), "joint limits"),
        (SERVO_STOP, (0.0,), "deceleration"),
    ],
)
def test_what_the_robot_cannot_do_ends_the_program(code, doubles, said):
    robot = Robot().start()
    robot.send(code, *doubles, i1=0)
    robot.cycles(3)
    assert state(robot) in (RuntimeState.STOPPING, RuntimeState.STOPPED)
    assert said in robot.controller.message_log[-1]
    robot.seconds(0.5)
    assert state(robot) == RuntimeState.STOPPED
    np.testing.assert_array_equal(robot.arm.q, HOME)


def test_a_move_while_the_servo_runs_ends_the_program():
    robot = Robot().start()
    robot.send(SERVOJ, *(HOME + 0.01), *SERVO_REST)
    robot.seconds(0.5)
    robot.send(MOVEJ, *HOME, 1.05, 1.4, i1=0)
    robot.cycles(2)
    assert state(robot) != RuntimeState.PLAYING
    assert "servo thread is already controlling" in robot.controller.message_log[-1]


def test_unknown_commands_are_done_and_told():
    robot = Robot().start()
    robot.send(45)
    robot.cycles()
    assert robot.answer == DONE
    assert "command 45 is not modelled" in robot.controller.take_messages()
    robot.send(0)
    robot.cycles()
    robot.send(66)
    robot.cycles(3)
    assert robot.answer == READY
    assert robot.controller.take_messages() == ["command 66 is not modelled"]


def test_command_255_ends_the_program():
    robot = Robot().start()
    robot.send(255)
    robot.cycles(3)
    assert state(robot) == RuntimeState.STOPPED


def test_queries_equal_the_kinematics():
    robot = Robot().start()
    offset = [0.01, 0.02, 0.1, 0.3, 0.0, 0.0]
    robot.command(SET_TCP, *offset)
    T_offset = matrix_from_pose(offset)
    robot.command(40)
    assert robot.result == pytest.approx(offset)
    robot.command(43)
    assert robot.result == pytest.approx(pose_of(HOME, T_offset))
    q = HOME + np.array([0.1, 0.2, -0.3, 0.1, 0.2, 0.4])
    robot.command(44, *q, *offset)
    assert robot.result == pytest.approx(pose_of(q, T_offset))
    robot.command(30, *pose_of(q, T_offset), *q, 1e-10, 1e-10)
    assert robot.result == pytest.approx(q)
    robot.command(46, *pose_of(q, T_offset))
    assert robot.result == pytest.approx(ur5.inverse(ur5.forward(q, T_offset), HOME, T_offset))
    robot.command(39, *offset, *offset)
    assert robot.result == pytest.approx(pose_from_matrix(T_offset @ T_offset))
    robot.send(58)
    robot.cycles()
    assert robot.result == pytest.approx(pose_of(HOME))


@pytest.mark.parametrize(
    "code, doubles, expected",
    [
        (37, (6.2, 0, 0, 0, 0, 0), 1),
        (37, (6.3, 0, 0, 0, 0, 0), 0),
        (36, UNREACHABLE, 0),
        (60, UNREACHABLE, 0),
        (61, (*UNREACHABLE, *HOME, 1e-10, 1e-10), 0),
        (60, tuple(pose_of(HOME)), 1),
        (47, (), 1),
    ],
)
def test_yes_or_no(code, doubles, expected):
    robot = Robot().start()
    robot.controller.outputs.ints[1] = -1
    robot.command(code, *doubles)
    assert robot.controller.outputs.ints[1] == expected
    assert state(robot) == RuntimeState.PLAYING


def test_tcp_and_payload_live_as_long_as_the_program():
    robot = Robot().start()
    robot.command(SET_TCP, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0)
    robot.command(17, 1.5, 0.0, 0.0, 0.05)
    assert robot.arm.load.mass_kg == 1.5
    np.testing.assert_array_equal(robot.arm.load.cog_m, [0.0, 0.0, 0.05])
    robot.controller.upload()
    robot.cycles(5)
    assert state(robot) == RuntimeState.PLAYING
    assert robot.arm.load.mass_kg == 0.0
    np.testing.assert_array_equal(robot.arm.load.tcp_offset, np.eye(4))


def test_watchdog_stops_the_program_when_register_0_is_not_written():
    robot = Robot().start()
    robot.command(WATCHDOG, 10.0)
    for _ in range(5):
        robot.seconds(0.08)
        robot.send(0)  # kickWatchdog: the same value, written again
    robot.seconds(0.08)
    assert state(robot) == RuntimeState.PLAYING
    robot.seconds(0.04)
    assert state(robot) != RuntimeState.PLAYING
    assert "watchdog" in robot.controller.message_log[-1]


def test_watchdog_is_not_fed_by_other_registers():
    robot = Robot().start()
    robot.command(WATCHDOG, 10.0)
    for _ in range(15):
        robot.cycles()
        robot.controller.write_inputs({"input_int_register_23": 1}, robot.now)
    assert state(robot) != RuntimeState.PLAYING


def test_watchdog_ends_with_the_program():
    robot = Robot().start()
    robot.command(WATCHDOG, 10.0)
    robot.controller.upload()
    robot.seconds(5.0)
    assert state(robot) == RuntimeState.PLAYING


def test_an_overdue_cycle_is_skipped_and_counted_but_the_arm_keeps_time():
    robot, on_time = Robot().start(), Robot().start()
    for each in (robot, on_time):
        each.send(MOVEJ, *(HOME + 0.5), 0.5, 1.4, i1=1)
        each.cycles()
    cycles = robot.controller.cycle
    robot.now += 5 * 0.008
    assert robot.controller.advance(robot.now)
    assert not robot.controller.advance(robot.now)
    on_time.cycles(5)
    assert robot.controller.cycle == cycles + 5
    assert robot.controller.skipped_cycles == 4
    assert robot.controller.timestamp_s == pytest.approx((cycles + 5) * 0.008)
    np.testing.assert_allclose(robot.arm.q_ref, on_time.arm.q_ref)


def test_stop_of_a_background_move():
    robot = Robot().start()
    robot.command(MOVEJ, *(HOME + 1.0), 1.0, 1.4, i1=1)
    robot.seconds(0.5)
    robot.command(STOPJ, 2.0, i1=0)
    assert not np.any(robot.arm.qd_ref)
    assert robot.controller.outputs.ints[2] >> 15 & 1 == 0
    assert np.all(robot.arm.q_ref < HOME + 0.9)


def test_every_row_of_the_program_table():
    for before, row in PROGRAM_TABLE.items():
        for event in ProgramEvent:
            robot = Robot()
            robot.controller.program.state = before
            assert robot.controller.program.apply(event) == (event in row)
            assert state(robot) == row.get(event, before)


def test_codes_of_the_uploaded_program_that_stream():
    assert {code for code, command in COMMANDS.items() if command.streaming} == {9, 10, 11, 24, 26, 58}
