"""The upper part of the screen as text: who drives, how far from aligned, what is asked, which keys do what.

Colours only repeat what the words say.
"""

from __future__ import annotations

import textwrap
from typing import Final

from rich.text import Text

from dexpie_core.modes import Mode
from dexpie_teleop.console.keys import CONFIRM_KEY, CONFIRM_WITHIN_S, Action, Situation, possible
from dexpie_teleop.console.state import ConsoleState
from dexpie_teleop.console.views import Bar

GOOD: Final = "bold green"
BAD: Final = "bold red"
NOTICE: Final = "bold black on yellow"

WHO_DRIVES: Final[dict[Mode | None, tuple[str, str]]] = {
    Mode.IDLE: ("nobody drives, the last command is held", "bold white on grey30"),
    Mode.AUTONOMOUS: ("the policy drives", "bold white on dark_blue"),
    Mode.ALIGNING: ("the policy drives, match wrist and fingers", "bold black on yellow"),
    Mode.HUMAN: ("you drive", "bold black on green"),
    Mode.RELEASING: ("nobody drives, waiting for the policy's first chunk", "bold black on cyan"),
    Mode.FAULT: ("nobody drives, stopped on a fault", "bold white on red"),
    None: ("no executor is heard: is 'dexpie up' running?", "bold white on magenta"),
}
HALF_BAR: Final = 5  # cells up to the bound, and as many beyond it


def banner(state: ConsoleState, now_s: float, width: int) -> Text:
    """Three lines: the mode in big letters, who drives, why."""
    mode = state.mode(now_s)
    who, style = WHO_DRIVES[mode]
    if mode in (Mode.AUTONOMOUS, Mode.ALIGNING) and state.starved:
        who += " (LATE: held until its chunk comes)"
    reason = f"reason: {state.mode_view.reason}" if mode is not None and state.mode_view else ""
    problems = [
        f"{device}: {problem}"
        for device, problem in (("arm", state.arm_problem), ("hand", state.hand_problem))
        if problem
    ]
    big = " ".join(mode.name if mode is not None else "SILENT")
    lines = (f"{big}   {who}", reason, " | ".join(problems))
    return Text("\n".join(f" {line[: width - 2]:<{width - 2}} " for line in lines), style=style)


def alignment(state: ConsoleState, now_s: float, width: int) -> Text:
    """A verdict, then a bar for wrist and each finger."""
    bars = state.bars(now_s)
    if not bars:
        return Text("ALIGNMENT\n no fresh tracker and glove: a takeover\n will be refused", style="bold")
    outside = [bar.name for bar in bars if not bar.inside]
    verdict = f"OUTSIDE: {len(outside)} of {len(bars)}" if outside else "inside: takeover possible"
    text = Text().append("ALIGNMENT ", "bold")
    text.append(verdict, BAD if outside else GOOD)
    for bar in bars:
        text.append("\n")
        text.append_text(_bar(bar, width))
    return text


def _bar(bar: Bar, width: int) -> Text:
    style = GOOD if bar.inside else BAD
    ratio = abs(bar.error) / bar.bound
    if bar.inside:
        left, right = min(round(ratio * HALF_BAR), HALF_BAR), 0
    else:
        left, right = HALF_BAR, min(max(round((ratio - 1.0) * HALF_BAR), 1), HALF_BAR)
    text = Text(f"{bar.name:<12} ")
    text.append(f"{'#' * left:.<{HALF_BAR}}|{'#' * right:.<{HALF_BAR}}", style)
    text.append(f" {round(bar.error):>4d}/{bar.bound:.0f} {bar.unit}")
    text.append(" ok" if bar.inside else " OUT", style)
    text.truncate(width)
    return text


def prompt(state: ConsoleState, situation: Situation, pending: Action | None, hint: str, width: int) -> Text:
    """Two lines: what waits for a confirmation, else what a person is asked to do, else the newest hint."""
    if pending is not None:
        robot = ", and the robot stops" if pending is Action.QUIT else ""
        return _two_lines(
            f"{pending.value}{robot}? Press {CONFIRM_KEY} within {CONFIRM_WITHIN_S:g} s", width, NOTICE
        )
    if situation.prompt and state.collection is not None:
        return _two_lines(f"{state.collection.prompt}, then Enter", width, NOTICE)
    return _two_lines(hint, width, "italic")


def _two_lines(line: str, width: int, style: str) -> Text:
    rows = textwrap.wrap(line, max(width - 2, 1), max_lines=2, placeholder=" ...")
    return Text("\n".join(f" {row}".ljust(width) for row in rows), style=style)


def key_help(situation: Situation, width: int, height: int) -> Text:
    """What is possible now, as many keys as fit."""
    text, column, line = Text(), 0, 1
    for row in possible(situation):
        label = f"{row.key} {row.action.value}"
        if column + len(label) > width:
            if line == height:
                break
            text.append("\n")
            column, line = 0, line + 1
        stop = row.action is Action.STOP
        text.append(f" {row.key} ", "bold white on red" if stop else "bold reverse")
        text.append(f"{'STOP' if stop else row.action.value} ")
        column += len(label) + 3
    return text
