"""The serial line: bytes take their time, one side speaks at a time, and it can be disturbed. Pure."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dexpie_hardware.emulators.inspire.frames import Request, take_request

BITS_A_BYTE: Final = 10
BATCH_S: Final = 0.001
"""Bytes come to the host in batches of this period, as from a USB adapter with latency_timer 1."""
FORGET_S: Final = 0.02
"""A frame whose rest does not come within this time is noise."""
Answers = list[tuple[float, bytes]]


@dataclass(frozen=True)
class LineConfig:
    """turnaround_s: from the request's last byte to the answer's first; late_s: how much it may exceed that.

    With 12 bytes of data the defaults give the host transactions of 6.6 ms in the median, 8.4 ms at most, of
    which half a millisecond is what waking up this process and the host's costs.
    """

    turnaround_s: float = 0.0036
    late_s: float = 0.0018
    seed: int = 0


@dataclass
class Disturbances:
    """What is wrong now. silent: the hand hears nothing. drop, corrupt: so many of its answers are lost or
    damaged. delay_s: each comes so much later.
    """

    silent: bool = False
    drop: int = 0
    corrupt: int = 0
    delay_s: float = 0.0


@dataclass
class _Sending:
    """Bytes on their way to the host; the first one starts at start_s."""

    start_s: float
    data: bytes
    is_noise: bool = False
    sent: int = 0


class Line:
    """Half duplex: what the host sends while the hand prepares or sends an answer is lost."""

    def __init__(self, config: LineConfig, answer: Callable[[Request, float], Answers]) -> None:
        self._config = config
        self._answer = answer
        self._random = random.Random(config.seed)
        self._received = bytearray()
        self._received_s = 0.0
        self._asked: tuple[float, Request] | None = None
        self._sending: list[_Sending] = []
        self.baud = 115200
        self.disturbances = Disturbances()
        self.counts: Counter[str] = Counter()

    @property
    def byte_s(self) -> float:
        """Duration of a byte."""
        return BITS_A_BYTE / self.baud

    def receive(self, data: bytes, now_s: float) -> None:
        """Bytes that the host sent; the line is busy with them for their duration from now on."""
        if self._busy(now_s):
            self.counts["lost_while_busy"] += 1
            return
        if now_s - self._received_s > FORGET_S:
            self._received.clear()
        self._received_s = now_s
        self._received += data
        taken = take_request(self._received)
        self.counts["bad_sums"] += taken.bad_sums
        self.counts["noise_bytes"] += taken.noise_bytes
        if taken.request is None:
            return
        self._received.clear()  # a second request in the same breath comes while the first is answered
        late_s = self._config.late_s * self._random.random() ** 4
        turnaround_s = self._config.turnaround_s + late_s + self.disturbances.delay_s
        self._asked = (now_s + len(data) * self.byte_s + turnaround_s, taken.request)

    def disturb(self, data: bytes, now_s: float) -> None:
        """Noise on its way to the host, whatever else there is."""
        self._sending.append(_Sending(now_s, data, is_noise=True))

    def clear(self) -> None:
        """Forget everything under way: the plug was pulled."""
        self._received.clear()
        self._asked = None
        self._sending.clear()

    def due(self, now_s: float) -> bytes:
        """Bytes that have arrived at the host by now since the last call."""
        self._answer_what_is_due(now_s)
        data = b""
        for sending in self._sending:
            arrived = int((now_s - sending.start_s) / self.byte_s + 1e-6)
            until = min(max(arrived, sending.sent), len(sending.data))
            data += sending.data[sending.sent : until]
            sending.sent = until
        self._sending = [sending for sending in self._sending if sending.sent < len(sending.data)]
        return data

    def next_s(self, now_s: float) -> float | None:
        """When `due` will have something to do next; None: not before something is received."""
        times = [] if self._asked is None else [self._asked[0]]
        for sending in self._sending:
            end_s = sending.start_s + len(sending.data) * self.byte_s
            times.append(min(max(now_s, sending.start_s) + BATCH_S, end_s))
        return min(times, default=None)

    def _busy(self, now_s: float) -> bool:
        speaks = any(sending.start_s <= now_s and not sending.is_noise for sending in self._sending)
        return self._asked is not None or speaks

    def _answer_what_is_due(self, now_s: float) -> None:
        if self._asked is None or now_s < self._asked[0]:
            return
        at_s, request = self._asked
        self._asked = None
        if self.disturbances.silent:
            return
        for delay_s, data in self._answer(request, at_s):
            disturbed = self._disturbed(data)
            if disturbed is not None:
                self._sending.append(_Sending(at_s + delay_s, disturbed))

    def _disturbed(self, data: bytes) -> bytes | None:
        wrong = self.disturbances
        if wrong.drop > 0:
            wrong.drop -= 1
            self.counts["dropped"] += 1
            return None
        if wrong.corrupt > 0:
            wrong.corrupt -= 1
            self.counts["corrupted"] += 1
            return data[:-1] + bytes([data[-1] ^ 0xFF])
        return data
