"""Connections of the three ports, each around a non-blocking socket."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable
from typing import Any, Final

from dexpie_hardware.emulators.ur.dashboard import GOODBYE, GREETING, Dashboard
from dexpie_hardware.emulators.ur.session import RtdeSession

_READ_BYTES: Final = 1 << 16
# A program ends with the `end` that closes its first line.
_PROGRAM: Final = re.compile(rb"^(def|sec) (\w+)\(.*?^end[ \t]*\r?\n", re.MULTILINE | re.DOTALL)


class Client:
    """A connection and what could not be sent on it yet."""

    port = 0

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._unsent = b""
        self.packages_skipped = 0

    def read(self, now: float) -> bool:
        """Take all that has arrived; False where the peer has closed or is to be closed."""
        with contextlib.suppress(BlockingIOError):
            while data := self.socket.recv(_READ_BYTES):
                if not self._received(data, now):
                    return False
            return False
        return True

    def send(self, data: bytes) -> None:
        """Send, and keep what the peer does not take yet."""
        self._unsent += data
        self.flush()

    def flush(self) -> bool:
        """Send what is left; whether nothing is left."""
        if self._unsent:
            with contextlib.suppress(BlockingIOError):
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        return not self._unsent

    def send_newest(self, package: bytes) -> None:
        """Send a package that the next one replaces: skipped while the peer does not read."""
        if self.flush():
            self.send(package)
        else:
            self.packages_skipped += 1

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def summary(self) -> dict[str, Any]:
        """What the control channel tells of the connection."""
        return {"port": self.port}

    def _received(self, data: bytes, now: float) -> bool:
        raise NotImplementedError


class RtdeConnection(Client):
    """Port 30004."""

    port = 30004

    def __init__(self, connection: socket.socket, session: RtdeSession) -> None:
        super().__init__(connection)
        self.session = session

    def close(self) -> None:
        self.session.close()
        super().close()

    def summary(self) -> dict[str, Any]:
        skipped = self.packages_skipped
        return {**super().summary(), "received": dict(self.session.received), "skipped": skipped}

    def _received(self, data: bytes, now: float) -> bool:
        answer = self.session.receive(data, now)
        if answer:
            self.send(answer)
        return True


class ScriptConnection(Client):
    """Port 30003: takes programs. What a robot sends here, which ur_rtde does not read, is left out."""

    port = 30003

    def __init__(self, connection: socket.socket, on_program: Callable[[str, bytes], None]) -> None:
        super().__init__(connection)
        self._buffer = b""
        self._on_program = on_program

    def _received(self, data: bytes, now: float) -> bool:
        self._buffer += data
        while (found := _PROGRAM.search(self._buffer)) is not None:
            self._buffer = self._buffer[found.end() :]
            self._on_program(found[2].decode(), found[0])
        return True


class DashboardConnection(Client):
    """Port 29999: lines of text."""

    port = 29999

    def __init__(self, connection: socket.socket, dashboard: Dashboard) -> None:
        super().__init__(connection)
        self._buffer = b""
        self._dashboard = dashboard
        self.send(GREETING.encode() + b"\n")

    def _received(self, data: bytes, now: float) -> bool:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            answer = self._dashboard.answer(line.decode("utf-8", "replace").strip())
            self.send(answer.encode() + b"\n")
            if answer == GOODBYE:
                return False
        return True
