"""What the driver does about the hand's errors: hold, clear by itself, or clear when asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from dexpie_core.hand_errors import FAULTS, HandError
from dexpie_hardware.inspire.codes import describe
from dexpie_hardware.inspire.protocol import HOLD
from dexpie_hardware.inspire.targets import Counts

STALL_CLEAR_PERIOD_S: Final = 1.0
STAY_S: Final = 0.12
"""Time for a target to take effect: real hands first moved 66 to 70 ms after a command. A finger whose error
is cleared earlier sets out for its old target."""
SETTLE_S: Final = 0.06
"""Time between CLEAR_ERROR and reading the errors that remain."""


@dataclass(frozen=True)
class Verdict:
    """hold: why no target may be sent, '' if it may. clear: whether the errors are to be cleared now."""

    hold: str = ""
    clear: bool = False


class FaultRules:
    """What is a fault to the executor holds the hand; that is every error but a stall.

    A stalled finger stops by itself, the others go on: a firm grasp may look like that. Stalls alone may be
    cleared by the driver, at a limited rate.
    """

    def __init__(self, clear_stalls: bool) -> None:
        self._clear_stalls = clear_stalls
        self._cleared_s = float("-inf")

    def judge(self, now_s: float, errors: Sequence[int], temperatures_c: Sequence[int]) -> Verdict:
        """What to do about the error bits of six channels."""
        if any(bits & FAULTS for bits in errors):
            return Verdict(hold=describe(errors, temperatures_c))
        due = now_s - self._cleared_s >= STALL_CLEAR_PERIOD_S
        clear = self._clear_stalls and any(errors) and due
        if clear:
            self._cleared_s = now_s
        return Verdict(clear=clear)


def stay_targets(errors: Sequence[int], angles: Sequence[int]) -> Counts:
    """Targets that keep the faulted fingers where they are once their errors are cleared; HOLD elsewhere."""
    return tuple(angle if bits else HOLD for bits, angle in zip(errors, angles, strict=True))


class RecoveryState(Enum):
    """Of an explicit recovery.

    ASKED: faulted fingers are to be told to stay. STAYING: told, not yet in effect. SETTLING: cleared, errors
    to be read again.
    """

    IDLE = "idle"
    ASKED = "asked"
    STAYING = "staying"
    SETTLING = "settling"


class Recovery:
    """One explicit recovery: stay, clear, wait, read again, say what remained. Times: monotonic seconds."""

    def __init__(self) -> None:
        self.state = RecoveryState.IDLE
        self.outcome: tuple[bool, str] | None = None
        self._since_s = 0.0

    def ask(self) -> None:
        """Begin; the outcome of the last one is forgotten."""
        self.state = RecoveryState.ASKED
        self.outcome = None

    def told_to_stay(self, now_s: float) -> None:
        """The hand accepted the targets of `stay_targets`."""
        self._enter(RecoveryState.STAYING, now_s)

    def clear_is_due(self, now_s: float) -> bool:
        """Whether CLEAR_ERROR is to be written now."""
        return self.state is RecoveryState.STAYING and now_s - self._since_s >= STAY_S

    def cleared(self, now_s: float) -> None:
        """The hand accepted CLEAR_ERROR."""
        if self.state is RecoveryState.STAYING:
            self._enter(RecoveryState.SETTLING, now_s)

    def read_is_due(self, now_s: float) -> bool:
        """Whether the errors are to be read again now."""
        return self.state is RecoveryState.SETTLING and now_s - self._since_s >= SETTLE_S

    def read_again(self, errors: Sequence[int], temperatures_c: Sequence[int]) -> None:
        """The error bits after clearing."""
        words = describe(errors, temperatures_c)
        if not words:
            self.finish(True, "no errors")
        elif any(bits & HandError.OVER_TEMPERATURE for bits in errors):
            self.finish(False, f"{words}. Over-temperature cannot be cleared: let the hand cool down")
        else:
            self.finish(False, f"{words}. It stayed or came back: see to the cause")

    def finish(self, success: bool, message: str) -> None:
        """End with an outcome."""
        self.state = RecoveryState.IDLE
        self.outcome = (success, message)

    def _enter(self, state: RecoveryState, now_s: float) -> None:
        self.state = state
        self._since_s = now_s
