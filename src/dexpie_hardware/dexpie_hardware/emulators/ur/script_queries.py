"""The commands of the control program that set or ask something. Pure."""

from __future__ import annotations

from dexpie_core import ur5
from dexpie_core.se3 import Array
from dexpie_hardware.emulators.ur import poses
from dexpie_hardware.emulators.ur.poses import ScriptError, matrix_from_pose, pose_from_matrix
from dexpie_hardware.emulators.ur.script_robot import ScriptRobot, answer, answer_bool, inverse, numbers


def nothing(robot: ScriptRobot) -> None:
    """Accepted, without effect on what is modelled."""


def set_payload(robot: ScriptRobot) -> None:
    """d0 mass, d1-3 centre of gravity."""
    robot.arm.load.mass_kg = float(numbers(robot, 0, 1)[0])
    robot.arm.load.cog_m = numbers(robot, 1, 4)


def set_target_payload(robot: ScriptRobot) -> None:
    """d0 mass, d1-3 centre of gravity, d4-9 inertia."""
    set_payload(robot)
    robot.arm.load.inertia_kg_m2 = numbers(robot, 4, 10)


def set_tcp(robot: ScriptRobot) -> None:
    """d0-5 pose of the TCP on the flange."""
    robot.arm.load.tcp_offset = matrix_from_pose(numbers(robot, 0, 6))


def set_watchdog(robot: ScriptRobot) -> None:
    """d0 lowest frequency."""
    robot.watch(robot.inputs.doubles[0])


def protective_stop(robot: ScriptRobot) -> None:
    """Stop at the program's own wish."""
    robot.protective_stop("protective_stop() of the program")


def tcp_offset(robot: ScriptRobot) -> None:
    """Pose of the TCP on the flange."""
    answer(robot, pose_from_matrix(robot.arm.load.tcp_offset))


def flange_pose(robot: ScriptRobot) -> None:
    """Pose of the flange."""
    answer(robot, pose_from_matrix(ur5.forward(robot.arm.q)))


def forward(robot: ScriptRobot) -> None:
    """Pose of the TCP."""
    answer(robot, pose_from_matrix(ur5.forward(robot.arm.q, robot.arm.load.tcp_offset)))


def forward_of(robot: ScriptRobot) -> None:
    """Pose of a TCP d6-11 at joints d0-5."""
    offset = matrix_from_pose(numbers(robot, 6, 12))
    answer(robot, pose_from_matrix(ur5.forward(numbers(robot, 0, 6), offset)))


def inverse_default(robot: ScriptRobot) -> None:
    """Joints of the TCP pose d0-5, near the present ones."""
    answer(robot, inverse(robot, robot.arm.q_ref, "get_inverse_kin"))


def inverse_near(robot: ScriptRobot) -> None:
    """Joints of the TCP pose d0-5, near d6-11."""
    answer(robot, inverse(robot, numbers(robot, 6, 12), "get_inverse_kin"))


def has_solution_default(robot: ScriptRobot) -> None:
    """Whether the TCP pose d0-5 can be reached."""
    _has_solution(robot, robot.arm.q_ref)


def has_solution_near(robot: ScriptRobot) -> None:
    """Whether the TCP pose d0-5 can be reached near d6-11."""
    _has_solution(robot, numbers(robot, 6, 12))


def joints_within_limits(robot: ScriptRobot) -> None:
    """Whether joints d0-5 are within the limits."""
    answer_bool(robot, poses.joints_within_limits(numbers(robot, 0, 6)))


def pose_trans(robot: ScriptRobot) -> None:
    """Pose d0-5 times pose d6-11."""
    first, second = (matrix_from_pose(numbers(robot, i, i + 6)) for i in (0, 6))
    answer(robot, pose_from_matrix(first @ second))


def is_steady(robot: ScriptRobot) -> None:
    """Whether the arm stands."""
    answer_bool(robot, robot.arm.standing)


def get_steptime(robot: ScriptRobot) -> None:
    """Length of a cycle."""
    answer(robot, [robot.cycle_s])


def _has_solution(robot: ScriptRobot, q_near: Array) -> None:
    try:
        inverse(robot, q_near, "get_inverse_kin_has_solution")
    except ScriptError:
        answer_bool(robot, False)
    else:
        answer_bool(robot, True)
