"""Which key does what, in which mode; and what counts as a key press. Pure, time is given.

A terminal tells of key presses only: one that is held looks like one that is pressed again and again. So a
key counts when it was silent for a while before; and what cannot be undone asks for another key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from dexpie_core.modes import EVENT_FOR_REQUEST, Mode

BOUNCE_S: Final = 0.25
HELD_S: Final = 0.75  # longer than the delay after which terminals begin to repeat a held key
CONFIRM_WITHIN_S: Final = 2.0
CONFIRM_KEY: Final = "y"


class Action(Enum):
    """What the operator may ask for."""

    STOP = "stop"
    ALIGN = "align"
    TAKEOVER = "take over"
    RECLUTCH = "re-clutch"
    HAND_BACK = "hand back"
    CANCEL = "cancel takeover"
    START_POLICY = "start policy"
    RECOVER = "recover"
    SUCCESS = "success"
    FAILURE = "failure"
    DISCARD = "discard"
    CONTINUE = "continue"
    NEXT_STAGE = "next stage"
    END_COLLECTION = "end collection"
    QUIT = "quit"


class Need(Enum):
    """What must be there besides the mode."""

    NOTHING = "nothing"
    RECOVERY = "arm, hand or executor have stopped on a fault"
    EPISODE = "an episode is running"
    COLLECTION = "dexpie collect is running"
    PROMPT = "something is asked for"


@dataclass(frozen=True)
class Row:
    """In these modes, and while there is what it needs, the key asks for the action."""

    key: str
    action: Action
    modes: tuple[Mode, ...] | None = None  # None: in every mode, also while it is not known
    need: Need = Need.NOTHING
    confirm_in: tuple[Mode | None, ...] = ()  # there the action waits for CONFIRM_KEY


DRIVEN: Final = (Mode.AUTONOMOUS, Mode.ALIGNING, Mode.RELEASING, Mode.HUMAN)
_ALWAYS: Final = (None, *Mode)

KEYS: Final[tuple[Row, ...]] = (
    Row("space", Action.STOP),
    Row("t", Action.TAKEOVER, (Mode.IDLE, Mode.ALIGNING, Mode.RELEASING)),
    Row("t", Action.ALIGN, (Mode.AUTONOMOUS,)),
    Row("r", Action.RECLUTCH, (Mode.HUMAN,)),
    Row("b", Action.HAND_BACK, (Mode.HUMAN,)),
    Row("c", Action.CANCEL, (Mode.ALIGNING,)),
    Row("p", Action.START_POLICY, (Mode.IDLE,)),
    Row("v", Action.RECOVER, (Mode.FAULT, Mode.IDLE), Need.RECOVERY),
    Row("s", Action.SUCCESS, need=Need.EPISODE),
    Row("f", Action.FAILURE, need=Need.EPISODE),
    Row("d", Action.DISCARD, need=Need.EPISODE, confirm_in=_ALWAYS),
    Row("enter", Action.CONTINUE, need=Need.PROMPT),
    Row("n", Action.NEXT_STAGE, need=Need.COLLECTION),
    Row("e", Action.END_COLLECTION, need=Need.COLLECTION),
    Row("q", Action.QUIT, confirm_in=DRIVEN),
)

TARGETS: Final[dict[Action, Mode]] = {
    Action.STOP: Mode.IDLE,
    Action.ALIGN: Mode.ALIGNING,
    Action.TAKEOVER: Mode.HUMAN,
    Action.RECLUTCH: Mode.HUMAN,
    Action.HAND_BACK: Mode.AUTONOMOUS,
    Action.CANCEL: Mode.AUTONOMOUS,
    Action.START_POLICY: Mode.AUTONOMOUS,
}
"""The mode that an action asks the executor for."""


@dataclass(frozen=True)
class Situation:
    """What decides which keys mean something now; mode is None while no executor is heard."""

    mode: Mode | None = None
    recovery: bool = False
    episode: bool = False
    collection: bool = False
    prompt: bool = False

    def offers(self, need: Need) -> bool:
        """Whether there is what a row needs."""
        return {
            Need.NOTHING: True,
            Need.RECOVERY: self.recovery,
            Need.EPISODE: self.episode,
            Need.COLLECTION: self.collection,
            Need.PROMPT: self.prompt,
        }[need]


def possible(situation: Situation) -> list[Row]:
    """The rows that mean something now, in the order of the table."""
    return [row for row in KEYS if _applies(row, situation) and situation.offers(row.need)]


def _applies(row: Row, situation: Situation) -> bool:
    if row.modes is None:
        return True
    mode, target = situation.mode, TARGETS.get(row.action)
    if mode is None or mode not in row.modes:
        return False
    return target is None or (mode, target) in EVENT_FOR_REQUEST


@dataclass(frozen=True)
class Decision:
    """What a key press comes to: an action to ask for now, or a hint for the operator, or neither."""

    action: Action | None = None
    hint: str = ""


class Keypad:
    """Turns key presses into actions. STOP is never held back for longer than a bounce."""

    def __init__(self) -> None:
        self._pressed_s: dict[str, float] = {}
        self._stopped_s = -BOUNCE_S
        self._pending: tuple[Row, float] | None = None

    def press(self, key: str, situation: Situation, now_s: float) -> Decision:
        """Take a key press in; `key` is named as in KEYS."""
        too_soon = self._too_soon(key, now_s)
        if too_soon is not None:
            return too_soon
        pending = self.pending(now_s)
        self._pending = None
        if key == CONFIRM_KEY:
            return self._confirmed(pending, situation)
        rows = [row for row in KEYS if row.key == key]
        row = next((row for row in possible(situation) if row.key == key), None)
        if row is not None and situation.mode in row.confirm_in:
            self._pending = (row, now_s)
            return Decision()
        if row is not None:
            return Decision(row.action)
        return Decision(hint=_why_not(rows, situation) if rows else "")

    def pending(self, now_s: float) -> Action | None:
        """The action that waits for CONFIRM_KEY now."""
        if self._pending is None or now_s - self._pending[1] > CONFIRM_WITHIN_S:
            return None
        return self._pending[0].action

    def _confirmed(self, action: Action | None, situation: Situation) -> Decision:
        if action is None:
            return Decision()
        if action not in [row.action for row in possible(situation)]:
            return Decision(hint=f"{action.value} is not possible any more")
        return Decision(action)

    def _too_soon(self, key: str, now_s: float) -> Decision | None:
        """What a press that does not count comes to; None where it counts."""
        if key == "space":
            # Who hammers on it means it, and one stop too many does no harm.
            if now_s - self._stopped_s < BOUNCE_S:
                return Decision()
            self._stopped_s = now_s
            return None
        before_s = self._pressed_s.get(key)
        self._pressed_s[key] = now_s
        if before_s is None or now_s - before_s >= HELD_S:
            return None
        bounced = now_s - before_s < BOUNCE_S
        return Decision(hint="" if bounced else f"{key}: too soon after the last one, press it again")


def _why_not(rows: list[Row], situation: Situation) -> str:
    """Why none of the rows of a key applies."""
    names = " or ".join(row.action.value for row in rows)
    unmet = [row.need.value for row in rows if _applies(row, situation)]
    if unmet:
        return f"{names}: only while {unmet[0]}"
    if situation.mode is None:
        return f"{names}: no executor is heard"
    return f"{names}: not possible in {situation.mode.name}"
