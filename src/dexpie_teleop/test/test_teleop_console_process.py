"""The console as a process in a terminal of its own, against a graph that the test plays."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import pytest

from dexpie_core import messages, topics
from dexpie_core.action_space import pack
from dexpie_core.episode import EpisodeStart
from dexpie_core.executor import Source, TickOutput
from dexpie_core.modes import Mode
from dexpie_ros.factory import make, message_class
from dexpie_ros.own_domain import own_domain
from dexpie_ros.testing import STOP_TIMEOUT_S, Peer, Repeating, await_true

pytestmark = pytest.mark.processes

TIMEOUT_S = 80.0  # a starved machine takes its time over the imports of a new process
REFUSAL = "not aligned: wrist 41 deg (at most 29)"
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-P", "-m", "dexpie_teleop.console"])
"""
ESCAPES = re.compile(r"\x1b(\[[0-9;?>=<$ ]*[a-zA-Z]|[()].|[=>])")


class Terminal:
    """A console on a terminal of 80 x 24; `written` is all that it has written, escapes and all."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._slave = slave
        self.attributes = termios.tcgetattr(slave)
        environment = {**os.environ, "ROS_DOMAIN_ID": str(own_domain()), "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL], stdin=slave, stdout=slave, stderr=slave,
            env=environment, start_new_session=True,
        )  # fmt: skip
        self.written = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            if not data:
                return
            self.written += data.decode(errors="replace")

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self.written)

    def press(self, key: str) -> None:
        os.write(self._master, key.encode())

    def await_text(self, text: str) -> None:
        try:
            await_true(lambda: text in self.text, f"'{text}' on the screen", TIMEOUT_S)
        except TimeoutError:
            print(self.text[-3000:])
            raise

    def attributes_now(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def hang_up(self) -> None:
        """The window is closed."""
        os.close(self._slave)
        os.close(self._master)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Graph(Peer):
    """Executor and recorder that do what they are asked for, except a takeover."""

    def __init__(self) -> None:
        super().__init__()
        self.mode = Mode.IDLE
        self.asked: list[tuple[Mode, str]] = []
        self.outcomes: list[str] = []
        self.signs = self.listen(topics.CONSOLE)
        self.heard: list[str] = []
        self._modes = self.advertise(topics.MODE)
        self._actions = self.advertise(topics.EXECUTED_ACTION)
        self._events = self.advertise(topics.EPISODE_EVENT)
        service = self.node.create_service
        service(message_class("dexpie_msgs/srv/SetMode"), topics.SET_MODE_SERVICE, self._set_mode)
        service(message_class("dexpie_msgs/srv/EndEpisode"), topics.EPISODE_END_SERVICE, self._end_episode)
        start = EpisodeStart("e1", "bottle", "initial", "rollout", "p", "", 7, "")
        self._events.publish(messages.episode_start(make, start, time.time_ns()))
        self._announce()
        self._spinner = threading.Thread(target=self._executor.spin, daemon=True)
        self._spinner.start()

    def tick(self) -> None:
        """The executor sends an action."""
        self._actions.publish(messages.executed_action(make, self._output(), time.time_ns()))

    def life(self) -> list[str]:
        """Every life sign that was heard so far."""
        self.heard += [taken.message.frame_id for taken in self.signs.take()]
        return self.heard

    def _output(self) -> TickOutput:
        return TickOutput(1, pack(np.eye(4), np.zeros(6)), Source.HOLD, self.mode, 1, reason="a test")

    def _announce(self) -> None:
        self._modes.publish(messages.mode(make, self._output(), time.time_ns()))

    def _set_mode(self, request: Any, response: Any) -> Any:
        self.asked.append((Mode(request.mode), request.reason))
        if request.mode == Mode.HUMAN:
            response.message = REFUSAL
        else:
            self.mode, response.accepted = Mode(request.mode), True
            self._announce()
        return response

    def _end_episode(self, request: Any, response: Any) -> Any:
        self.outcomes.append(request.outcome)
        response.accepted, response.bag_path = True, "/bags/e1"
        return response


@contextmanager
def running_graph() -> Iterator[Graph]:
    with Graph() as graph, Repeating(25.0, graph.tick):
        yield graph


def test_keys_arrive_as_calls_and_a_killed_console_falls_silent() -> None:
    with running_graph() as graph, Terminal() as console:
        console.await_text("I D L E")
        await_true(lambda: len(graph.life()) >= 5, "life signs")
        console.await_text("rollout initial, seed 7")
        console.press("t")
        console.await_text(f"take over: REFUSED: {REFUSAL}")
        console.press("p")
        console.await_text("A U T O N O M O U S")
        console.press("s")
        console.await_text("success: accepted: /bags/e1")
        console.press("c")
        console.await_text("cancel takeover: not possible in AUTONOMOUS")
        console.press(" ")
        console.await_text("stop: accepted")
        assert graph.asked == [
            (Mode.HUMAN, "operator: take over"),
            (Mode.AUTONOMOUS, "operator: start policy"),
            (Mode.IDLE, "operator: stop"),
        ]
        assert graph.outcomes == ["success"]
        with Terminal() as second:
            assert second.process.wait(TIMEOUT_S) == 1
            second.await_text(f"another console is in use (host {os.uname().nodename}, process ")
        console.process.send_signal(signal.SIGKILL)
        console.process.wait(TIMEOUT_S)
        before = len(graph.life())
        time.sleep(0.5)  # five periods: that nothing comes is no event
        assert len(graph.life()) - before <= 1
        assert len(set(graph.heard)) == 1  # neither a goodbye, nor a word of the second one


@pytest.mark.parametrize("how", ["ctrl+c", "hang up"])
def test_a_console_that_leaves_says_goodbye(how: str) -> None:
    with running_graph() as graph, Terminal() as console:
        console.await_text("I D L E")
        await_true(lambda: len(graph.life()) >= 1, "a life sign")
        assert console.attributes_now() != console.attributes
        if how == "ctrl+c":
            console.press("\x03")
        else:
            console.hang_up()
        status = console.process.wait(TIMEOUT_S)
        await_true(lambda: graph.life()[-1] == "bye", "the goodbye")
        if how == "ctrl+c":
            assert status == 0
            assert console.attributes_now() == console.attributes
            for restored in ("\x1b[?1049l", "\x1b[?25h"):  # the screen that was there before, the cursor
                await_true(lambda restored=restored: restored in console.written, "the terminal as it was")
