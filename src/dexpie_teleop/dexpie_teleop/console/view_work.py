"""The lower part of the screen as text: the collection, the health of topics and nodes, what was answered."""

from __future__ import annotations

import textwrap
from typing import Final

from rich.text import Text

from dexpie_core.collection import Phase
from dexpie_teleop.console.health import TopicHealth, TopicState
from dexpie_teleop.console.state import ConsoleState
from dexpie_teleop.console.view_drive import BAD, GOOD
from dexpie_teleop.console.views import CollectionView, StageRow

NOTE: Final = "bold yellow"
RECORDER: Final = "episode_manager"
LOSSES: Final = ("lost_messages", "missing_messages", "late_messages")
AGE_WIDTH: Final = 8
STATE_WORDS: Final[dict[TopicState, tuple[str, str]]] = {
    TopicState.SILENT: ("SILENT", BAD),
    TopicState.SLOW: ("SLOW", NOTE),
    TopicState.ABSENT: ("absent", ""),
    TopicState.ON_CHANGE: ("on change", ""),
    TopicState.OK: ("ok", GOOD),
}
PHASE_WORDS: Final[dict[Phase, str]] = {
    Phase.RESETTING: "resetting the scene",
    Phase.WAITING: "waiting for you",
    Phase.ATTEMPT: "attempt",
    Phase.CORRECTION: "correction",
    Phase.FINISHED: "finished",
}


def work(state: ConsoleState, width: int, height: int) -> Text:
    """The running episode, then the collection and its counts."""
    text = Text().append("EPISODE ", "bold")
    episode, collection = state.episode, state.collection
    if episode is None:
        text.append("none is running")
    else:
        text.append(f"{episode.kind} {episode.stage}, seed {episode.seed}", GOOD)
    newest = " ".join(outcome.upper() for outcome in reversed(state.outcomes))
    lines = [f"newest: {newest}" if newest else "none has ended yet"]
    if collection is None:
        lines += ["no collection is running", "('dexpie collect' starts one)"]
    else:
        lines += _collection(collection)
    for line in lines[: height - 1]:
        text.append("\n" + line[:width])
    return text


def _collection(view: CollectionView) -> list[str]:
    corrects = " of a failed attempt" if view.phase is Phase.CORRECTION else ""
    return [
        f"{view.task} {view.episodes}/{view.wanted}: {PHASE_WORDS[view.phase]}{corrects}",
        f"now {view.stage}, seed {view.seed}",
        f"{'stage':<16}{'done':>9}{'policy alone':>14}",
        *(f"{row.stage:<16.16}{f'{row.episodes}/{row.quota}':>9}{_success(row):>14}" for row in view.rows),
    ]


def _success(row: StageRow) -> str:
    if not row.attempts:
        return "-"
    return f"{row.successes}/{row.attempts} {100 * row.successes / row.attempts:.0f} %"


def health(state: ConsoleState, now_s: float, width: int, height: int) -> Text:
    """A summary, then nodes with a complaint, then topics; the most urgent ones first, as many as fit."""
    rows, troubled = state.health(now_s), state.troubled_nodes(now_s)
    text = _summary(state, rows, len(troubled))
    lines = [_recorder(state), *(_node(*row) for row in troubled)]
    lines.append(Text(f"{'topic':<32}{'Hz':>6}{'of':>6}{'age s':>8}{'worst':>8}  state", style="bold"))
    lines += [_topic(row) for row in rows]
    if len(lines) > height - 1:
        hidden = len(lines) - (height - 2)
        lines = [*lines[: height - 2], Text(f"... {hidden} more in a taller window", style="italic")]
    for line in lines:
        line.truncate(width)
        text.append("\n")
        text.append_text(line)
    return text


def _summary(state: ConsoleState, rows: list[TopicHealth], troubled: int) -> Text:
    count = {s: sum(row.state is s for row in rows) for s in TopicState}
    bad = count[TopicState.SILENT] + count[TopicState.SLOW]
    text = Text().append("HEALTH ", "bold")
    text.append(f"topics {count[TopicState.OK]} ok", GOOD)
    text.append(f", {count[TopicState.SLOW]} slow, {count[TopicState.SILENT]} silent", BAD if bad else "")
    text.append("; nodes ")
    text.append(f"{len(state.nodes) - troubled} ok", GOOD)
    text.append(f", {troubled} not", BAD if troubled else "")
    return text


def _recorder(state: ConsoleState) -> Text:
    """State, what is lost so far, and the room that is left."""
    text = Text().append("RECORDER ", "bold")
    node = state.nodes.get(RECORDER)
    if node is None:
        return text.append("not heard", BAD)
    text.append(node.message.partition(";")[0])
    for key in LOSSES:
        if key in node.values:
            count = node.values[key]
            text.append("; " if key == LOSSES[0] else ", ")
            text.append(f"{key.partition('_')[0]} {count}", "" if count == "0" else BAD)
    if "free_mib" in node.values:
        text.append(f"; {float(node.values['free_mib']) / 1024:.1f} GiB free")
    return text


def _node(name: str, level: str, message: str) -> Text:
    text = Text(f"{name} ")
    text.append(level, NOTE if level == "WARN" else BAD)
    return text.append(f" {message}")


def _topic(row: TopicHealth) -> Text:
    word, style = STATE_WORDS[row.state]
    expected = f"{row.expected_hz:.0f}" if row.expected_hz else "-"
    ages = (f"{age:.2f}" if age is not None else "-" for age in (row.age_s, row.worst_age_s))
    text = Text(f"{row.name:<32}{row.measured_hz:>6.1f}{expected:>6}")
    text.append("".join(f"{age:>8}" for age in ages))
    return text.append(f"  {word}", style)


def log(state: ConsoleState, now_s: float, width: int, height: int) -> Text:
    """The newest lines, the newest one last; a long one goes on in the next row."""
    rows: list[tuple[str, str]] = []
    for line in reversed(state.log):
        style = {True: GOOD, False: BAD, None: ""}[line.good]
        parts = textwrap.wrap(line.text, max(width - AGE_WIDTH, 1)) or [""]
        ages = [f"{now_s - line.now_s:>4.0f} s  ", *[" " * AGE_WIDTH] * (len(parts) - 1)]
        rows[:0] = [(age + part, style) for age, part in zip(ages, parts, strict=True)]
        if len(rows) >= height:
            break
    text = Text()
    for i, (row, style) in enumerate(rows[max(len(rows) - height, 0) :]):
        text.append("\n" if i else "")
        text.append(row, style)
    return text
