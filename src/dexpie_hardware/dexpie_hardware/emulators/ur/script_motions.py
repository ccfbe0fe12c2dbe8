"""The commands of the control program that move the arm. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dexpie_core import ur5
from dexpie_core.se3 import Array
from dexpie_hardware.emulators.ur.motion import (
    Brake,
    BrakeThenMove,
    JointMove,
    JointSpeed,
    LinearMove,
    Motion,
    Servo,
    ToolSpeed,
)
from dexpie_hardware.emulators.ur.poses import ScriptError, matrix_from_pose
from dexpie_hardware.emulators.ur.script_robot import ScriptRobot, inverse, numbers, positive

# How long an arm that a new move catches moving takes to stand first.
MOVE_BRAKING_S: Final = 0.1


def movej(robot: ScriptRobot) -> Motion:
    """d0-5 joints, d6 speed, d7 acceleration."""
    return _joint_move(robot, numbers(robot, 0, 6))


def movej_ik(robot: ScriptRobot) -> Motion:
    """d0-5 TCP pose, d6 speed, d7 acceleration."""
    return _joint_move(robot, inverse(robot, robot.arm.q_ref, "movej"))


def movel(robot: ScriptRobot) -> Motion:
    """d0-5 TCP pose, d6 speed, d7 acceleration."""
    return _linear_move(robot, matrix_from_pose(numbers(robot, 0, 6)))


def movel_fk(robot: ScriptRobot) -> Motion:
    """d0-5 joints, d6 speed, d7 acceleration."""
    return _linear_move(robot, ur5.forward(numbers(robot, 0, 6), robot.arm.load.tcp_offset))


def servoj(robot: ScriptRobot) -> None:
    """d0-5 joints, d9 lookahead time."""
    _servo(robot, numbers(robot, 0, 6))


def servol(robot: ScriptRobot) -> None:
    """d0-5 TCP pose, d9 lookahead time."""
    _servo(robot, inverse(robot, robot.arm.q_ref, "servoj"))


def speedj(robot: ScriptRobot) -> None:
    """d0-5 joint speeds, d6 acceleration."""
    _take_control(robot, JointSpeed(numbers(robot, 0, 6), positive(robot, 6, "acceleration")))


def speedl(robot: ScriptRobot) -> None:
    """d0-5 TCP velocity, d6 acceleration."""
    velocity, offset = numbers(robot, 0, 6), robot.arm.load.tcp_offset
    _take_control(robot, ToolSpeed(velocity, positive(robot, 6, "acceleration"), offset))


def servo_stop(robot: ScriptRobot) -> Motion:
    """d0 deceleration of the TCP."""
    return _brake_tool(robot, "servo")


def speed_stop(robot: ScriptRobot) -> Motion:
    """d0 deceleration, of the joints after speedj, of the TCP after speedl."""
    brake = _brake_joints if isinstance(robot.arm.motion, JointSpeed) else _brake_tool
    return brake(robot, "speed")


def stopl(robot: ScriptRobot) -> Motion:
    """d0 deceleration of the TCP."""
    return _brake_tool(robot, "move")


def stopj(robot: ScriptRobot) -> Motion:
    """d0 deceleration of the joints."""
    return _brake_joints(robot, "move")


def _take_control(robot: ScriptRobot, motion: Motion, own: str = "") -> Motion:
    """Move the arm. Two threads of a program that move it are a runtime error of URScript; `own` is ended."""
    running = robot.arm.motion
    if not running.finished and running.thread not in ("", own or motion.thread):
        raise ScriptError(f"the {running.thread} thread is already controlling the robot")
    robot.arm.motion = motion
    return motion


def _move(robot: ScriptRobot, move_from: Callable[[Array], Motion]) -> Motion:
    arm = robot.arm
    if arm.standing:
        return _take_control(robot, move_from(arm.q_ref))
    return _take_control(robot, BrakeThenMove(Brake(arm.qd_ref, MOVE_BRAKING_S), move_from))


def _joint_move(robot: ScriptRobot, target_q: Array) -> Motion:
    speed, acceleration = positive(robot, 6, "speed"), positive(robot, 7, "acceleration")
    return _move(robot, lambda start_q: JointMove(start_q, target_q, speed, acceleration))


def _linear_move(robot: ScriptRobot, target: Array) -> Motion:
    speed, acceleration = positive(robot, 6, "speed"), positive(robot, 7, "acceleration")
    offset = robot.arm.load.tcp_offset
    return _move(robot, lambda start_q: LinearMove(start_q, target, speed, acceleration, offset))


def _servo(robot: ScriptRobot, target_q: Array) -> None:
    lag_s = robot.servo_lag_s(positive(robot, 9, "lookahead_time"))
    if isinstance(robot.arm.motion, Servo):
        robot.arm.motion.retarget(target_q, lag_s)
    else:
        _take_control(robot, Servo(target_q, lag_s))


def _brake_tool(robot: ScriptRobot, own: str) -> Motion:
    arm, deceleration = robot.arm, positive(robot, 0, "deceleration")
    brake = Brake.of_tool(arm.q_ref, arm.qd_ref, deceleration, arm.load.tcp_offset)
    return _take_control(robot, brake, own)


def _brake_joints(robot: ScriptRobot, own: str) -> Motion:
    brake = Brake.of_joints(robot.arm.qd_ref, positive(robot, 0, "deceleration"))
    return _take_control(robot, brake, own)
