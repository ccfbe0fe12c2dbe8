"""What the driver is doing, and when silence on either side ends it. Pure: a literal table and two timers."""

from __future__ import annotations

from enum import Enum
from typing import Final

# A driver that was kept from looking must not take its own sleep for the controller's silence.
LOOKS: Final = 3


class State(Enum):
    """State of the driver; the text is for people."""

    CONNECTING = "connecting"
    STARTING = "starting the control program"
    READY = "ready, no motion asked for"
    FOLLOWING = "following commands"
    HOLDING = "holding: commands have stopped"
    REFERENCING = "waiting for commands that begin at the arm"
    STOPPED = "stopped"
    RECOVERING = "recovering"
    SILENT = "the controller is silent"
    LOST = "connection lost"


class Event(Enum):
    """What changes the state."""

    START = "data has come for the first time: the program may be started"
    CONNECTED = "data has come again: the program is started by /arm/recover only"
    ARMED = "the program runs; TCP, payload and watchdog are set"
    FAILED = "start or recovery was given up"
    COMMAND = "a command was accepted"
    COMMANDS_STALE = "no command for a while"
    COMMANDS_OVER = "no command for longer"
    AWAY = "commands are too far from the arm to begin"
    SETTLED = "the others have had the time to take up the measured pose"
    TROUBLE = "the controller does not follow commands any more"
    RECOVER = "/arm/recover was called"
    SILENCE = "no data for some periods"
    HEARD = "data comes again"
    GONE = "the connection is closed, or silent for too long"


_S, _E = State, Event
TABLE: Final[dict[tuple[State, Event], State]] = {
    (_S.CONNECTING, _E.START): _S.STARTING,
    (_S.CONNECTING, _E.CONNECTED): _S.STOPPED,
    (_S.STARTING, _E.ARMED): _S.READY,
    (_S.STARTING, _E.FAILED): _S.STOPPED,
    (_S.READY, _E.COMMAND): _S.FOLLOWING,
    (_S.READY, _E.AWAY): _S.REFERENCING,
    (_S.FOLLOWING, _E.COMMANDS_STALE): _S.HOLDING,
    (_S.FOLLOWING, _E.COMMANDS_OVER): _S.READY,
    (_S.HOLDING, _E.COMMAND): _S.FOLLOWING,
    (_S.HOLDING, _E.COMMANDS_OVER): _S.READY,
    (_S.REFERENCING, _E.SETTLED): _S.READY,
    (_S.STOPPED, _E.RECOVER): _S.RECOVERING,
    (_S.RECOVERING, _E.ARMED): _S.READY,
    (_S.RECOVERING, _E.FAILED): _S.STOPPED,
    (_S.SILENT, _E.HEARD): _S.REFERENCING,
    **{(s, _E.TROUBLE): _S.STOPPED for s in (_S.READY, _S.FOLLOWING, _S.HOLDING, _S.REFERENCING)},
    **{(s, _E.SILENCE): _S.SILENT for s in (_S.READY, _S.FOLLOWING, _S.HOLDING, _S.REFERENCING)},
    **{(s, _E.GONE): _S.LOST for s in _S},
}
# Commands are followed, or are as soon as they come.
READY_STATES: Final = frozenset({State.READY, State.FOLLOWING, State.HOLDING})
# Poses are sent in every cycle.
STREAMING_STATES: Final = frozenset({State.FOLLOWING, State.HOLDING})
# The arm is to rest; where its program runs, that is fed.
RESTING_STATES: Final = frozenset({State.READY, State.REFERENCING, State.STOPPED})
# A procedure with the controller is under way.
BUSY_STATES: Final = frozenset({State.STARTING, State.RECOVERING})


def next_state(state: State, event: Event) -> State:
    """The state after an event; an event without a row changes nothing."""
    return TABLE.get((state, event), state)


class Freshness:
    """Whether the controller speaks: its own timestamp must go on against our monotonic clock.

    ur_rtde returns the last value for ever, and notices a silent controller after two seconds only.
    """

    def __init__(self, period_s: float, missed_periods: int, gone_after_s: float) -> None:
        self._limit_s = period_s * missed_periods
        self._gone_after_s = gone_after_s
        self._timestamp_s: float | None = None
        self._progress_s = 0.0
        self._looks = 0

    def look(self, timestamp_s: float, now_s: float) -> bool:
        """Note the newest timestamp; whether it has changed since the last look."""
        if timestamp_s == self._timestamp_s:
            self._looks += 1
            return False
        self._timestamp_s, self._progress_s, self._looks = timestamp_s, now_s, 0
        return True

    def silent(self, now_s: float) -> bool:
        """Whether enough periods were missed, by the clock and by our own looks."""
        return self._looks >= LOOKS and now_s - self._progress_s > self._limit_s

    def gone(self, now_s: float) -> bool:
        """Whether the silence has lasted so long that the connection is given up."""
        return self._looks >= LOOKS and now_s - self._progress_s > self._gone_after_s


class CommandWatch:
    """How long ago a command was accepted: first hold, then stop."""

    def __init__(self, stale_after_s: float, over_after_s: float) -> None:
        self._stale_after_s = stale_after_s
        self._over_after_s = over_after_s
        self._last_s = 0.0

    def command(self, now_s: float) -> None:
        """A command was accepted."""
        self._last_s = now_s

    def event(self, now_s: float) -> Event | None:
        """What the age of the last command means."""
        age_s = now_s - self._last_s
        if age_s > self._over_after_s:
            return Event.COMMANDS_OVER
        return Event.COMMANDS_STALE if age_s > self._stale_after_s else None
