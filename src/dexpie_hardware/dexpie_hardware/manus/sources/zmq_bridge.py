"""Gloves whose SDK runs elsewhere: a bridge publishes JSON over ZeroMQ (dexpie_hardware.glove_reading)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import zmq

from dexpie_core.errors import UsageError
from dexpie_hardware.glove_reading import GloveMessageError, GloveReading, decode

MAX_MESSAGES: Final = 256  # in one poll: a flood must not stop the driver
QUEUE: Final = 64
HEARTBEAT_MS: Final = 500
DEAD_AFTER_MS: Final = 1500
RECONNECT_MS: Final = 100
RECONNECT_MAX_MS: Final = 1000


class ZmqGloves:
    """Subscribes to a publisher at tcp://HOST:PORT or ipc:///PATH; connects again by itself, for ever."""

    def __init__(self, address: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._malformed = 0
        self._complaint = ""
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.RCVHWM, QUEUE),
            (zmq.RECONNECT_IVL, RECONNECT_MS),
            (zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS),
            # Without heartbeats a bridge whose cable is pulled stays connected for hours.
            (zmq.HEARTBEAT_IVL, HEARTBEAT_MS),
            (zmq.HEARTBEAT_TIMEOUT, DEAD_AFTER_MS),
        ):
            self._socket.setsockopt(option, value)
        self._socket.subscribe(b"")
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise UsageError(f"parameter zmq_address: {address!r}: {error}") from error

    def poll(self, now_s: float) -> list[GloveReading]:
        readings = []
        for _ in range(MAX_MESSAGES):
            try:
                *_, content = self._socket.recv_multipart(zmq.NOBLOCK)
                readings.append(decode(content))
            except zmq.Again:
                break
            except GloveMessageError as error:
                self._malformed += 1
                self._complaint = str(error)
        return readings

    def notes(self) -> Mapping[str, object]:
        return {"malformed_messages": self._malformed, "newest_malformed": self._complaint}

    def close(self) -> None:
        self._socket.close()
        self._context.term()
