"""Safety mode and robot mode as literal tables, and the bits that tell of them. Pure.

Enumerations and bits: Universal Robots' client library, ur/datatypes.h. Reduced and recovery mode, which
need a safety configuration, are left out.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class SafetyMode(IntEnum):
    """safety_mode; the name is what the dashboard says."""

    NORMAL = 1
    PROTECTIVE_STOP = 3
    SAFEGUARD_STOP = 5
    SYSTEM_EMERGENCY_STOP = 6
    ROBOT_EMERGENCY_STOP = 7
    VIOLATION = 8
    FAULT = 9


class SafetyEvent(IntEnum):
    """What happens to the safety system."""

    PROTECTIVE_STOP = 0
    UNLOCK = 1
    ROBOT_EMERGENCY = 2
    SYSTEM_EMERGENCY = 3
    EMERGENCY_RELEASED = 4
    SAFEGUARD_OPENED = 5
    SAFEGUARD_CLOSED = 6
    VIOLATION = 7
    FAULT = 8
    RESTART = 9


_M, _E = SafetyMode, SafetyEvent
_GRAVE: Final = {_E.VIOLATION: _M.VIOLATION, _E.FAULT: _M.FAULT}
_POWER_CUT: Final = {
    **_GRAVE,
    _E.ROBOT_EMERGENCY: _M.ROBOT_EMERGENCY_STOP,
    _E.SYSTEM_EMERGENCY: _M.SYSTEM_EMERGENCY_STOP,
}
_PROTECTIVE: Final = {_E.PROTECTIVE_STOP: _M.PROTECTIVE_STOP}
# An event that is not in a mode's row changes nothing there.
SAFETY_TABLE: Final[dict[SafetyMode, dict[SafetyEvent, SafetyMode]]] = {
    _M.NORMAL: {**_POWER_CUT, **_PROTECTIVE, _E.SAFEGUARD_OPENED: _M.SAFEGUARD_STOP},
    _M.PROTECTIVE_STOP: {**_POWER_CUT, _E.UNLOCK: _M.NORMAL},
    _M.SAFEGUARD_STOP: {**_POWER_CUT, **_PROTECTIVE, _E.SAFEGUARD_CLOSED: _M.NORMAL},
    _M.ROBOT_EMERGENCY_STOP: {**_GRAVE, _E.EMERGENCY_RELEASED: _M.NORMAL},
    _M.SYSTEM_EMERGENCY_STOP: {**_GRAVE, _E.EMERGENCY_RELEASED: _M.NORMAL},
    _M.VIOLATION: {_E.FAULT: _M.FAULT, _E.RESTART: _M.NORMAL},
    _M.FAULT: {_E.RESTART: _M.NORMAL},
}
WITHOUT_POWER: Final = frozenset({_M.ROBOT_EMERGENCY_STOP, _M.SYSTEM_EMERGENCY_STOP, _M.VIOLATION, _M.FAULT})
_STOPPED_DUE_TO_SAFETY: Final = 1 << 10
SAFETY_BITS: Final = {
    _M.NORMAL: 1 << 0,
    _M.PROTECTIVE_STOP: 1 << 2 | _STOPPED_DUE_TO_SAFETY,
    _M.SAFEGUARD_STOP: 1 << 4 | _STOPPED_DUE_TO_SAFETY,
    _M.SYSTEM_EMERGENCY_STOP: 1 << 5 | 1 << 7 | _STOPPED_DUE_TO_SAFETY,
    _M.ROBOT_EMERGENCY_STOP: 1 << 6 | 1 << 7 | _STOPPED_DUE_TO_SAFETY,
    _M.VIOLATION: 1 << 8 | _STOPPED_DUE_TO_SAFETY,
    _M.FAULT: 1 << 9 | _STOPPED_DUE_TO_SAFETY,
}


class RobotMode(IntEnum):
    """robot_mode; the name is what the dashboard says."""

    BOOTING = 2
    POWER_OFF = 3
    POWER_ON = 4
    IDLE = 5
    RUNNING = 7


class PowerEvent(IntEnum):
    """What happens to the motors' power and brakes."""

    BOOTED = 0
    POWER_ON = 1
    POWERED = 2
    BRAKES_RELEASED = 3
    POWER_OFF = 4


POWER_TABLE: Final[dict[RobotMode, dict[PowerEvent, RobotMode]]] = {
    RobotMode.BOOTING: {PowerEvent.BOOTED: RobotMode.RUNNING},
    RobotMode.POWER_OFF: {PowerEvent.POWER_ON: RobotMode.POWER_ON},
    RobotMode.POWER_ON: {PowerEvent.POWERED: RobotMode.IDLE, PowerEvent.POWER_OFF: RobotMode.POWER_OFF},
    RobotMode.IDLE: {
        PowerEvent.BRAKES_RELEASED: RobotMode.RUNNING,
        PowerEvent.POWER_OFF: RobotMode.POWER_OFF,
    },
    RobotMode.RUNNING: {PowerEvent.POWER_OFF: RobotMode.POWER_OFF},
}


class Power:
    """The motors' power; powering up and releasing the brakes take a while."""

    def __init__(self, mode: RobotMode, change_s: float) -> None:
        self.mode = mode
        self._change_s = change_s
        self._due: tuple[float, PowerEvent] | None = None

    @property
    def on(self) -> bool:
        """Whether the motors have power."""
        return self.mode in (RobotMode.POWER_ON, RobotMode.IDLE, RobotMode.RUNNING)

    def apply(self, event: PowerEvent) -> bool:
        """Apply an event; False where it changes nothing."""
        mode = POWER_TABLE[self.mode].get(event)
        if mode is None:
            return False
        self.mode = mode
        self._due = None
        return True

    def switch_on(self, now: float) -> None:
        """Begin to power up."""
        if self.apply(PowerEvent.POWER_ON):
            self._due = (now + self._change_s, PowerEvent.POWERED)

    def release_brakes(self, now: float) -> None:
        """Begin to release the brakes of an arm that has power."""
        if self.mode == RobotMode.IDLE:
            self._due = (now + self._change_s, PowerEvent.BRAKES_RELEASED)

    def tick(self, now: float) -> None:
        """Finish what was begun."""
        if self._due is not None and now >= self._due[0]:
            self.apply(self._due[1])
