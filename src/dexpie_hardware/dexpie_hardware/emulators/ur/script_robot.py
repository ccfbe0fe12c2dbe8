"""What the control program sees of the robot, and how its commands read arguments and leave results. Pure.

In the docstrings of the commands d0 is input_double_register_0 and i1 input_int_register_1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from dexpie_core.se3 import Array
from dexpie_hardware.emulators.ur import poses
from dexpie_hardware.emulators.ur.arm import Arm
from dexpie_hardware.emulators.ur.poses import ScriptError
from dexpie_hardware.emulators.ur.registers import Registers


class ScriptRobot(Protocol):
    """What a program can do with the robot."""

    arm: Arm
    inputs: Registers
    outputs: Registers
    commands_received: int
    cycle_s: float

    def servo_lag_s(self, lookahead_s: float) -> float:
        """Lag of the servo for a command's lookahead time."""

    def watch(self, min_frequency_hz: float) -> None:
        """Stop the program when register 0 is not written this often."""

    def protective_stop(self, cause: str) -> None:
        """Stop the arm until it is unlocked."""

    def tell(self, message: str) -> None:
        """A text message for all clients."""

    def record(self, code: int, name: str) -> None:
        """Keep what the program was asked to do."""


def numbers(robot: ScriptRobot, start: int, stop: int) -> Array:
    """Input registers d[start] to d[stop - 1]; ScriptError where they are not finite."""
    found = np.array(robot.inputs.doubles[start:stop])
    if not np.all(np.isfinite(found)):
        raise ScriptError(f"argument is not finite: {found.tolist()}")
    return found


def positive(robot: ScriptRobot, register: int, what: str) -> float:
    """Input register d[register]; ScriptError where it is not above zero."""
    number = robot.inputs.doubles[register]
    if not 0.0 < number < np.inf:
        raise ScriptError(f"{what} {number} must be positive")
    return number


def answer(robot: ScriptRobot, result: Sequence[float] | Array) -> None:
    """Leave numbers in the output double registers."""
    robot.outputs.doubles[: len(result)] = [float(number) for number in result]


def answer_bool(robot: ScriptRobot, result: bool) -> None:
    """Leave a yes or no in output_int_register_1."""
    robot.outputs.ints[1] = int(result)


def inverse(robot: ScriptRobot, q_near: Array, who: str) -> Array:
    """Joint angles (6,) of the TCP pose in d0-5; ScriptError where it is out of reach."""
    T = poses.matrix_from_pose(numbers(robot, 0, 6))
    return poses.inverse_or_fail(T, q_near, robot.arm.load.tcp_offset, who)
