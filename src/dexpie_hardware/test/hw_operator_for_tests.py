"""For the tests of tracker and gloves: emulator processes, and what a driver says of itself."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from dexpie_core import topics
from dexpie_hardware.emulators.control import request
from dexpie_ros.own_domain import own_domain
from dexpie_ros.polling import PolledSubscription
from dexpie_ros.testing import NodeProcess, Peer, await_true

OK, WARN, ERROR = b"\0", b"\1", b"\2"
PROMPT = re.compile(r"^pose (\d) of \d: [^:]*press Enter", re.MULTILINE)


class Driver(NodeProcess):
    """A node that is asked to end before it is killed: one that is killed leaves shared memory behind."""

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        _end(self.process)
        super().__exit__(kind, error, trace)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5.0)
    if process.poll() is None:
        process.kill()
        process.wait()


class Emulator:
    """An emulator as a process of the test's ROS domain, ready; ended at the end if it still runs."""

    def __init__(self, module: str, folder: Path, *arguments: str) -> None:
        name = module.rsplit(".", 1)[-1]
        self.log = folder / f"{name}_emulator.log"
        self._control = folder / f"{name}.control"
        command = [sys.executable, "-m", module, "--control", str(self._control), *arguments]
        environment = {**os.environ, "ROS_DOMAIN_ID": str(own_domain())}
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)

    def __enter__(self) -> Self:
        await_true(self._is_ready, f"{self.log.name} to be ready")
        return self

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(self.log.read_text())
        return any(line.startswith("ready") for line in self.log.read_text().splitlines())

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        _end(self.process)
        if error is not None:
            print(f"--- {self.log.name}\n{self.log.read_text()}")

    def tell(self, command: str, **arguments: Any) -> dict[str, Any]:
        return request(self._control, command, **arguments)

    def await_sent(self, more: int) -> None:
        """Until it has sent so many more."""
        wanted = self.tell("status")["sent"] + more
        await_true(lambda: self.tell("status")["sent"] >= wanted, f"{more} more sent")

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(10.0)


class Capture:
    """The program as a user sees it; killed at the end if it still runs."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._log = folder / "glove_ranges.log"
        command = [sys.executable, "-m", "dexpie_hardware.manus.ranges_cli", *arguments]
        environment = {**os.environ, "ROS_DOMAIN_ID": str(own_domain())}
        with self._log.open("wb") as stream:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=stream, stderr=stream, env=environment
            )

    @property
    def text(self) -> str:
        return self._log.read_text()

    def await_pose(self, prompt: int) -> int | None:
        """The number of the pose that this prompt asks for; None when the program has ended instead."""
        await_true(lambda: self._ended or len(self._prompts) >= prompt, f"prompt {prompt}, not {self.text}")
        return int(self._prompts[prompt - 1]) if len(self._prompts) >= prompt else None

    @property
    def _ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def _prompts(self) -> list[str]:
        return PROMPT.findall(self.text)

    def press_enter(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def wait(self) -> int:
        return self._process.wait(30.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


class Status:
    """What one node says on /diagnostics."""

    def __init__(self, peer: Peer, node: str) -> None:
        self._heard: PolledSubscription = peer.listen(topics.DIAGNOSTICS)
        self._node = node
        self.newest: Any = None

    def await_level(self, level: bytes, text: str = "") -> dict[str, str]:
        """Until its newest line has this level and this text in its message; the line's values."""
        await_true(lambda: self._is(level, text), f"{self._node} to say {level!r} {text!r}")
        return {entry.key: entry.value for entry in self.newest.values}

    def _is(self, level: bytes, text: str) -> bool:
        for taken in self._heard.take():
            for status in taken.message.status:
                self.newest = status if status.name == self._node else self.newest
        return self.newest is not None and self.newest.level == level and text in self.newest.message


def drain(subscription: PolledSubscription) -> list[Any]:
    """All messages that have arrived."""
    return [taken.message for taken in subscription.take()]
