"""The hand behind a serial port: reached, set up, asked and told once a cycle, lost and found. No ROS."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from dexpie_hardware.inspire import protocol
from dexpie_hardware.inspire.codes import unexplained
from dexpie_hardware.inspire.config import HandParameters
from dexpie_hardware.inspire.cycle import CycleScheduler, set_up_requests
from dexpie_hardware.inspire.faults import FaultRules, Recovery, RecoveryState, stay_targets
from dexpie_hardware.inspire.link import Link, LinkState
from dexpie_hardware.inspire.port import PORT_ERRORS, Port, PortBusyError
from dexpie_hardware.inspire.protocol import ACCEPTED, CHANNELS, HOLD, MEASURED, Register, Request
from dexpie_hardware.inspire.targets import Counts, MotionGate, changed, merged

BLOCK_ATTEMPTS: Final = 2


class HandAwayError(Exception):
    """The hand does not answer, or does not take its settings."""


class Hand:
    """Everything that touches the port is done in `cycle`, by the one thread that calls it.

    Nothing is written to the targets before the first command, and nothing at all when it is closed.
    `values` has the newest values of each register, in the hand's own units; `measured_s` is when the
    angles were read.
    """

    def __init__(
        self,
        parameters: HandParameters,
        open_port: Callable[[], Port],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parameters = parameters
        self._open_port = open_port
        self._clock = clock
        self._port: Port | None = None
        self._scheduler = CycleScheduler(parameters.hand_id, 1.0 / parameters.rate_hz, parameters.baud)
        self._rules = FaultRules(parameters.clear_stalls)
        self._wanted: Counts | None = None
        self._sent: Counts = (HOLD,) * CHANNELS
        self._clear_due = False
        self._found = False
        self.link = Link(parameters.max_missed, parameters.retry_period_s)
        self.gate = MotionGate()
        self.gate.hold(self.link.reason)
        self.recovery = Recovery()
        self.values: dict[Register, Counts] = dict.fromkeys(MEASURED, (0,) * CHANNELS)
        self.measured_s: float | None = None
        self.counters: Counter[str] = Counter()

    @property
    def is_up(self) -> bool:
        """Whether the hand answers and has its settings."""
        return self.link.state is LinkState.UP

    @property
    def reads_blocks(self) -> bool:
        """Whether everything measured is read at once."""
        return self._scheduler.block

    def command(self, wanted: Counts, epoch: int) -> None:
        """A checked command: followed from the next cycle on if nothing holds the hand."""
        if self.gate.passes(epoch):
            self._wanted = wanted
        else:
            self.counters["held_commands"] += 1

    def cycle(self) -> bool:
        """One cycle; whether the angles were measured in it. PortBusyError if the port was never ours."""
        try:
            return self._reach() and self._run()
        except PortBusyError as error:
            if not self._found:
                raise
            self._lose(str(error))
        except PORT_ERRORS as error:
            path = self._parameters.port
            self._lose(str(error) if path in str(error) else f"{path}: {error}")
        except HandAwayError as error:
            self._lose(str(error))
        return False

    def recover(self) -> None:
        """Clear the errors, faulted fingers staying where they are; the outcome is in `recovery`.

        Commands that nothing holds back are followed again when that is done.
        Where there is nothing to clear but commands are refused for their old epoch, they are let through.
        """
        self.recovery.ask()
        if not self.is_up:
            self.recovery.finish(False, f"the hand is away: {self.link.reason}")
        elif self.gate.waits_for_new_epoch:
            self.gate.accept_present()
            self.recovery.finish(True, "following the present commands again")

    def close(self) -> None:
        """Give the port back. The hand is told nothing: it stays where it is and keeps its grip."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def _reach(self) -> bool:
        if self.is_up:
            return True
        if not self.link.may_try(self._clock()):
            return False
        self._port = self._open_port()
        self._found = True
        self.link.opened()
        p = self._parameters
        for request in set_up_requests(p.hand_id, p.force_limits_g, p.speed_limits):
            while (data := self._exchange(request)) is None:
                pass
            self._take(request, data)
        self._sent = self.values[Register.ANGLE_SET]
        self._scheduler.block = p.block_reads and self._answers_blocks()
        self.link.set_up()
        return True

    def _answers_blocks(self) -> bool:
        assert self._port is not None
        request = protocol.read_block(self._parameters.hand_id)
        timeout_s = self._parameters.answer_timeout_s
        return any(self._port.transact(request, timeout_s) is not None for _ in range(BLOCK_ATTEMPTS))

    def _run(self) -> bool:
        self._scheduler.begin(self._clock(), self._first_requests())
        answered = set()
        while (request := self._scheduler.next(self._clock())) is not None:
            data = self._exchange(request)
            if data is not None:
                self._take(request, data)
                answered.add(request.register)
        angles_read = Register.ANGLE_ACT in answered
        self._judge(errors_read=angles_read if self.reads_blocks else Register.ERROR in answered)
        return angles_read

    def _first_requests(self) -> list[Request]:
        hand_id, now_s = self._parameters.hand_id, self._clock()
        if self.recovery.state is RecoveryState.ASKED:
            stay = stay_targets(self.values[Register.ERROR], self.values[Register.ANGLE_ACT])
            return [protocol.write(hand_id, Register.ANGLE_SET, stay)]
        if self._clear_due or self.recovery.clear_is_due(now_s):
            return [protocol.clear_errors(hand_id)]
        if self.recovery.read_is_due(now_s) and not self.reads_blocks:
            return [protocol.read(hand_id, Register.ERROR)]
        if self._wanted is None or self.recovery.state is not RecoveryState.IDLE:
            return []
        targets = changed(self._sent, self._wanted, self._parameters.dead_band_counts)
        return [] if targets is None else [protocol.write(hand_id, Register.ANGLE_SET, targets)]

    def _exchange(self, request: Request) -> bytes | None:
        assert self._port is not None
        data = self._port.transact(request, self._parameters.answer_timeout_s)
        if data is not None:
            self.link.answered()
        elif self.link.missed():
            missed = self._parameters.max_missed
            raise HandAwayError(
                f"{self._parameters.port}: no answer to {missed} requests in a row: check the hand's power, "
                f"cable, id {self._parameters.hand_id} and baud rate {self._parameters.baud}"
            )
        return data

    def _take(self, request: Request, data: bytes) -> None:
        """Keep what an answer tells."""
        if request.written:
            self._take_acknowledgement(request, accepted=data == ACCEPTED)
        elif request.is_block:
            self.values.update(protocol.split_block(data))
        else:
            self.values[request.register] = protocol.values(request.register, data)
        if request.register is Register.ANGLE_ACT:
            self.measured_s = self._clock()
        if unexplained(self.values[Register.STATUS], self.values[Register.ERROR]):
            self._scheduler.look_at_errors()

    def _take_acknowledgement(self, request: Request, accepted: bool) -> None:
        if not accepted:
            self.counters["refused_writes"] += 1
            if not self.is_up:
                raise HandAwayError(f"the hand refuses {list(request.written)} for {request.register.name}")
        elif request.register is Register.ANGLE_SET:
            self._sent = merged(self._sent, request.written)
            self.counters["target_writes"] += 1
            if self.recovery.state is RecoveryState.ASKED:
                self.recovery.told_to_stay(self._clock())
        elif request.register is Register.CLEAR_ERROR:
            self._clear_due = False
            self.recovery.cleared(self._clock())

    def _judge(self, errors_read: bool) -> None:
        now_s = self._clock()
        errors, temperatures_c = self.values[Register.ERROR], self.values[Register.TEMP]
        verdict = self._rules.judge(now_s, errors, temperatures_c)
        self._clear_due |= verdict.clear
        self.gate.hold(verdict.hold)
        if verdict.hold:
            self._wanted = None
        if errors_read and self.recovery.read_is_due(now_s):
            self.recovery.read_again(errors, temperatures_c)

    def _lose(self, reason: str) -> None:
        self.close()
        self._wanted = None
        self._clear_due = False
        self.link.lost(self._clock(), reason)
        self.gate.hold(f"the hand is away: {reason}")
        if self.recovery.state is not RecoveryState.IDLE:
            self.recovery.finish(False, f"the hand went away: {reason}")
