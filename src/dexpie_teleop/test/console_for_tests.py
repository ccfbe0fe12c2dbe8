"""For the tests of the console: a graph without ROS, and the screen as text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any

from textual.app import App

from dexpie_core.topics import TopicSpec
from dexpie_teleop.console.link import Arrived, Event, Heard
from dexpie_teleop.console.services import ServiceCall

_CELL_WIDTH = 12.2  # of the characters in the pictures that textual exports
_TEXT = re.compile(r'<text [^>]*?x="([\d.]+)"[^>]*?line-(\d+)\)">(.*?)</text>', re.DOTALL)


class FakeGraph:
    """What the interface needs of ROS; messages are put in by hand, calls are kept."""

    identity = "here:1:1"

    def __init__(self) -> None:
        self.other = ""
        self.failure: Exception | None = None
        self.calls: list[tuple[ServiceCall, ...]] = []
        self.signs_of_life = 0
        self.goodbyes: list[bool] = []
        self.events: list[Event] = []

    def alive(self) -> None:
        self.signs_of_life += 1

    def leave(self, *, goodbye: bool = True) -> None:
        self.goodbyes.append(goodbye)

    def drain(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def call(self, calls: tuple[ServiceCall, ...]) -> None:
        self.calls.append(calls)

    def tell(self, spec: TopicSpec, message: Any, times_s: Iterable[float] = ()) -> None:
        """A message arrives, at these times."""
        self.events += [Arrived(spec, tuple(times_s), 1), Heard(spec, message)]


def screen_text(app: App[Any]) -> list[str]:
    """The lines of the screen, as a person reads them."""
    width, height = app.size
    lines = [[" "] * width for _ in range(height)]
    for x, line, text in _TEXT.findall(app.export_screenshot()):
        shown = html.unescape(text).replace("\xa0", " ")
        column = round(float(x) / _CELL_WIDTH)
        if int(line) < height:
            lines[int(line)][column : column + len(shown)] = shown
    return ["".join(line).rstrip() for line in lines]
