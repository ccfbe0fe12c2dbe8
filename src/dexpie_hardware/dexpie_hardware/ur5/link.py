"""The only module that knows ur_rtde: one connection to one controller.

Its calls may block, the constructors without end and with the interpreter locked where the controller
hangs. That is why a process of its own holds a link, and a timer of the kernel bounds every call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from dashboard_client import DashboardClient
from rtde_control import RTDEControlInterface
from rtde_receive import RTDEReceiveInterface

from dexpie_hardware.ur5.controller import ControllerState
from dexpie_hardware.ur5.errors import LinkError, RegistersTaken
from dexpie_hardware.ur5.parameters import Ur5Parameters

VARIABLES: Final = [
    "timestamp",
    "actual_q",
    "actual_qd",
    "actual_TCP_pose",
    "safety_status_bits",
    "safety_mode",
    "runtime_state",
    "robot_mode",
    "speed_scaling",
]
DASHBOARD_TIMEOUT_MS: Final = 2000
FIRST_REMOTE_VERSION: Final = (5, 6)
# ur_rtde: "NOT used in current version", but checked against a range.
UNUSED: Final = 0.5
Result = TypeVar("Result")


class Link:
    """One connection: receiving from its making on, control and dashboard when they are asked for."""

    def __init__(self, parameters: Ur5Parameters) -> None:
        self._p = parameters
        self._receive = _call(
            lambda: RTDEReceiveInterface(parameters.host, parameters.servo_rate_hz, VARIABLES)
        )
        self._control: Any = None
        self._dashboard: Any = None

    # what the controller says

    @property
    def connected(self) -> bool:
        """False once a socket is closed; a silent controller counts as connected for seconds."""
        control = self._control
        return bool(self._receive.isConnected()) and (control is None or bool(control.isConnected()))

    def timestamp_s(self) -> float:
        """The controller's time of the newest package; it stands still when nothing comes."""
        return float(self._receive.getTimestamp())

    def read(self) -> ControllerState:
        """The newest package. Fields are read one by one: again if another package came in between."""
        receive = self._receive
        while True:
            timestamp_s = receive.getTimestamp()
            state = ControllerState(
                timestamp_s=timestamp_s,
                q_rad=tuple(receive.getActualQ()),
                qd_rad_s=tuple(receive.getActualQd()),
                tcp=tuple(receive.getActualTCPPose()),
                safety_bits=receive.getSafetyStatusBits(),
                safety_mode=receive.getSafetyMode(),
                robot_mode=receive.getRobotMode(),
                runtime_state=receive.getRuntimeState(),
                speed_scaling=receive.getSpeedScaling(),
            )
            if receive.getTimestamp() == timestamp_s:
                return state

    # the control program

    def start_program(self) -> None:
        """Send the control program; `program_running` tells when it runs."""
        if self._control is None:
            self._control = _call(lambda: RTDEControlInterface(self._p.host, self._p.servo_rate_hz))
        else:
            # The registers still hold the last servo command, and a new program would carry it out:
            # reuploadScript leaves it there, stopScript clears it.
            _call(lambda: self._control.stopScript())
            _require(_call(lambda: self._control.reuploadScript()), "the control program was not taken")

    def program_running(self) -> bool:
        """Whether the control program runs, as the control connection sees it."""
        return self._control is not None and bool(self._control.isProgramRunning())

    def set_tcp(self, offset: Sequence[float]) -> None:
        """Flange to TCP: metres and rotation vector."""
        _require(_call(lambda: self._control.setTcp(list(offset))), "setTcp failed")

    def set_payload(self, mass_kg: float, cog_m: Sequence[float]) -> None:
        """Mass and its centre of gravity from the flange."""
        _require(_call(lambda: self._control.setPayload(mass_kg, list(cog_m))), "setPayload failed")

    def set_watchdog(self, min_frequency_hz: float) -> None:
        """Let the controller stop the program when commands come more rarely."""
        _require(_call(lambda: self._control.setWatchdog(min_frequency_hz)), "setWatchdog failed")

    def servo_pose(self, pose: Sequence[float]) -> bool:
        """Stream one TCP pose (6,): metres and rotation vector in `base`. ValueError before it is sent."""
        return bool(self._control.servoL(six_finite(pose), *self._servo_arguments()))

    def servo_joints(self, q_rad: Sequence[float]) -> bool:
        """Stream one set of joint angles (6,) rad. ValueError before it is sent."""
        return bool(self._control.servoJ(six_finite(q_rad), *self._servo_arguments()))

    def kick(self) -> bool:
        """Feed the controller's watchdog without moving anything."""
        return bool(self._control.kickWatchdog())

    def servo_stop(self) -> bool:
        """Bring a streamed motion to rest."""
        return bool(self._control.servoStop(self._p.stop_deceleration_m_s2))

    def _servo_arguments(self) -> tuple[float, float, float, float, float]:
        return UNUSED, UNUSED, self._p.period_s, self._p.lookahead_s, self._p.gain

    # the dashboard

    def version(self) -> tuple[int, ...]:
        """Version of the controller's software, e.g. (3, 15, 8)."""
        text = self._ask(lambda d: d.polyscopeVersion())
        try:
            return tuple(int(part) for part in str(text).split(".")[:3])
        except ValueError:
            raise LinkError(f"the controller's version {text!r} is not understood") from None

    def in_remote_control(self) -> bool:
        """Whether programs may come over the network; controllers before 5.6 always allow it."""
        if self.version() < FIRST_REMOTE_VERSION:
            return True
        return bool(self._ask(lambda d: d.isInRemoteControl()))

    def stop_any_program(self) -> None:
        """End the program, also a paused one, which no longer reads commands."""
        self._ask(lambda d: d.stop())

    def close_popups(self) -> None:
        """Close what the controller shows because of a stop."""
        self._ask(lambda d: d.closePopup())
        self._ask(lambda d: d.closeSafetyPopup())

    def unlock_protective_stop(self) -> None:
        """End a protective stop; the controller refuses within five seconds of it."""
        self._ask(lambda d: d.unlockProtectiveStop())

    def restart_safety(self) -> None:
        """Restart the safety system after a violation or a fault."""
        self._ask(lambda d: d.restartSafety())

    def power_on(self) -> None:
        """Give the motors power."""
        self._ask(lambda d: d.powerOn())

    def release_brakes(self) -> None:
        """Release the brakes of a powered arm."""
        self._ask(lambda d: d.brakeRelease())

    def _ask(self, ask: Callable[[Any], Result]) -> Result:
        if self._dashboard is None or not self._dashboard.isConnected():
            dashboard = DashboardClient(self._p.host)
            _call(lambda: dashboard.connect(DASHBOARD_TIMEOUT_MS))
            self._dashboard = dashboard
        return _call(lambda: ask(self._dashboard))

    # the end

    def shut_down(self) -> None:
        """Stop the motion and the program, then disconnect; takes a second."""
        control = self._control
        if control is not None and control.isProgramRunning():
            self.servo_stop()
            control.stopScript()
        for connection in (control, self._receive):
            if connection is not None:
                connection.disconnect()


def six_finite(values: Sequence[float]) -> list[float]:
    """Six finite numbers as a list; ValueError otherwise. ur_rtde itself sends whatever it is given."""
    numbers = [float(value) for value in values]
    if len(numbers) != 6 or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{numbers} must be six finite numbers")
    return numbers


def _call(function: Callable[[], Result]) -> Result:
    """Result of a call of the library, its errors as one line."""
    try:
        return function()
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        if "already in use" in text:
            raise RegistersTaken(
                "another client holds the controller's input registers; only one may: close the other one"
            ) from None
        raise LinkError(text) from None


def _require(done: bool, what: str) -> None:
    if not done:
        raise LinkError(what)
