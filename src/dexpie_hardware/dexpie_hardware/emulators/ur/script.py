"""The control program that ur_rtde uploads, as the state machine that its client relies on. Pure.

Each cycle it reads its command from input_int_register_0 and answers in output_int_register_0:
1 means ready, 2 means done. Streaming commands leave it at 1; any other one is done once, and the
client then writes 0, which makes the program ready again (ur_rtde, rtde_control.script).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dexpie_hardware.emulators.ur import script_motions as motions
from dexpie_hardware.emulators.ur import script_queries as queries
from dexpie_hardware.emulators.ur.motion import Motion
from dexpie_hardware.emulators.ur.script_robot import ScriptRobot

READY: Final = 1
DONE: Final = 2
CLEAR: Final = 0
STOP: Final = 255
SERVO_CODES: Final = frozenset({11, 24})


@dataclass(frozen=True)
class Command:
    """One command of the program. `run` returns the motion that has to end before the command is done.

    `streaming`: carried out each cycle, never done. `asynchronous`: done at once where input_int_register_1
    is 1, and output_int_register_2 then tells how the motion goes.
    """

    name: str
    run: Callable[[ScriptRobot], Motion | None]
    streaming: bool = False
    asynchronous: bool = False


COMMANDS: Final[dict[int, Command]] = {
    1: Command("movej", motions.movej, asynchronous=True),
    2: Command("movej_ik", motions.movej_ik, asynchronous=True),
    3: Command("movel", motions.movel, asynchronous=True),
    4: Command("movel_fk", motions.movel_fk, asynchronous=True),
    8: Command("zero_ftsensor", queries.nothing),
    9: Command("speedj", motions.speedj, streaming=True),
    10: Command("speedl", motions.speedl, streaming=True),
    11: Command("servoj", motions.servoj, streaming=True),
    15: Command("speed_stop", motions.speed_stop),
    16: Command("servo_stop", motions.servo_stop),
    17: Command("set_payload", queries.set_payload),
    24: Command("servol", motions.servol, streaming=True),
    26: Command("get_steptime", queries.get_steptime, streaming=True),
    29: Command("set_tcp", queries.set_tcp),
    30: Command("get_inverse_kin_args", queries.inverse_near),
    31: Command("protective_stop", queries.protective_stop),
    33: Command("stopl", motions.stopl, asynchronous=True),
    34: Command("stopj", motions.stopj, asynchronous=True),
    35: Command("set_watchdog", queries.set_watchdog),
    36: Command("is_pose_within_safety_limits", queries.has_solution_default),
    37: Command("is_joints_within_safety_limits", queries.joints_within_limits),
    39: Command("pose_trans", queries.pose_trans),
    40: Command("get_tcp_offset", queries.tcp_offset),
    43: Command("get_forward_kinematics_default", queries.forward),
    44: Command("get_forward_kinematics_args", queries.forward_of),
    46: Command("get_inverse_kin_default", queries.inverse_default),
    47: Command("is_steady", queries.is_steady),
    58: Command("get_actual_tool_flange_pose", queries.flange_pose, streaming=True),
    60: Command("get_inverse_kin_has_solution_default", queries.has_solution_default),
    61: Command("get_inverse_kin_has_solution_args", queries.has_solution_near),
    65: Command("set_target_payload", queries.set_target_payload),
}
# Streaming as well, and not modelled: force control, tool contact, dynamics.
_UNMODELLED_STREAMING: Final = frozenset({6, 25, 27, 38, 66, 67, 68, 69, 70, 71})


class Progress:
    """output_int_register_2: bit 15 running, bits 16-22 count of writes, bits 24-30 operation."""

    def __init__(self, registers: list[int]) -> None:
        self._registers = registers
        self._writes = 0
        self._operation = 0
        self._write(running=False)

    def begin(self) -> None:
        """An operation has begun."""
        self._operation = (self._operation + 1) % 128
        self._write(running=True)

    def end(self) -> None:
        """It has ended."""
        self._write(running=False)

    def _write(self, running: bool) -> None:
        self._writes = (self._writes + 1) % 128
        self._registers[2] = int(running) << 15 | self._writes << 16 | self._operation << 24


class ControlScript:
    """One run of the program."""

    def __init__(self, robot: ScriptRobot) -> None:
        self._robot = robot
        self._executing = False
        self._waiting_for: Motion | None = None
        self._in_background: Motion | None = None
        self._handled = -1
        self._recorded = CLEAR
        self._progress = Progress(robot.outputs.ints)
        robot.outputs.ints[0] = READY

    def cycle(self) -> bool:
        """Run one cycle; False where the program has ended. ScriptError ends it too."""
        self._watch_background()
        if not self._waited():
            return True
        code = self._robot.inputs.ints[0]
        command = COMMANDS.get(code)
        if code == STOP:
            return False
        if code == CLEAR:
            self._executing = False
            self._answer(READY)
        elif code in _UNMODELLED_STREAMING or (command is not None and command.streaming):
            # Registers not written since hold what was carried out before: once more is nothing new.
            if self._robot.commands_received != self._handled:
                self._handled = self._robot.commands_received
                self._process(code, command)
            self._answer(READY)
        elif not self._executing:
            self._executing = True
            self._begin(code, command)
        return True

    def _begin(self, code: int, command: Command | None) -> None:
        motion = self._process(code, command)
        in_background = command is not None and command.asynchronous and self._robot.inputs.ints[1] == 1
        if motion is not None and not motion.finished:
            if not in_background:
                self._waiting_for = motion
                return
            self._in_background = motion
            self._progress.begin()
        self._answer(DONE)

    def _waited(self) -> bool:
        if self._waiting_for is not None:
            if not self._waiting_for.finished:
                return False
            self._waiting_for = None
            self._answer(DONE)
        return True

    def _watch_background(self) -> None:
        motion = self._in_background
        if motion is not None and (motion.finished or motion is not self._robot.arm.motion):
            self._in_background = None
            self._progress.end()

    def _process(self, code: int, command: Command | None) -> Motion | None:
        if command is None:
            self._robot.tell(f"command {code} is not modelled")
            return None
        if not command.streaming or code != self._recorded:
            self._robot.record(code, command.name)
        self._recorded = code
        return command.run(self._robot)

    def _answer(self, value: int) -> None:
        self._robot.outputs.ints[0] = value
