"""Parts of bags joined into one dataset, in order, so that it does not matter who made them and when."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexpie_core.errors import UsageError
from dexpie_training import schema
from dexpie_training.curation_join import Curator
from dexpie_training.dataset import Dataset
from dexpie_training.dataset_writer import DatasetWriter
from dexpie_training.npy_appender import stored_rows
from dexpie_training.parts import ROWS_FOLDER, BagRecord, Part, Stored


@dataclass(frozen=True)
class KnownPart:
    """A bag whose rows are in a dataset already: its episodes from `first` on."""

    record: BagRecord
    dataset: Dataset
    first: int


@dataclass
class Joined:
    """What dataset.json says beside the rows."""

    bags: list[BagRecord] = field(default_factory=list)
    report: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    tasks: set[str] = field(default_factory=set)
    cameras: tuple[str, ...] = ()
    state_names: tuple[str, ...] = ()

    @property
    def skipped(self) -> dict[str, int]:
        """Reason -> episodes, or bags, that were left out."""
        return dict(Counter(entry["why"].partition(":")[0] for entry in self.left_out))


def known_parts(out: Path, settings: dict[str, Any]) -> dict[str, KnownPart]:
    """SHA-256 -> part, of the bags in the dataset at `out`; empty where there is none.

    UsageError where what lies there is no dataset, or one that was made otherwise.
    """
    if not out.exists():
        return {}
    if not (out / schema.META_FILE).is_file():
        raise UsageError(f"--out {out} exists already and is no dataset; choose another folder or remove it")
    meta = schema.read_meta(out)
    if meta.get("settings_sha256") != settings["sha256"]:
        raise UsageError(f"--out {out} exists already, made with other settings; choose another folder")
    dataset = Dataset.open(out)
    known: dict[str, KnownPart] = {}
    first = 0
    for stored in meta["bags"]:
        record = BagRecord(**stored)
        known[record.sha256] = KnownPart(record, dataset, first)
        first += record.episodes
    return known


def join(
    parts: list[Part], old: dict[str, KnownPart], writer: DatasetWriter, curator: Curator | None = None
) -> Joined:
    """Write the episodes of the old dataset's other bags as they are, then those of `parts` after the edits.

    A bag whose content has changed since replaces what it was. An episode that is there twice, or whose
    cameras or simulated state differ from those before, is left out.
    """
    joining = _Joining(writer, curator or Curator())
    given = {part.record.sha256 for part in parts}
    paths = {part.record.path for part in parts}
    for sha256, known in old.items():
        replaced = known.record.path in paths or not known.record.episodes
        if sha256 not in given and not replaced:
            joining.add_known(known, edited=False)
    for part in parts:
        if part.record.sha256 in joining.seen:
            joining.joined.remarks.append(f"{part.record.path}: holds the same as another bag, taken once")
        elif part.folder is None:
            known = old[part.record.sha256]
            renamed = replace(known.record, name=part.record.name, path=part.record.path)
            joining.add_known(replace(known, record=renamed))
        else:
            joining.add_part(part)
    return joining.joined


class _Joining:
    """The dataset so far."""

    def __init__(self, writer: DatasetWriter, curator: Curator) -> None:
        self._writer, self._curator = writer, curator
        self._ids: set[str] = set()
        self._layout: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self.seen: set[str] = set()
        self.joined = Joined()

    def add_known(self, known: KnownPart, edited: bool = True) -> None:
        """Take a bag's episodes over from a dataset; the edits are applied where `edited`."""
        self._add(known.record, known.dataset, known.first, edited)

    def add_part(self, part: Part) -> None:
        """Take a bag's episodes from its part."""
        assert part.folder is not None
        has_rows = part.record.episodes > 0
        self._add(part.record, _rows_of(part.folder, part.stored) if has_rows else None, 0, True)

    def _add(self, record: BagRecord, dataset: Dataset | None, first: int, edited: bool) -> None:
        record = replace(record, left_out=list(record.left_out), damage=list(record.damage))
        taken = 0
        for index in range(first, first + record.episodes):
            assert dataset is not None
            taken += self._episode(record, dataset, index, edited)
        joined = self.joined
        self.seen.add(record.sha256)
        joined.bags.append(replace(record, episodes=taken))
        for entry in record.left_out:
            detail = f": {entry['detail']}" if entry["detail"] else ""
            why = f"{entry['reason']}{detail}"
            joined.left_out.append({"episode_id": entry["episode_id"], "bag": record.name, "why": why})
        joined.remarks += record.remarks
        joined.damage += record.damage

    def _episode(self, record: BagRecord, dataset: Dataset, index: int, edited: bool) -> bool:
        episode = dataset.episodes[index]
        layout = (tuple(dataset.meta["cameras"]), tuple(dataset.meta["state_names"]))
        self._layout = self._layout or layout
        name = episode["episode_id"]
        reason, detail = "", ""
        if name in self._ids:
            reason, detail = "there twice", "an episode of this id is in a bag before"
        elif layout != self._layout:
            reason = "of another layout"
            detail = "cameras or simulated state differ from the bags before; convert them apart"
        if reason:
            record.left_out.append({"episode_id": name, "reason": reason, "detail": detail})
            record.damage.append(f"{record.path}: episode {name}: left out, {reason}: {detail}")
            return False
        self._ids.add(name)
        outcome = episode["outcome"]
        if edited:
            curated = self._curator.take(episode)
            outcome = curated.outcome
            if curated.left_out:
                reason, _, detail = curated.left_out.partition(": ")
                record.left_out.append({"episode_id": name, "reason": reason, "detail": detail})
                return False
        self._writer.copy(dataset, index, {"bag": record.name, "outcome": outcome})
        joined = self.joined
        joined.report.append({**dataset.meta["report"][index], "bag": record.name})
        joined.outcomes[outcome] += 1
        joined.kinds[episode["kind"]] += 1
        joined.tasks.add(episode["task"])
        joined.cameras, joined.state_names = self._layout
        return True


def _rows_of(folder: Path, stored: Stored | None) -> Dataset:
    """The rows of a part, with its frames wherever they lie."""
    dataset = Dataset.open(folder / ROWS_FOLDER)
    if stored is None:
        return dataset
    frames: dict[str, NDArray[np.uint8]] = {
        camera: stored_rows(folder.parent / schema.frames_file(camera), stored.first, len(dataset))
        for camera in stored.cameras
    }
    return replace(dataset, frames=frames, meta={**dataset.meta, "cameras": list(stored.cameras)})
