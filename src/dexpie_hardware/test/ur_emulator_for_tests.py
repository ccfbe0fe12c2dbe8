"""Starts the emulated UR controller as a process of its own, on a loopback address of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dexpie_hardware.emulators.control import request
from dexpie_ros.testing import await_true

READY_TIMEOUT_S = 20.0


def own_host(number: int = 0) -> str:
    """A loopback address that differs between test processes and, by number, between robots of one test."""
    pid = os.getpid()
    return f"127.{10 + number % 100}.{1 + pid // 250 % 250}.{1 + pid % 250}"


class UrEmulator:
    """A running emulator: its address, its control channel, its process."""

    def __init__(self, host: str, control: Path, process: subprocess.Popen[str]) -> None:
        self.host = host
        self.control = control
        self.process = process

    def command(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Send a command of the control channel; its answer."""
        return request(self.control, name, **arguments)

    def state(self) -> dict[str, Any]:
        """What is inside the controller."""
        return self.command("state")

    def await_state(self, what: str, timeout_s: float = 10.0, **wanted: Any) -> dict[str, Any]:
        """Wait until the state holds these values; the state."""
        found: dict[str, Any] = {}

        def holds() -> bool:
            found.update(self.state())
            return all(found[key] == value for key, value in wanted.items())

        await_true(holds, what, timeout_s)
        return found


@contextlib.contextmanager
def ur_emulator(*options: str, host: str | None = None) -> Iterator[UrEmulator]:
    """An emulator that accepts clients; gone at the end. `options` are those of the command line."""
    address = own_host() if host is None else host
    with tempfile.TemporaryDirectory(prefix="ur_emulator_") as folder:
        control = Path(folder) / "control"
        command = [
            sys.executable,
            "-m",
            "dexpie_hardware.emulators.ur",
            "--host",
            address,
            "--control",
            str(control),
        ]
        process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            if line.strip() != f"ready {address}":
                raise RuntimeError(f"ur_emulator on {address} did not become ready: {line!r}")
            yield UrEmulator(address, control, process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
