"""The Inspire RH56DFX hand as topics: /hand/state, /hand/command, and /hand/recover for its errors."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from dexpie_core import messages, topics
from dexpie_core.errors import DexpieError
from dexpie_core.limits import CommandRefused
from dexpie_hardware.inspire.codes import AWAY, describe
from dexpie_hardware.inspire.config import HandParameters
from dexpie_hardware.inspire.faults import RecoveryState
from dexpie_hardware.inspire.hand import Hand
from dexpie_hardware.inspire.port import PortBusyError, SerialPort, adapter_latency_ms
from dexpie_hardware.inspire.protocol import OPEN_COUNTS, Register
from dexpie_hardware.inspire.targets import counts_of
from dexpie_ros.factory import make, message_class
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, run

RECOVER_TIMEOUT_S = 2.0
MAX_LATENCY_MS = 2


class InspireHandDriver(LoopNode):
    """The loop's thread alone talks to the hand; services leave their wishes for it."""

    def __init__(self) -> None:
        super().__init__("inspire_hand_driver")
        self.parameters = declare(self, HandParameters)
        p = self.parameters
        self._hand = Hand(p, lambda: SerialPort(p.port, p.baud))
        self._slope_n_g = np.array(p.newtons_per_gram)
        self._offset_n = np.array(p.force_offset_n)
        self._commands = self.poll(topics.HAND_COMMAND)
        self._state = self.advertise(topics.HAND_STATE)
        self._refused = 0
        self._refusal = ""
        self._told: tuple[bool, Sequence[int]] = (False, AWAY)
        self._latency_ms: int | None = None
        self._asked: threading.Event | None = None
        self.create_service(
            message_class("std_srvs/srv/Trigger"), topics.HAND_RECOVER_SERVICE, self._serve_recover
        )
        self.start(p.rate_hz, niceness=-5, realtime=20)

    def step(self) -> None:
        """Command in, one cycle, state out; a hand that is away is told of at once and again each cycle."""
        self._take_command()
        hand = self._hand
        try:
            measured = hand.cycle()
        except PortBusyError as error:
            raise DexpieError(str(error)) from None
        if measured:
            self._publish(hand.values[Register.ERROR])
        elif not hand.is_up and hand.measured_s is not None:
            self._publish(AWAY)
        now = (hand.is_up, hand.values[Register.ERROR])
        if now != self._told:
            self._tell_change(*now)
        if self._asked is not None and hand.recovery.state is RecoveryState.IDLE:
            self._asked.set()
            self._asked = None

    def _take_command(self) -> None:
        taken = self._commands.newest()
        if taken is None:
            return
        try:
            counts = counts_of(taken.message.position)
        except CommandRefused as error:
            self._refused += 1
            self._refusal = str(error)
        else:
            self._hand.command(counts, int(taken.message.epoch))

    def _publish(self, errors: Sequence[int]) -> None:
        """The newest values, stamped when the angles were read; for a hand that is away, stamped now."""
        values, measured_s = self._hand.values, self._hand.measured_s
        age_s = time.monotonic() - measured_s if self._hand.is_up and measured_s is not None else 0.0
        position = np.clip(np.array(values[Register.ANGLE_ACT]) / OPEN_COUNTS, 0.0, 1.0)
        self._state.publish(
            messages.hand_state(
                make,
                position,
                self._slope_n_g * values[Register.FORCE_ACT] + self._offset_n,
                time.time_ns() - round(age_s * 1e9),
                current_a=np.array(values[Register.CURRENT]) * 1e-3,
                temperature_c=values[Register.TEMP],
                status=values[Register.STATUS],
                error=errors,
            )
        )

    def _tell_change(self, is_up: bool, errors: Sequence[int]) -> None:
        log, (was_up, were) = self.get_logger(), self._told
        self._told = (is_up, errors)
        if is_up and not was_up:
            log.info(f"hand {self.parameters.hand_id} answers on {self.parameters.port}")
            self._latency_ms = adapter_latency_ms(self.parameters.port)
            if self._slow_adapter:
                log.warning(self._slow_adapter)
        elif not is_up:
            log.error(f"the hand is away: {self._hand.link.reason}")
        if is_up and errors != were and any(errors):
            log.error(describe(errors, self._hand.values[Register.TEMP]))
        self.diagnostics.publish()

    @property
    def _slow_adapter(self) -> str:
        if self._latency_ms is None or self._latency_ms <= MAX_LATENCY_MS:
            return ""
        return f"latency_timer of the adapter is {self._latency_ms} ms: set it to 1 (udev rule in the docs)"

    def _serve_recover(self, request: Any, response: Any) -> Any:
        done = threading.Event()
        with self.lock:
            self._hand.recover()
            self._asked = done
        if not done.wait(RECOVER_TIMEOUT_S):
            response.message = f"no outcome within {RECOVER_TIMEOUT_S:.0f} s"
            return response
        with self.lock:
            assert self._hand.recovery.outcome is not None
            response.success, response.message = self._hand.recovery.outcome
            if self._hand.gate.waits_for_new_epoch:
                response.message += "; commands are followed from the next change of mode on, or call again"
        return response

    def report(self) -> Report:
        """OK while the hand answers, has no error and takes commands."""
        hand = self._hand
        temperatures_c, errors = hand.values[Register.TEMP], hand.values[Register.ERROR]
        values: dict[str, object] = {
            "port": self.parameters.port,
            "link": hand.link.state.value,
            "losses": hand.link.losses,
            "missed_answers": hand.link.missed_answers,
            "refused_commands": self._refused,
            "last_refusal": self._refusal,
            "temperature_max_c": max(temperatures_c),
            "block_reads": hand.reads_blocks,
            **hand.counters,
            **self.timing_values(),
        }
        if not hand.is_up:
            return Report(Level.ERROR, hand.link.reason, values)
        if any(errors):
            level = Level.ERROR if hand.gate.hold_reason else Level.WARN
            return Report(level, describe(errors, temperatures_c), values)
        if hand.gate.waits_for_new_epoch:
            waiting = f"holding until the next change of mode, or call {topics.HAND_RECOVER_SERVICE}"
            return Report(Level.WARN, waiting, values)
        if self._slow_adapter:
            return Report(Level.WARN, self._slow_adapter, values)
        return Report(Level.OK, "measuring", values)

    def finish(self) -> None:
        """The hand stays where it is."""
        self._hand.close()


def main() -> int:
    """Entry point."""
    return run(InspireHandDriver)


if __name__ == "__main__":
    sys.exit(main())
