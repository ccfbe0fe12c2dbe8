"""What the controller says of itself, and what that means for commands. Pure.

Numbers are those of the RTDE variables (Universal Robots' client library, ur/datatypes.h).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

import numpy as np

from dexpie_core import se3
from dexpie_core.se3 import Array


class RuntimeState(IntEnum):
    """State of the program."""

    STOPPING = 0
    STOPPED = 1
    PLAYING = 2
    PAUSING = 3
    PAUSED = 4
    RESUMING = 5


class SafetyMode(IntEnum):
    """State of the safety system."""

    NORMAL = 1
    REDUCED = 2
    PROTECTIVE_STOP = 3
    RECOVERY = 4
    SAFEGUARD_STOP = 5
    SYSTEM_EMERGENCY_STOP = 6
    ROBOT_EMERGENCY_STOP = 7
    VIOLATION = 8
    FAULT = 9


class RobotMode(IntEnum):
    """State of power and brakes."""

    NO_CONTROLLER = -1
    DISCONNECTED = 0
    CONFIRM_SAFETY = 1
    BOOTING = 2
    POWER_OFF = 3
    POWER_ON = 4
    IDLE = 5
    BACKDRIVE = 6
    RUNNING = 7
    UPDATING_FIRMWARE = 8


PROTECTIVE_STOPPED: Final = 1 << 2
RECOVERY_MODE: Final = 1 << 3
SAFEGUARD_STOPPED: Final = 1 << 4
EMERGENCY_STOPPED: Final = 1 << 5 | 1 << 6 | 1 << 7  # of the system, of the robot, of either
VIOLATION: Final = 1 << 8
FAULT: Final = 1 << 9


@dataclass(frozen=True)
class ControllerState:
    """One package: joints (6,) rad and rad/s, tcp (6,) m and rotation vector in `base`, modes as numbers."""

    timestamp_s: float
    q_rad: tuple[float, ...]
    qd_rad_s: tuple[float, ...]
    tcp: tuple[float, ...]
    safety_bits: int
    safety_mode: int
    robot_mode: int
    runtime_state: int
    speed_scaling: float

    @property
    def tcp_T(self) -> Array:
        """TCP pose (4, 4) in `base`."""
        return matrix_from_pose6(self.tcp)

    @property
    def protective_stop(self) -> bool:
        """Whether the controller has stopped the arm to protect something."""
        return bool(self.safety_bits & PROTECTIVE_STOPPED)

    @property
    def emergency_stop(self) -> bool:
        """Whether an emergency stop is pressed or signalled."""
        return bool(self.safety_bits & EMERGENCY_STOPPED)

    def words(self) -> str:
        """The modes by the controller's own names."""
        safety = _name(SafetyMode, self.safety_mode)
        robot = _name(RobotMode, self.robot_mode)
        program = _name(RuntimeState, self.runtime_state)
        return f"safety mode {safety}, robot mode {robot}, program {program}"


class Condition(Enum):
    """What keeps the arm from following commands, the gravest first. The text says what to do."""

    EMERGENCY_STOP = "emergency stop: release it, then call /arm/recover"
    VIOLATION = "safety violation: find the cause, then call /arm/recover to restart the safety system"
    FAULT = "safety fault: find the cause, then call /arm/recover to restart the safety system"
    RECOVERY_MODE = "joints beyond their limits: move the arm back by hand on the teach pendant"
    PROTECTIVE_STOP = "protective stop: find the cause, then call /arm/recover"
    SAFEGUARD_STOP = "safeguard stop: close the safeguard, then call /arm/recover"
    NOT_POWERED = "the motors have no power: call /arm/recover to power on and release the brakes"
    NO_PROGRAM = "the control program does not run: call /arm/recover to start it"
    OK = "running"


_BITS: Final = (
    (EMERGENCY_STOPPED, Condition.EMERGENCY_STOP),
    (VIOLATION, Condition.VIOLATION),
    (FAULT, Condition.FAULT),
    (RECOVERY_MODE, Condition.RECOVERY_MODE),
    (PROTECTIVE_STOPPED, Condition.PROTECTIVE_STOP),
    (SAFEGUARD_STOPPED, Condition.SAFEGUARD_STOP),
)


def condition(state: ControllerState) -> Condition:
    """The gravest condition that holds. The safety bits are asked: a stop may leave the program PLAYING."""
    for bits, found in _BITS:
        if state.safety_bits & bits:
            return found
    if state.robot_mode != RobotMode.RUNNING:
        return Condition.NOT_POWERED
    if state.runtime_state != RuntimeState.PLAYING:
        return Condition.NO_PROGRAM
    return Condition.OK


def pose6_from_matrix(T: Array) -> list[float]:
    """Position (m) and rotation vector (rad) of a transform (4, 4), as the controller takes them."""
    return [*T[:3, 3].tolist(), *se3.rotvec_from_rotation(T[:3, :3]).tolist()]


def matrix_from_pose6(pose: tuple[float, ...]) -> Array:
    """Transform (4, 4) of position (m) and rotation vector (rad)."""
    return se3.make(se3.rotation_from_rotvec(np.array(pose[3:6])), pose[:3])


def _name(names: type[IntEnum], number: int) -> str:
    try:
        return names(number).name
    except ValueError:
        return str(number)
