"""The hand at a pseudo-terminal: one thread that owns the terminal, the line and the hand's time."""

from __future__ import annotations

import contextlib
import os
import pty
import queue
import select
import termios
import time
import tty
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

import numpy as np

from dexpie_core.plant import HandState, HandTarget
from dexpie_hardware.emulators.inspire.line import Line, LineConfig
from dexpie_hardware.emulators.inspire.model import HandModel
from dexpie_hardware.emulators.inspire.registers import BAUD_RATES
from dexpie_hardware.emulators.plant_link import PlantLink

STEP_S: Final = 0.005
READ_BYTES: Final = 4096
GRAM_N: Final = 0.00980665
_SPEEDS: Final = {115200: termios.B115200, 57600: termios.B57600, 19200: termios.B19200}


class HandServer:
    """`run` serves until `stop`; `on_loop` makes a function for other threads of one for this thread."""

    def __init__(self, link: Path, model: HandModel, line: LineConfig, plant: PlantLink | None) -> None:
        self._link = link
        self._plant = plant
        self._resets: int | None = None
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        self._stopping = False
        self._master: int | None = None
        self._slave: int | None = None
        self.model = model
        self.line = Line(line, model.answer)
        self.plug()

    def plug(self) -> None:
        """A new terminal, and the link to it."""
        if self._master is not None:
            return
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        new = self._link.with_name(self._link.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        new.symlink_to(os.ttyname(self._slave))
        os.replace(new, self._link)

    def unplug(self) -> None:
        """The terminal goes away, as that of a USB adapter that is pulled out."""
        if self._master is None or self._slave is None:
            return
        self._link.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = None
        self.line.clear()

    @property
    def plugged(self) -> bool:
        """Whether there is a terminal."""
        return self._master is not None

    def on_loop(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that has `function` called by the loop's thread and returns what it returned."""

        def call(**arguments: Any) -> Any:
            future: Future[Any] = Future()
            self._jobs.put((lambda: function(**arguments), future))
            os.write(self._wake_write, b"!")
            return future.result()

        return call

    def stop(self, *_: object) -> None:
        """End `run`; may be called from a signal handler."""
        self._stopping = True
        os.write(self._wake_write, b"!")

    def run(self) -> None:
        """Serve until `stop`."""
        next_step_s = time.monotonic()
        try:
            while not self._stopping:
                self._wait(next_step_s)
                self._do_jobs()
                now_s = time.monotonic()
                if now_s >= next_step_s:
                    self._step(now_s)
                    next_step_s = max(next_step_s + STEP_S, now_s)
                self._receive()
                self._send()
        finally:
            self.unplug()

    def _wait(self, until_s: float) -> None:
        now_s = time.monotonic()
        line_s = self.line.next_s(now_s)
        wake_s = until_s if line_s is None else min(until_s, line_s)
        sources = [self._wake_read, *([] if self._master is None else [self._master])]
        select.select(sources, [], [], max(wake_s - now_s, 0.0))

    def _do_jobs(self) -> None:
        while not self._jobs.empty():
            job, future = self._jobs.get()
            try:
                future.set_result(job())
            except (TypeError, ValueError) as error:
                future.set_exception(error)
        if select.select([self._wake_read], [], [], 0)[0]:
            os.read(self._wake_read, READ_BYTES)

    def _step(self, now_s: float) -> None:
        self.model.step(now_s)
        self.line.baud = BAUD_RATES[self.model.baud_code]
        if self._plant is None:
            return
        reference = np.array(self.model.references) / 1000.0
        state = self._plant.exchange(HandTarget(self._resets or 0, reference))
        if isinstance(state, HandState):
            carried = state.resets != self._resets
            self._resets = state.resets
            self.model.measure(state.position * 1000.0, state.force_n / GRAM_N, carried=carried)

    def _receive(self) -> None:
        if self._master is None:
            return
        try:
            data = os.read(self._master, READ_BYTES)
        except BlockingIOError:
            return
        if termios.tcgetattr(self._master)[5] == _SPEEDS[self.line.baud]:
            self.line.receive(data, time.monotonic())
        else:
            self.line.counts["wrong_baud"] += 1

    def _send(self) -> None:
        data = self.line.due(time.monotonic())
        if data and self._master is not None:
            with contextlib.suppress(BlockingIOError):  # nobody reads: the bytes are lost
                os.write(self._master, data)
