"""An emulated hand as a process, for tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dexpie_hardware.emulators.control import request

MODULE = "dexpie_hardware.emulators.inspire"


class EmulatedHand:
    """The emulator, its terminal and control socket in a folder; killed at the end of the `with` block."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.link = folder / "tty"
        self._control = folder / "control"
        command = [sys.executable, "-P", "-m", MODULE, "--link", str(self.link)]
        command += ["--control", str(self._control), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        if self.process.stdout.readline() != f"ready {self.link}\n":
            self.process.kill()
            raise RuntimeError("the emulator did not get ready")

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """A command of the control channel; its answer."""
        return request(self._control, command, **arguments)

    def register(self, name: str) -> list[int]:
        """Values of a register."""
        return self.ask("state")["registers"][name]

    def count(self, name: str) -> int:
        """Something that it counts."""
        return self.ask("state")["counts"].get(name, 0)

    def travelled(self) -> list[float]:
        """How far each finger has moved, counts."""
        return self.ask("state")["travelled"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
