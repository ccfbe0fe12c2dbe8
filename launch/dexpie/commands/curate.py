"""`dexpie curate ...`: edits of the episodes of bags or of a dataset, kept in a log."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from dexpie.commands.metavars import PATH
from dexpie.faults import tell_faults
from dexpie.progress import Progress
from dexpie.table import table
from dexpie_training.curation import UNSEEN_CAUSES, Edit, Episode, Verb, apply, in_force, unseen_failures

if TYPE_CHECKING:
    from dexpie_training.curation_log import Curated

Episodes = Annotated[tuple[str, ...], tyro.conf.Positional]


@dataclass(frozen=True)
class CurateShowOptions:
    """Show the edits and what they make of the episodes."""

    where: Annotated[Path, tyro.conf.Positional]
    """Folder of bags, bag, or dataset."""
    edits: Annotated[Path | None, PATH] = None
    """The file of the edits; without it edits.jsonl in the folder of bags or in the dataset."""


@dataclass(frozen=True)
class _EditOptions(CurateShowOptions):
    why: str = ""
    """Why, for people: stands in the log and in the reports of conversions."""


@dataclass(frozen=True)
class CurateDropOptions(_EditOptions):
    """Leave episodes out."""

    episodes: Episodes = ()
    """Ids of the episodes."""


@dataclass(frozen=True)
class CurateOutcomeOptions(CurateDropOptions):
    """Correct how episodes ended."""

    to: Literal["success", "failure"] = field(kw_only=True)
    """How they ended."""


@dataclass(frozen=True)
class CurateTagOptions(CurateDropOptions):
    """Give episodes a tag, to be found in the dataset's description."""

    name: str = field(kw_only=True)
    """The tag."""


@dataclass(frozen=True)
class CurateHideOptions(CurateDropOptions):
    """Leave failures out whose cause no image shows, such as protective stops (paper B.3)."""

    episodes: Episodes = ()
    """Ids of the failures; without any, those that ended in FAULT or whose reason has one of --causes."""
    causes: tuple[str, ...] = UNSEEN_CAUSES
    """Words in the reason of a failure that tell such a cause."""


@dataclass(frozen=True)
class CurateSplitOptions(_EditOptions):
    """Part the episodes, so that each part can be taken for a dataset of its own (--part)."""

    by: Literal["stage"] = "stage"
    """What decides: the stage that an episode starts from."""


@dataclass(frozen=True)
class CurateUndoOptions(_EditOptions):
    """Take an edit back; the log keeps both lines."""

    line: int | None = None
    """Number of the edit's line; without it the last edit in force."""


@dataclass(frozen=True)
class CurateApplyOptions:
    """Write a new dataset of a dataset's episodes after its edits; bags take theirs with `dexpie convert`."""

    where: Annotated[Path, tyro.conf.Positional]
    """Dataset."""
    out: Annotated[Path, PATH]
    """New dataset; must not exist."""
    edits: Annotated[Path | None, PATH] = None
    """The file of the edits; without it edits.jsonl in the dataset."""
    part: str = ""
    """Only the episodes of this part; without it all of them."""


def run_curate_show(options: CurateShowOptions) -> None:
    """Edits by their lines, then the episodes; DexpieError where a bag cannot be read as a whole."""
    source = _open(options)
    counting = in_force(source.edits)
    edits = [
        (number, e.edit, e.value, len(e.episodes) or "all", "yes" if number in counting else "", e.at, e.why)
        for number, e in enumerate(source.edits, 1)
    ]
    if edits:
        print(table(["line", "edit", "value", "episodes", "counts", "at", "why"], edits), end="\n\n")
    rows = [
        (e.episode_id, e.stage, e.kind, e.outcome, e.reason, e.part, " ".join(e.tags), e.left_out)
        for e in apply(source.edits, source.episodes)
    ]
    print(table(["episode", "stage", "kind", "outcome", "reason", "part", "tags", "left out"], rows))
    tell_faults(source.damage)


def run_curate_drop(options: CurateDropOptions) -> None:
    """Add the edit, and say what came of it."""
    _add(options, "drop", options.episodes)


def run_curate_outcome(options: CurateOutcomeOptions) -> None:
    """Add the edit, and say what came of it."""
    _add(options, "outcome", options.episodes, options.to)


def run_curate_tag(options: CurateTagOptions) -> None:
    """Add the edit, and say what came of it."""
    _add(options, "tag", options.episodes, options.name)


def run_curate_hide(options: CurateHideOptions) -> None:
    """Find the failures where none is named, add the edit, and say what came of it."""
    source = _open(options)
    curated = apply(source.edits, source.episodes)
    episodes = options.episodes or tuple(unseen_failures(curated, options.causes))
    if not episodes:
        print(f"{options.where}: no failure ended in FAULT or because of {', '.join(options.causes)}")
        return
    _add(options, "hide", episodes)


def run_curate_split(options: CurateSplitOptions) -> None:
    """Add the edit, and say what came of it."""
    _add(options, "split", (), options.by)


def run_curate_undo(options: CurateUndoOptions) -> None:
    """Add the edit, and say what came of it."""
    line = options.line
    if line is None:
        line = max(in_force(_open(options).edits), default=1)
    _add(options, "undo", (), str(line))


def run_curate_apply(options: CurateApplyOptions) -> None:
    """Write the dataset with a progress line, and say what came of it."""
    from dexpie_training.curation_apply import run_apply

    progress = Progress("episodes", 0)

    def shown(done: int, total: int) -> None:
        progress.total = total
        progress.update(done)

    try:
        report = run_apply(options.where, options.out, options.edits, options.part, shown)
    finally:
        progress.close()
    print(report)


def _open(options: CurateShowOptions) -> Curated:
    from dexpie_training.curation_log import Curated

    return Curated.open(options.where, options.edits)


def _add(options: _EditOptions, edit: Verb, episodes: tuple[str, ...], value: str = "") -> None:
    from dexpie_core.errors import UsageError

    source = _open(options)
    try:
        added = Edit(edit, episodes, value, options.why, datetime.now(UTC).isoformat(timespec="seconds"))
    except ValueError as error:
        raise UsageError(str(error)) from None
    curated = source.add(added)
    after: list[Episode] = apply(curated.edits, curated.episodes)
    kept = sum(not e.left_out for e in after)
    print(
        f"{curated.file}: line {len(curated.edits)}: {_told(added)}; {kept} of {len(after)} episodes are kept"
    )
    for line in curated.damage:
        print(f"damaged: {line}")


def _told(edit: Edit) -> str:
    what = f"{edit.edit} {edit.value}".strip()
    return f"{what} {', '.join(edit.episodes)}" if edit.episodes else what
