"""Runs a set of processes as one: readiness, prefixed output, and a stop that leaves nothing behind."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from dexpie.console import Console
from dexpie.processes import Child, Command, exit_text, start
from dexpie.readiness import Readiness
from dexpie.stopping import DEADLINE_S, StopEscalation

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Outcome:
    """Why the graph stopped. `kind`: interrupted, duration, main, died or not_ready."""

    kind: str
    message: str = ""
    status: int = 0


@dataclass(frozen=True)
class Plan:
    """What to run: the nodes, who reports that they are ready, and what ends it."""

    nodes: tuple[Command, ...]
    probe: Command | None = None  # writes `name<TAB>level<TAB>message` lines; None: ready as soon as started
    main: Command | None = None  # started when all are ready; its end stops the graph
    ready_timeout_s: float = 60.0
    duration_s: float | None = None  # counted from readiness


class Supervisor:
    """One run of a plan; `run` blocks, handles SIGINT, SIGTERM and SIGHUP, and returns when all is gone."""

    def __init__(
        self,
        plan: Plan,
        console: Console | None = None,
        environment: Mapping[str, str] | None = None,
        on_ready: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self.console = console or Console()
        self._environment = environment
        self._on_ready = on_ready
        self._clock = clock
        self._children: dict[str, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._readiness = Readiness(
            tuple(command.name for command in plan.nodes if command.awaited) if plan.probe else ()
        )
        self._running = False  # all were ready once
        self._stop: StopEscalation | None = None
        self._released = False
        self._outcome = Outcome("main")
        self._started_s = clock()
        self._ready_s = 0.0

    def run(self) -> Outcome:
        """Start everything, watch it, and return once no process is left."""
        with self._selector, self._signals():
            try:
                self._start_all()
                while self._children:
                    for key, _ in self._selector.select(self._timeout_s()):
                        key.data()
                    self._advance()
            finally:
                for child in self._children.values():  # only after a fault of this very loop
                    child.kill_rest()
                    child.reap()
                self.console.live("")
        return self._outcome

    def _start_all(self) -> None:
        for command in self.plan.nodes:
            self.console.register(command.name)
        starters = (self.plan.probe, *self.plan.nodes) if self.plan.probe else self.plan.nodes
        for command in starters:
            self._drain_signals()
            if self._stop is not None:
                return
            self._start(command)
        self.console.live(self._readiness.line())

    def _start(self, command: Command) -> None:
        child = start(command, self._environment)
        self._children[child.name] = child
        self._selector.register(child.output_fd, selectors.EVENT_READ, lambda: self._on_output(child))
        self._selector.register(child.exit_fd, selectors.EVENT_READ, lambda: self._on_exit(child))

    # What happened

    def _on_output(self, child: Child) -> None:
        data = child.read() if child.name in self._children else None
        if data is None:
            return
        if not data:
            self._selector.unregister(child.output_fd)
        self._take_lines(child, data)

    def _take_lines(self, child: Child, data: bytes) -> None:
        for line in child.output.feed(data):
            if child.command is self.plan.probe:
                self._on_probe_line(line)
            elif child.command is self.plan.main:
                self.console.say(line)
            elif not self._hushed:
                self.console.node_line(child.name, line)

    @property
    def _hushed(self) -> bool:
        """Stopped before all was ready: what nodes say of being cut off in their imports is of no use."""
        return self._stop is not None and not self._running

    def _on_probe_line(self, line: str) -> None:
        parts = line.split("\t", 2)
        if len(parts) == 3 and parts[1].isdigit():
            self._readiness.heard(parts[0], int(parts[1]), parts[2])
            if not self._running and self._stop is None:
                self.console.live(self._readiness.line())
        elif line and self._stop is None:
            self.console.node_line("readiness", line)

    def _on_exit(self, child: Child) -> None:
        child.kill_rest()
        while data := child.read():
            self._take_lines(child, data)
        self._take_lines(child, b"")
        with contextlib.suppress(KeyError):  # its output may have ended before
            self._selector.unregister(child.output_fd)
        self._selector.unregister(child.exit_fd)
        status = child.reap()
        del self._children[child.name]
        if self._stop is None:
            self._after_exit(child, status)

    def _after_exit(self, child: Child, status: int) -> None:
        """A process ended although nobody had asked it to."""
        if child.command is self.plan.main:
            words = child.output.last_line if status >= 0 else self._obituary(child, status)
            self._begin_stop(Outcome("main", words, status))
        elif child.command is self.plan.probe:
            if not self._readiness.complete:
                self._begin_stop(Outcome("died", self._obituary(child, status), 1))
        elif child.command.required:
            self._begin_stop(Outcome("died", self._obituary(child, status), 1))
        else:
            self.console.say(
                f"{child.name} ended ({exit_text(status)}); it is not required, going on without it"
            )

    def _obituary(self, child: Child, status: int) -> str:
        words = child.output.last_line
        return f"{child.name} ended ({exit_text(status)}): {words or 'it said nothing'}"

    # What follows from it

    def _advance(self) -> None:
        now_s = self._clock()
        if self._stop is not None:
            for which in self._stop.due(now_s):
                self._send(which)
            self._release_servers()
            return
        if self.console.broken:
            self._begin_stop(Outcome("interrupted", "nobody reads the output any more", 1))
        elif not self._running and self._readiness.complete:
            self._become_ready(now_s)
        elif not self._running and now_s - self._started_s >= self.plan.ready_timeout_s:
            self._begin_stop(Outcome("not_ready", self._late_text(), 1))
        elif self._running and self._remaining_s(now_s) == 0.0:
            self._begin_stop(Outcome("duration"))

    def _send(self, which: signal.Signals) -> None:
        asking = which is signal.SIGINT
        for child in list(self._children.values()):
            if not (asking and child.command.serves):
                child.send(which)

    def _release_servers(self) -> None:
        """Ask those whom nobody uses any more, once."""
        if self._released or not all(child.command.serves for child in self._children.values()):
            return
        self._released = True
        for child in self._children.values():
            child.send(signal.SIGINT)

    def _become_ready(self, now_s: float) -> None:
        self._running = True
        self._ready_s = now_s
        self.console.live("")
        self.console.say(f"{len(self.plan.nodes)} nodes ready after {now_s - self._started_s:.1f} s")
        self._on_ready()
        if self.plan.main is not None:
            self._start(self.plan.main)

    def _late_text(self) -> str:
        said = []
        for name in self._readiness.waiting:
            child = self._children.get(name)
            words = self._readiness.last_status.get(name) or (child.output.last_line if child else "")
            said.append(f"{name} ({words or 'it said nothing'})")
        return f"not ready within {self.plan.ready_timeout_s:g} s: {', '.join(said)}"

    def _begin_stop(self, outcome: Outcome) -> None:
        now_s = self._clock()
        if self._stop is not None:
            self._stop.hurry(now_s)
            return
        self._outcome = outcome
        self._stop = StopEscalation(now_s)
        self.console.live("")
        if outcome.kind != "main":
            self.console.say("stopping the graph")
        self._advance()

    # Time and signals

    def _remaining_s(self, now_s: float) -> float | None:
        """Seconds of `duration_s` left; None when it has no end."""
        if self.plan.duration_s is None:
            return None
        return max(0.0, self._ready_s + self.plan.duration_s - now_s)

    def _timeout_s(self) -> float | None:
        """How long the loop may sleep until something is due."""
        now_s = self._clock()
        if self._stop is not None:
            next_s = self._stop.next_s(now_s)
            return DEADLINE_S if next_s is None else next_s
        if not self._running:
            if self._readiness.complete:
                return 0.0
            return max(0.0, self._started_s + self.plan.ready_timeout_s - now_s)
        return self._remaining_s(now_s)

    def _drain_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self._wake_receiver.recv(64):
                if number in STOP_SIGNALS:
                    self._begin_stop(Outcome("interrupted", signal.Signals(number).name, 128 + number))

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn the stop signals into events of the loop, so that none can strike between two steps."""
        self._wake_receiver, sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        sender.setblocking(False)
        previous = {number: signal.signal(number, lambda *_: None) for number in STOP_SIGNALS}
        old_wakeup = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ, self._drain_signals)
        try:
            yield
        finally:
            signal.set_wakeup_fd(old_wakeup)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._selector.unregister(self._wake_receiver)
            self._wake_receiver.close()
            sender.close()
