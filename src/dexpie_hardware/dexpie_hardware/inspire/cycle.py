"""The order of transactions in a cycle: what must be, and what is read when there is time left. Pure."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from dexpie_hardware.inspire import protocol
from dexpie_hardware.inspire.protocol import Register, Request
from dexpie_hardware.inspire.timing import LATE_S, transaction_s

EVERY_CYCLE: Final = (Register.ANGLE_ACT, Register.FORCE_ACT, Register.STATUS)
IN_TURN: Final = (Register.ERROR, Register.CURRENT, Register.TEMP)
MAX_SKIPPED: Final = 4
"""Cycles in a row that may leave no time for a slow register."""


class CycleScheduler:
    """Writes first, then angle, force and status, then one slow register in turn if it fits the period.

    With `block` everything measured comes in one answer and nothing is left to be read in turn.
    """

    def __init__(self, hand_id: int, period_s: float, baud: int) -> None:
        self._hand_id = hand_id
        self._period_s = period_s
        self._slow_s = transaction_s(baud) + LATE_S
        self._queue: deque[Request] = deque()
        self._end_s = 0.0
        self._turn = 0
        self._skipped = 0
        self._slow_done = True
        self._urgent = False
        self._was_urgent = False
        self.block = False

    def look_at_errors(self) -> None:
        """Read ERROR before the other slow registers, even in a late cycle: something has happened."""
        self._urgent = True

    def begin(self, now_s: float, writes: Sequence[Request]) -> None:
        """Start a cycle; what is left of the last one is dropped."""
        if self.block:
            reads = [protocol.read_block(self._hand_id)]
        else:
            reads = [protocol.read(self._hand_id, register) for register in EVERY_CYCLE]
        self._queue = deque([*writes, *reads])
        self._end_s = now_s + self._period_s
        self._slow_done = self.block

    def next(self, now_s: float) -> Request | None:
        """The transaction to make now, None at the end of the cycle."""
        if self._queue:
            return self._queue.popleft()
        if self._slow_done:
            return None
        self._slow_done = True
        # Out of turn only every other time, or a fault that stays would keep the temperature from being read.
        out_of_turn = self._urgent and not self._was_urgent
        if not out_of_turn and now_s + self._slow_s > self._end_s and self._skipped < MAX_SKIPPED:
            self._skipped += 1
            return None
        self._skipped = 0
        self._urgent, self._was_urgent = False, out_of_turn
        if out_of_turn:
            return protocol.read(self._hand_id, Register.ERROR)
        register = IN_TURN[self._turn]
        self._turn = (self._turn + 1) % len(IN_TURN)
        return protocol.read(self._hand_id, register)


def set_up_requests(
    hand_id: int, force_limits_g: Sequence[int], speed_limits: Sequence[int]
) -> list[Request]:
    """What a hand is told and asked before the first cycle: limits, its targets, the slow registers."""
    return [
        protocol.write(hand_id, Register.FORCE_SET, force_limits_g),
        protocol.write(hand_id, Register.SPEED_SET, speed_limits),
        protocol.read(hand_id, Register.ANGLE_SET),
        *(protocol.read(hand_id, register) for register in IN_TURN),
    ]
