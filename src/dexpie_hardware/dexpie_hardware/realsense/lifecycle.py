"""The life of a camera: looked for, opened, streaming, lost, closed, looked for again."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dexpie_hardware.realsense.watchdog import FrameWatchdog, Verdict

MAX_STUCK_CALLS: Final = 3


class State(enum.Enum):
    """Where the camera is in its life."""

    WAITING = "waiting"  # closed; the next look is due at a known time
    OPENING = "opening"
    STARTED = "started"  # open, no frame yet
    STREAMING = "streaming"
    SILENT = "silent"  # open, no frame for a few periods
    CLOSING = "closing"
    ENDED = "ended"  # a recording was played to its end


class Event(enum.Enum):
    """What happens to it."""

    LOOK = "look"
    OPENED = "opened"
    FAILED = "failed"  # there is none, or it cannot be opened
    FRAME = "frame"
    SILENCE = "silence"
    LOST = "lost"  # silent for too long, removed, or reading failed
    FINISHED = "finished"
    CLOSED = "closed"
    STUCK = "stuck"  # a call of the library did not return in time


TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    (State.WAITING, Event.LOOK): State.OPENING,
    (State.OPENING, Event.OPENED): State.STARTED,
    (State.OPENING, Event.FAILED): State.WAITING,
    (State.OPENING, Event.STUCK): State.WAITING,
    (State.STARTED, Event.FRAME): State.STREAMING,
    (State.STARTED, Event.LOST): State.CLOSING,
    (State.STARTED, Event.FINISHED): State.ENDED,
    (State.STREAMING, Event.SILENCE): State.SILENT,
    (State.STREAMING, Event.LOST): State.CLOSING,
    (State.STREAMING, Event.FINISHED): State.ENDED,
    (State.SILENT, Event.FRAME): State.STREAMING,
    (State.SILENT, Event.LOST): State.CLOSING,
    (State.SILENT, Event.FINISHED): State.ENDED,
    (State.CLOSING, Event.CLOSED): State.WAITING,
    (State.CLOSING, Event.STUCK): State.WAITING,
}


@dataclass(frozen=True)
class Limits:
    """Times of the camera's life, seconds."""

    retry_period_s: float = 0.5
    open_deadline_s: float = 15.0
    close_deadline_s: float = 2.0
    first_frame_s: float = 5.0
    silence_s: float = 0.1
    lost_s: float = 1.0


class Lifecycle:
    """Holds the state, knows what is due, and why the camera does not stream (`trouble`, '' if it does)."""

    def __init__(self, limits: Limits, now_s: float) -> None:
        self._limits = limits
        self._watchdog = FrameWatchdog(limits.silence_s, limits.lost_s, limits.first_frame_s)
        self.state = State.WAITING
        self._since_s = now_s
        self._look_s = now_s
        self.trouble = ""
        self.looks = 0
        self.openings = 0
        self.losses = 0
        self.stuck = 0

    def handle(self, event: Event, now_s: float, detail: str = "") -> bool:
        """Take an event; False where it means nothing in this state. `detail` becomes the trouble."""
        new = TRANSITIONS.get((self.state, event))
        if new is None:
            return False
        self.state, self._since_s = new, now_s
        self.looks += event is Event.LOOK
        if event is Event.OPENED:
            self.openings += 1
            self._watchdog.opened(now_s)
        elif event is Event.FRAME:
            self.trouble = ""
        self.losses += event is Event.LOST
        self.stuck += event is Event.STUCK
        if new is State.WAITING:
            self._look_s = now_s + self._limits.retry_period_s
        if detail:
            self.trouble = detail
        return True

    def frame(self, arrival_s: float, now_s: float) -> bool:
        """A frame came; whether that changes the state."""
        self._watchdog.frame(arrival_s)
        return self.handle(Event.FRAME, now_s)

    def hurry(self, now_s: float) -> None:
        """Look again at once: something was plugged in."""
        self._look_s = min(self._look_s, now_s)

    def due(self, now_s: float, stuck_calls: int = 0) -> tuple[Event, str] | None:
        """The event that time alone brings, with its detail.

        stuck_calls: how many calls of the library have been given up and have not returned. Beyond
        MAX_STUCK_CALLS no further one is made.
        """
        age_s = now_s - self._since_s
        if self.state is State.WAITING:
            if stuck_calls >= MAX_STUCK_CALLS:
                self.trouble = f"{stuck_calls} calls of the camera library do not return: restart this node"
                return None
            return (Event.LOOK, "") if now_s >= self._look_s else None
        if self.state is State.OPENING and age_s > self._limits.open_deadline_s:
            return Event.STUCK, f"opening did not return within {self._limits.open_deadline_s:g} s: given up"
        if self.state is State.CLOSING and age_s > self._limits.close_deadline_s:
            detail = f"closing did not return within {self._limits.close_deadline_s:g} s: given up"
            return Event.STUCK, f"{self.trouble}; {detail}"
        if self.state in (State.STARTED, State.STREAMING, State.SILENT):
            return self._judge(now_s)
        return None

    def _judge(self, now_s: float) -> tuple[Event, str] | None:
        verdict = self._watchdog.judge(now_s)
        if verdict is Verdict.LOST:
            limit_s = self._limits.first_frame_s if self.state is State.STARTED else self._limits.lost_s
            return Event.LOST, f"no frame for {limit_s:g} s: opening it anew"
        if verdict is Verdict.SILENT and self.state is State.STREAMING:
            return Event.SILENCE, f"no frame for {1e3 * self._watchdog.silence_s(now_s):.0f} ms"
        return None
