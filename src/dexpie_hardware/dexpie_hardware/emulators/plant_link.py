"""An emulator's end of the link to the physics that moves its joints (wire: dexpie_core.plant)."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from dexpie_core.plant import PlantMessage, PlantMessageError, decode, encode

MAX_BYTES = 256


class PlantLink:
    """Sends what the motors are to do, returns the newest answer. Never waits for the physics."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")  # an address of its own, so that the answer finds the way back
        self._socket.setblocking(False)

    def exchange(self, target: PlantMessage) -> PlantMessage | None:
        """Send a target; the newest state that has arrived since the last call, else None."""
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError, BlockingIOError):
            self._socket.sendto(encode(target), self._path)
        newest = None
        while True:
            try:
                datagram = self._socket.recv(MAX_BYTES)
            except BlockingIOError:
                return newest
            with contextlib.suppress(PlantMessageError):
                newest = decode(datagram)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()
