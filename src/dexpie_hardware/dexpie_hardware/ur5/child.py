"""The node's end of the servo process: start it, talk to it, make sure that it ends."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

from dexpie_hardware.ur5.parameters import Ur5Parameters
from dexpie_hardware.ur5.wire import MAX_BYTES, Report, Request, decode, encode

STOP_TIMEOUT_S = 1.6


class ServoChild:
    """A running servo process."""

    def __init__(self, parameters: Ur5Parameters, autostart: bool) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = str(theirs.fileno())
        command = [sys.executable, "-m", "dexpie_hardware.ur5.servo_process", fd, parameters.to_json()]
        # Threads of a linear algebra library would inherit the servo's priority.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [*command, "1" if autostart else "0"], pass_fds=(theirs.fileno(),), env=environment
        )
        theirs.close()

    def send(self, request: Request) -> bool:
        """Send a request; False where nobody takes it."""
        try:
            self._socket.send(encode(request), socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True

    def reports(self) -> Iterator[Report]:
        """What the process reports, waiting for each, until it ends."""
        while True:
            try:
                datagram = self._socket.recv(MAX_BYTES)
            except OSError:
                return
            if not datagram:
                return
            yield decode(datagram)  # type: ignore[misc]

    def has_report(self) -> bool:
        """Whether a report waits to be read."""
        return bool(select.select([self._socket], [], [], 0.0)[0])

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Exit status of a process that is ending; it is killed where it does not end in time."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            return self._process.wait()

    def close(self) -> None:
        """Give the socket back; a process that still runs takes it as the order to stop."""
        self._socket.close()
