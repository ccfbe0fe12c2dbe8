"""The interface: panels that show the state twenty times a second, keys that become calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Final, Protocol

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Static

from dexpie_core.topics import TopicSpec
from dexpie_teleop.console import view_drive, view_work
from dexpie_teleop.console.keys import Action, Keypad
from dexpie_teleop.console.link import Arrived, Event, Heard, in_use, started_first
from dexpie_teleop.console.services import ServiceCall, calls_for
from dexpie_teleop.console.state import ConsoleState

REFRESH_HZ: Final = 20.0
LIVE_PANELS: Final = ("banner", "alignment", "prompt", "keys")
OTHER_PANELS: Final = ("work", "health", "log")
OTHERS_EVERY: Final = 4  # turns: numbers that a person reads need not be sent over a network any faster


class Graph(Protocol):
    """What the interface needs of ROS; `Link`, or a test's own."""

    identity: str
    other: str
    failure: Exception | None

    def alive(self) -> None: ...
    def leave(self, *, goodbye: bool = True) -> None: ...
    def drain(self) -> list[Event]: ...
    def call(self, calls: tuple[ServiceCall, ...]) -> None: ...


class Panel(Static):
    """A text that is drawn again only when it has changed."""

    _shown: Text | None = None

    def show(self, text: Text) -> None:
        """Replace the text."""
        if text != self._shown or text.spans != self._shown.spans or text.style != self._shown.style:
            self._shown = text
            self.update(text, layout=False)  # every panel has its place, whatever it says


class ConsoleApp(App[str]):
    """Folds what the graph says into the state, shows it, and asks for what the keys mean.

    Its result is why it ended, empty where the operator wanted it.
    """

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", show=False, priority=True),
        Binding("ctrl+q", "leave", show=False, priority=True),
    ]
    CSS = """
    Screen { layout: vertical; overflow: hidden; }
    Panel { width: 1fr; padding: 0; text-wrap: nowrap; }
    #banner { height: 3; }
    #middle { height: 8; }
    #alignment { width: 41; height: 100%; padding-right: 1; }
    #work { height: 100%; }
    #prompt { height: 2; }
    #health { height: 3fr; }
    #log { height: 2fr; }
    #keys { height: 2; }
    """

    def __init__(
        self,
        graph: Graph,
        clock: Callable[[], float] = time.monotonic,
        reads: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__()
        self.state = ConsoleState()
        self._graph = graph
        self._clock = clock
        self._terminal_is_read = reads
        self._keypad = Keypad()
        self._hint = ""
        # Not looked up later: the loop may turn once more while the screen is being taken down.
        self._panels = {name: Panel(id=name) for name in (*LIVE_PANELS, *OTHER_PANELS)}
        self._turns = 0

    def compose(self) -> ComposeResult:
        """The panels, from top to bottom."""
        panels = self._panels
        yield panels["banner"]
        yield Horizontal(panels["alignment"], panels["work"], id="middle")
        yield from (panels[name] for name in ("prompt", "health", "log", "keys"))

    def on_mount(self) -> None:
        """Begin to refresh."""
        self.set_interval(1.0 / REFRESH_HZ, self.turn)

    def turn(self) -> None:
        """One turn of the loop: say that it is alive, take in what happened, show it."""
        now_s = self._clock()
        if self._graph.failure is not None:
            self.exit(f"ROS has failed: {self._graph.failure}")
        elif self._graph.other and not started_first(self._graph.identity, self._graph.other):
            self._graph.leave(goodbye=False)  # the other one goes on, and so does the robot
            self.exit(in_use(self._graph.other))
        elif self._terminal_is_read():
            self._graph.alive()
        for event in self._graph.drain():
            self._take_in(event, now_s)
        self._show(now_s, LIVE_PANELS if self._turns % OTHERS_EVERY else (*LIVE_PANELS, *OTHER_PANELS))
        self._turns += 1

    def action_leave(self) -> None:
        """Leave at once; the executor stops what drives."""
        self._graph.leave()
        self.exit("")

    def on_key(self, event: events.Key) -> None:
        """A key press."""
        now_s = self._clock()
        decision = self._keypad.press(event.key.lower(), self.state.situation(now_s), now_s)
        self._hint = decision.hint
        if decision.action is Action.QUIT:
            self.action_leave()
        elif decision.action is not None:
            self._graph.call(calls_for(decision.action, self.state.arm_problem, self.state.hand_problem))
        self._show(now_s, LIVE_PANELS)

    def _take_in(self, event: Event, now_s: float) -> None:
        if isinstance(event, Arrived):
            self.state.arrived(event.spec, event.times_s, event.publishers)
        elif isinstance(event, Heard):
            self._hear(event.spec, event, now_s)
        else:
            self.state.say(now_s, str(event), good=event.accepted)

    def _hear(self, spec: TopicSpec, event: Heard, now_s: float) -> None:
        try:
            self.state.heard(spec, event.message, now_s)
        except ValueError as error:
            self.state.say(now_s, f"{spec.name}: {error}", good=False)

    def _show(self, now_s: float, names: tuple[str, ...]) -> None:
        situation, pending = self.state.situation(now_s), self._keypad.pending(now_s)
        draw: dict[str, Callable[[int, int], Text]] = {
            "banner": lambda w, h: view_drive.banner(self.state, now_s, w),
            "alignment": lambda w, h: view_drive.alignment(self.state, now_s, w),
            "work": lambda w, h: view_work.work(self.state, w, h),
            "prompt": lambda w, h: view_drive.prompt(self.state, situation, pending, self._hint, w),
            "health": lambda w, h: view_work.health(self.state, now_s, w, h),
            "log": lambda w, h: view_work.log(self.state, now_s, w, h),
            "keys": lambda w, h: view_drive.key_help(situation, w, h),
        }
        for name in names:
            panel = self._panels[name]
            if panel.size.width > 0:
                panel.show(draw[name](panel.size.width, panel.size.height))
