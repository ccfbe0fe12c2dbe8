"""The program's life: uploaded, playing, paused, stopped, watched. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from dexpie_hardware.emulators.ur.poses import ScriptError


class RuntimeState(IntEnum):
    """runtime_state."""

    STOPPING = 0
    STOPPED = 1
    PLAYING = 2
    PAUSING = 3
    PAUSED = 4
    RESUMING = 5


class ProgramEvent(IntEnum):
    """What happens to the program; SETTLED is the end of STOPPING, PAUSING or RESUMING."""

    START = 0
    STOP = 1
    PAUSE = 2
    RESUME = 3
    SETTLED = 4


_R, _E = RuntimeState, ProgramEvent
PROGRAM_TABLE: Final[dict[RuntimeState, dict[ProgramEvent, RuntimeState]]] = {
    _R.STOPPED: {_E.START: _R.PLAYING},
    _R.PLAYING: {_E.STOP: _R.STOPPING, _E.PAUSE: _R.PAUSING},
    _R.PAUSING: {_E.STOP: _R.STOPPING, _E.SETTLED: _R.PAUSED},
    _R.PAUSED: {_E.STOP: _R.STOPPING, _E.RESUME: _R.RESUMING},
    _R.RESUMING: {_E.STOP: _R.STOPPING, _E.PAUSE: _R.PAUSING, _E.SETTLED: _R.PLAYING},
    _R.STOPPING: {_E.SETTLED: _R.STOPPED},
}


class Script(Protocol):
    """What a program does in a cycle."""

    def cycle(self) -> bool:
        """Run a cycle; False at the end. ScriptError ends it too."""


@dataclass
class Watchdog:
    """rtde_set_watchdog on input_int_register_0: the program stops when it is not written often enough."""

    min_frequency_hz: float
    fed_s: float

    def expired(self, now: float) -> bool:
        """Whether the register has not been written for longer than a period of the frequency."""
        return now - self.fed_s > 1.0 / self.min_frequency_hz


class Program:
    """The one program that the controller runs at a time."""

    def __init__(self, start_s: float) -> None:
        self.state = RuntimeState.STOPPED
        self.watchdog: Watchdog | None = None
        self._start_s = start_s
        self._due_s: float | None = None
        self._script: Script | None = None

    @property
    def moving_allowed(self) -> bool:
        """Whether the state of the program lets the arm move."""
        return self.state not in (RuntimeState.PAUSING, RuntimeState.PAUSED)

    def apply(self, event: ProgramEvent) -> bool:
        """Apply an event; False where it changes nothing."""
        state = PROGRAM_TABLE[self.state].get(event)
        if state is None:
            return False
        self.state = state
        return True

    def upload(self, now: float) -> None:
        """Have a new program started in a while; the old one has been told to stop."""
        self._due_s = now + self._start_s

    def start_due(self, now: float) -> bool:
        """Whether an uploaded program is to start now; true once."""
        if self._due_s is None or now < self._due_s or self.state != RuntimeState.STOPPED:
            return False
        self._due_s = None
        return True

    def start(self, script: Script) -> None:
        """Play."""
        self._script = script
        self.apply(ProgramEvent.START)

    def stop(self) -> bool:
        """Stop, and forget an upload; False where nothing ran."""
        self._due_s = None
        self.watchdog = None
        return self.apply(ProgramEvent.STOP)

    def cycle(self, now: float) -> bool:
        """Run one cycle; False where the program has come to its end. ScriptError where it failed."""
        if self._script is None or self.state != RuntimeState.PLAYING:
            return True
        if self.watchdog is not None and self.watchdog.expired(now):
            raise ScriptError("watchdog: input_int_register_0 was not written often enough")
        return self._script.cycle()
