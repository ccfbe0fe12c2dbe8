"""Starting and recovering the arm, step by step. Pure: what they call and the time come from outside.

A procedure is a generator: it yields what it is waiting for and is sent the time (s) of every cycle, so
that the loop goes on around it. It ends when the arm is ready, or raises what is in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final, Protocol

from dexpie_hardware.ur5.checks import CommandChecks
from dexpie_hardware.ur5.controller import Condition, ControllerState, RobotMode, RuntimeState, condition
from dexpie_hardware.ur5.errors import Blocked, ProcedureFailed, RegistersTaken
from dexpie_hardware.ur5.parameters import CB3_RATE_HZ, Ur5Parameters

UNLOCK_AFTER_S: Final = 5.0  # the controller refuses to unlock a younger protective stop
STOP_TIMEOUT_S: Final = 3.0
PROGRAM_TIMEOUT_S: Final = 5.0
TCP_TIMEOUT_S: Final = 1.0
SAFETY_TIMEOUT_S: Final = 20.0
POWER_TIMEOUT_S: Final = 30.0
RETRY_S: Final = 2.0  # between attempts to get the registers that another client holds

Procedure = Generator[str, float, None]


class Robot(Protocol):
    """What procedures do with the controller (ur5.link.Link)."""

    def version(self) -> tuple[int, ...]: ...
    def in_remote_control(self) -> bool: ...
    def start_program(self) -> None: ...
    def program_running(self) -> bool: ...
    def set_tcp(self, offset: tuple[float, ...]) -> None: ...
    def set_payload(self, mass_kg: float, cog_m: tuple[float, ...]) -> None: ...
    def set_watchdog(self, min_frequency_hz: float) -> None: ...
    def stop_any_program(self) -> None: ...
    def close_popups(self) -> None: ...
    def unlock_protective_stop(self) -> None: ...
    def restart_safety(self) -> None: ...
    def power_on(self) -> None: ...
    def release_brakes(self) -> None: ...


class Procedures:
    """`newest` returns the newest package of the controller."""

    def __init__(
        self, robot: Robot, parameters: Ur5Parameters, newest: Callable[[], ControllerState]
    ) -> None:
        self._robot = robot
        self._p = parameters
        self._newest = newest
        self._checks = CommandChecks(parameters)

    def start(self) -> Procedure:
        """Start the control program of an arm that is powered and not stopped."""
        self._require_unstopped()
        yield from self._check_controller()
        yield from self._arm(patient=True)

    def recover(self, stopped_s: float) -> Procedure:
        """Clear what stops the arm, start the program anew; `stopped_s`: when a protective stop was seen."""
        found = self._condition()
        if found in (Condition.EMERGENCY_STOP, Condition.SAFEGUARD_STOP, Condition.RECOVERY_MODE):
            raise Blocked(f"{self._newest().words()}: {found.value}")
        yield from self._check_controller()
        yield from self._stop_program()
        if found is Condition.PROTECTIVE_STOP:
            yield from self._unlock(stopped_s)
        if found in (Condition.VIOLATION, Condition.FAULT):
            self._robot.restart_safety()
            yield from self._wait(
                "waiting for the safety system to restart", SAFETY_TIMEOUT_S,
                lambda: self._condition() not in (Condition.VIOLATION, Condition.FAULT),
            )  # fmt: skip
        if self._newest().robot_mode != RobotMode.RUNNING:
            yield from self._power_up()
        self._require_unstopped()
        yield from self._arm(patient=False)

    def _condition(self) -> Condition:
        return condition(self._newest())

    def _require_unstopped(self) -> None:
        found = self._condition()
        if found not in (Condition.OK, Condition.NO_PROGRAM):
            raise Blocked(f"{self._newest().words()}: {found.value}")

    def _check_controller(self) -> Procedure:
        yield "asking for the controller's version"
        if self._robot.version() < (5,) and self._p.servo_rate_hz > CB3_RATE_HZ:
            raise ProcedureFailed(
                f"servo_rate_hz {self._p.servo_rate_hz:g} is too fast for CB3: at most {CB3_RATE_HZ:g}"
            )
        if not self._robot.in_remote_control():
            raise ProcedureFailed(
                "the controller is in local control: switch it to remote control, then call /arm/recover"
            )

    def _stop_program(self) -> Procedure:
        # A program that still runs would go on to its old target as soon as the arm may move.
        self._robot.stop_any_program()
        yield from self._wait(
            "waiting for the old program to stop", STOP_TIMEOUT_S,
            lambda: self._newest().runtime_state == RuntimeState.STOPPED,
        )  # fmt: skip

    def _unlock(self, stopped_s: float) -> Procedure:
        now_s = yield "waiting until the protective stop is five seconds old"
        while now_s < stopped_s + UNLOCK_AFTER_S:
            now_s = yield "waiting until the protective stop is five seconds old"
        self._robot.close_popups()
        self._robot.unlock_protective_stop()
        yield from self._wait(
            "waiting for the protective stop to end", STOP_TIMEOUT_S,
            lambda: self._condition() is not Condition.PROTECTIVE_STOP,
        )  # fmt: skip

    def _power_up(self) -> Procedure:
        self._robot.close_popups()
        self._robot.power_on()
        yield from self._wait(
            "waiting for power", POWER_TIMEOUT_S,
            lambda: self._newest().robot_mode in (RobotMode.IDLE, RobotMode.RUNNING),
        )  # fmt: skip
        self._robot.release_brakes()
        yield from self._wait(
            "waiting for the brakes", POWER_TIMEOUT_S, lambda: self._newest().robot_mode == RobotMode.RUNNING
        )

    def _arm(self, patient: bool) -> Procedure:
        """Program, TCP, payload, and the watchdog last: from then on it must be fed.

        `patient` waits for another client to let go of the controller's registers.
        """
        yield "starting the control program"
        yield from self._start_program(patient)
        yield from self._wait(
            "waiting for the control program", PROGRAM_TIMEOUT_S,
            lambda: self._robot.program_running() and self._newest().runtime_state == RuntimeState.PLAYING,
        )  # fmt: skip
        self._robot.set_tcp(self._p.tcp_offset)
        self._robot.set_payload(self._p.payload_kg, self._p.payload_cog_m)
        yield from self._wait("waiting for the TCP", TCP_TIMEOUT_S, self._tcp_fits, self._tcp_words)
        self._robot.set_watchdog(self._p.watchdog_hz)

    def _start_program(self, patient: bool) -> Procedure:
        while True:
            try:
                return self._robot.start_program()
            except RegistersTaken as error:
                if not patient:
                    raise
                again_s = (yield str(error)) + RETRY_S
                while (yield str(error)) < again_s:
                    pass

    def _tcp_fits(self) -> bool:
        error_m, error_rad = self._tcp_error()
        return error_m <= self._p.tcp_tolerance_m and error_rad <= self._p.tcp_tolerance_rad

    def _tcp_words(self) -> str:
        error_m, error_rad = self._tcp_error()
        return (
            f"the controller's TCP is {error_m * 1000:.0f} mm and {error_rad:.3f} rad from the one of the "
            "kinematics: is the arm a UR5? (parameters kinematics, tcp_offset, tcp_tolerance_m)"
        )

    def _tcp_error(self) -> tuple[float, float]:
        state = self._newest()
        return self._checks.tcp_error(state.q_rad, state.tcp_T)

    def _wait(
        self, what: str, timeout_s: float, done: Callable[[], bool], words: Callable[[], str] | None = None
    ) -> Procedure:
        """Yield until it is done, a cycle at least: the newest package may be older than the request."""
        deadline_s = (yield what) + timeout_s
        while not done():
            if (yield what) > deadline_s:
                raise ProcedureFailed(words() if words else f"{what}: not within {timeout_s:.0f} s")
