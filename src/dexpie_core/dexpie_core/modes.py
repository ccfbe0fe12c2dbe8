"""The operating modes of the cell, as a literal transition table (spec: system.md 4)."""

from enum import Enum, IntEnum
from typing import Final


class Mode(IntEnum):
    """Who drives the robot. Values are those of dexpie_msgs/msg/Mode."""

    IDLE = 0  # holding the last command
    AUTONOMOUS = 1  # the policy drives
    ALIGNING = 2  # the policy still drives, the operator matches pose and gesture
    HUMAN = 3  # the operator drives
    RELEASING = 4  # holding until the first chunk of the fresh epoch
    FAULT = 5  # holding; only an explicit recovery leads out


class ModeEvent(Enum):
    """What may change the mode."""

    START = "start"  # let the policy drive
    ALIGN = "align"  # the operator announces a takeover
    CANCEL = "cancel"  # the operator gives the announced takeover up
    TAKEOVER = "takeover"  # the operator drives from now on
    RECLUTCH = "reclutch"  # pause the operator's coupling, or couple again from where robot and hand are
    RELEASE = "release"  # hand back to the policy
    CHUNK_READY = "chunk_ready"  # the first chunk of the fresh epoch is there
    STOP = "stop"
    FAIL = "fail"
    RECOVER = "recover"


TRANSITIONS: Final[dict[tuple[Mode, ModeEvent], Mode]] = {
    (Mode.IDLE, ModeEvent.START): Mode.RELEASING,
    (Mode.IDLE, ModeEvent.TAKEOVER): Mode.HUMAN,
    (Mode.IDLE, ModeEvent.STOP): Mode.IDLE,
    (Mode.IDLE, ModeEvent.FAIL): Mode.FAULT,
    (Mode.AUTONOMOUS, ModeEvent.ALIGN): Mode.ALIGNING,
    (Mode.AUTONOMOUS, ModeEvent.TAKEOVER): Mode.HUMAN,
    (Mode.AUTONOMOUS, ModeEvent.STOP): Mode.IDLE,
    (Mode.AUTONOMOUS, ModeEvent.FAIL): Mode.FAULT,
    (Mode.ALIGNING, ModeEvent.CANCEL): Mode.AUTONOMOUS,
    (Mode.ALIGNING, ModeEvent.TAKEOVER): Mode.HUMAN,
    (Mode.ALIGNING, ModeEvent.STOP): Mode.IDLE,
    (Mode.ALIGNING, ModeEvent.FAIL): Mode.FAULT,
    (Mode.HUMAN, ModeEvent.RECLUTCH): Mode.HUMAN,
    (Mode.HUMAN, ModeEvent.RELEASE): Mode.RELEASING,
    (Mode.HUMAN, ModeEvent.STOP): Mode.IDLE,
    (Mode.HUMAN, ModeEvent.FAIL): Mode.FAULT,
    (Mode.RELEASING, ModeEvent.CHUNK_READY): Mode.AUTONOMOUS,
    (Mode.RELEASING, ModeEvent.TAKEOVER): Mode.HUMAN,
    (Mode.RELEASING, ModeEvent.STOP): Mode.IDLE,
    (Mode.RELEASING, ModeEvent.FAIL): Mode.FAULT,
    (Mode.FAULT, ModeEvent.RECOVER): Mode.IDLE,
    (Mode.FAULT, ModeEvent.FAIL): Mode.FAULT,
}

POLICY_MODES: Final = frozenset({Mode.AUTONOMOUS, Mode.ALIGNING, Mode.RELEASING})
"""Modes in which the chunk schedule is stepped."""

DRIVING_MODES: Final = POLICY_MODES | {Mode.HUMAN}
"""Modes in which policy or operator drive."""

EVENT_FOR_REQUEST: Final[dict[tuple[Mode, Mode], ModeEvent]] = {
    (Mode.IDLE, Mode.AUTONOMOUS): ModeEvent.START,
    (Mode.HUMAN, Mode.AUTONOMOUS): ModeEvent.RELEASE,
    (Mode.HUMAN, Mode.HUMAN): ModeEvent.RECLUTCH,
    (Mode.ALIGNING, Mode.AUTONOMOUS): ModeEvent.CANCEL,
    (Mode.AUTONOMOUS, Mode.ALIGNING): ModeEvent.ALIGN,
    (Mode.IDLE, Mode.HUMAN): ModeEvent.TAKEOVER,
    (Mode.AUTONOMOUS, Mode.HUMAN): ModeEvent.TAKEOVER,
    (Mode.ALIGNING, Mode.HUMAN): ModeEvent.TAKEOVER,
    (Mode.RELEASING, Mode.HUMAN): ModeEvent.TAKEOVER,
    (Mode.IDLE, Mode.IDLE): ModeEvent.STOP,
    (Mode.AUTONOMOUS, Mode.IDLE): ModeEvent.STOP,
    (Mode.ALIGNING, Mode.IDLE): ModeEvent.STOP,
    (Mode.HUMAN, Mode.IDLE): ModeEvent.STOP,
    (Mode.RELEASING, Mode.IDLE): ModeEvent.STOP,
    (Mode.FAULT, Mode.IDLE): ModeEvent.RECOVER,
}
"""What a request for a mode (/executor/set_mode) means in each mode; an absent pair is refused."""


def next_mode(mode: Mode, event: ModeEvent) -> Mode | None:
    """The mode after `event`, or None where the table has no such row."""
    return TRANSITIONS.get((mode, event))
