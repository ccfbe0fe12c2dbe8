"""Curation of episodes: an append-only list of edits, and what it makes of the episodes. Pure.

Recordings and datasets are never changed; `dexpie convert` and `dexpie curate apply` apply the edits. An edit
is taken back by another one, `undo`, so the list tells who decided what, when and why. Later edits win.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from dexpie_core.errors import UsageError
from dexpie_core.modes import Mode

Verb = Literal["drop", "hide", "outcome", "tag", "split", "undo"]
EDITS_FILE: Final = "edits.jsonl"
"""Name of the list in a folder of bags and in a dataset."""
DROPPED: Final = "dropped"
HIDDEN: Final = "a failure whose cause cannot be seen"
UNSEEN_CAUSES: Final = ("protective stop", "collision", "fault")
"""Words in the reason of a failure whose cause no image shows: the arm hit something and stopped."""


@dataclass(frozen=True)
class Episode:
    """What curation looks at and changes. left_out: why it is left out, empty where it is kept.

    reason: what the recording says of the end; last_mode: the executor's mode there; part: the name of the
    part that a split puts it in.
    """

    episode_id: str
    stage: str
    kind: str
    outcome: str
    reason: str = ""
    last_mode: Mode = Mode.IDLE
    tags: tuple[str, ...] = ()
    part: str = ""
    left_out: str = ""


@dataclass(frozen=True)
class Edit:
    """One line of the list. Lines are counted from 1.

    drop: leave episodes out. hide: leave failures out whose cause cannot be seen (paper B.3).
    outcome: `value` (success, failure) is how they ended. tag: give them the tag `value`.
    split: part all episodes by `value` (stage). undo: line number `value` no longer counts.
    """

    edit: Verb
    episodes: tuple[str, ...] = ()
    value: str = ""
    why: str = ""
    at: str = ""
    """when, ISO 8601 in UTC"""

    def __post_init__(self) -> None:
        if (self.edit in _CHANGES_NAMED) != bool(self.episodes):
            wants = "names no episode" if self.edit in _CHANGES_NAMED else "takes no episodes"
            raise ValueError(f"edit {self.edit} {wants}")
        if not _VALUES[self.edit](self.value):
            raise ValueError(f"edit {self.edit}: value {self.value!r} must be {_WANTED[self.edit]}")


def in_force(edits: Sequence[Edit]) -> dict[int, Edit]:
    """The edits that count, by their lines: no undo, nothing that one takes back; undo can be undone."""
    undone = _undone(edits)
    return {n: edit for n, edit in enumerate(edits, 1) if n not in undone and edit.edit != "undo"}


def _undone(edits: Sequence[Edit]) -> set[int]:
    undone: set[int] = set()
    for number, edit in reversed(list(enumerate(edits, 1))):
        if edit.edit == "undo" and number not in undone:
            undone.add(int(edit.value))
    return undone


def apply(edits: Sequence[Edit], episodes: Iterable[Episode]) -> list[Episode]:
    """The episodes after the edits, as many and in the same order; ids that are not there are passed over."""
    curated = list(episodes)
    for edit in in_force(edits).values():
        named = set(edit.episodes)
        change = _CHANGES[edit.edit]
        curated = [change(e, edit) if not named or e.episode_id in named else e for e in curated]
    return curated


def check(edit: Edit, edits: Sequence[Edit], episodes: Sequence[Episode]) -> None:
    """UsageError where the edit cannot be added to these edits of these episodes."""
    if edit.edit == "undo":
        _check_undo(int(edit.value), edits)
    require_known(edit.episodes, [e.episode_id for e in episodes])
    repeated = [name for name, count in Counter(edit.episodes).items() if count > 1]
    if repeated:
        raise UsageError(f"EPISODES: {repeated[0]} is named twice")
    outcomes = {e.episode_id: e.outcome for e in apply(edits, episodes)}
    for name in edit.episodes:
        if edit.edit == "hide" and outcomes[name] != "failure":
            raise UsageError(f"EPISODES: {name} is no failure ({outcomes[name]}); use `curate drop`")
        if edit.edit == "outcome" and outcomes[name] == "discard":
            raise UsageError(f"EPISODES: {name} was discarded when it was recorded; it is never converted")


def summary(edits: Sequence[Edit], curated: Sequence[Episode]) -> dict[str, Any]:
    """What dataset.json says of curation, as JSON: edits in force, tags, parts, what is left out."""
    kept = [e for e in curated if not e.left_out]
    tags = sorted({tag for e in kept for tag in e.tags})
    parts = sorted({e.part for e in kept if e.part})
    return {
        "edits": [asdict(edit) for edit in in_force(edits).values()],
        "tags": {tag: [e.episode_id for e in kept if tag in e.tags] for tag in tags},
        "parts": {part: [e.episode_id for e in kept if e.part == part] for part in parts},
        "left_out": {e.episode_id: e.left_out for e in curated if e.left_out},
    }


def require_known(names: Iterable[str], known: Sequence[str]) -> None:
    """UsageError with the nearest names where an episode is not there."""
    for name in names:
        if name not in known:
            near = ", ".join(difflib.get_close_matches(name, known, n=3, cutoff=0.4))
            hint = f"did you mean {near}?" if near else f"there are {len(known)}, see `dexpie curate show`"
            raise UsageError(f"EPISODES: no episode {name}; {hint}")


def unseen_failures(episodes: Iterable[Episode], causes: Sequence[str] = UNSEEN_CAUSES) -> list[str]:
    """Ids of kept failures that ended in FAULT or whose reason has one of the words (paper B.3).

    A critic that sees images alone blames what it does see, such as the approach to the object, and the
    policy learns to avoid it.
    """
    words = [cause.lower() for cause in causes]
    return [
        e.episode_id
        for e in episodes
        if e.outcome == "failure"
        and not e.left_out
        and (e.last_mode is Mode.FAULT or any(word in e.reason.lower() for word in words))
    ]


def _check_undo(number: int, edits: Sequence[Edit]) -> None:
    if number > len(edits):
        raise UsageError(f"--line {number}: there are {len(edits)} lines to undo")
    if number in _undone(edits):
        raise UsageError(f"--line {number} is undone already")


def _leave_out(episode: Episode, edit: Edit) -> Episode:
    what = DROPPED if edit.edit == "drop" else HIDDEN
    return replace(episode, left_out=f"{what}: {edit.why}" if edit.why else what)


def _relabel(episode: Episode, edit: Edit) -> Episode:
    return replace(episode, outcome=edit.value)


def _tag(episode: Episode, edit: Edit) -> Episode:
    return episode if edit.value in episode.tags else replace(episode, tags=(*episode.tags, edit.value))


def _split(episode: Episode, edit: Edit) -> Episode:
    return replace(episode, part=episode.stage)


_CHANGES_NAMED: Final[dict[str, Callable[[Episode, Edit], Episode]]] = {
    "drop": _leave_out,
    "hide": _leave_out,
    "outcome": _relabel,
    "tag": _tag,
}
_CHANGES: Final = {**_CHANGES_NAMED, "split": _split}
_VALUES: Final[dict[str, Callable[[str], bool]]] = {
    "drop": lambda value: not value,
    "hide": lambda value: not value,
    "outcome": lambda value: value in ("success", "failure"),
    "tag": lambda value: value != "" and value.isprintable() and value.strip() == value,
    "split": lambda value: value == "stage",
    "undo": lambda value: value.isascii() and value.isdigit() and int(value) > 0,
}
_WANTED: Final = {
    "drop": "empty",
    "hide": "empty",
    "outcome": "success or failure",
    "tag": "a word",
    "split": "stage",
    "undo": "the number of a line",
}
