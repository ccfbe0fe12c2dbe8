"""One bag into one part: the rows of its episodes as a small dataset, and an account of all that it held."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexpie_bags import BagReader
from dexpie_core import topics
from dexpie_core.errors import DexpieError
from dexpie_training import schema
from dexpie_training.alignment import (
    AlignedEpisode,
    AlignmentConfig,
    MissingStreamError,
    align,
    missing_text,
)
from dexpie_training.bag_episodes import BagEpisode, episodes_of
from dexpie_training.dataset_writer import DatasetWriter
from dexpie_training.episode_account import columns_of, fault_of, left_out_text, report_of, skip_reason
from dexpie_training.hashing import files_hash
from dexpie_training.npy_appender import keep_rows
from dexpie_training.parts import (
    PART_FILE,
    ROWS_FOLDER,
    BagRecord,
    Stored,
    finished,
    forget_behind,
)
from dexpie_training.pictures import Fault, fault_runs, frozen_runs, write_frames

Progress = Callable[[int], None]


@dataclass(frozen=True)
class BagTask:
    """What a worker needs to convert one bag. Bags whose SHA-256 is in `known` are not read.

    behind: so many rows of pictures are in the store already (frames/ in the folder of parts), and those of
    this bag go there, behind them, where the dataset is to have them; None: into the part.
    """

    bag: str
    parts: str
    alignment: AlignmentConfig
    remap: dict[str, str]
    settings_sha256: str
    known: frozenset[str] = frozenset()
    threads: int = 1
    behind: int | None = None


def convert_bag(task: BagTask, progress: Progress = lambda count: None) -> str:
    """Convert a bag unless its part is there or known; returns the JSON of `parts.read_part`.

    The part appears whole or not at all. Faults of the bag are in its record; raises on those of the disk.
    """
    bag = Path(task.bag)
    record = BagRecord(bag.name, str(bag), *bag_hash(bag))
    if record.sha256 in task.known:
        return json.dumps({"record": asdict(record), "folder": None, "reused": True})
    folder = Path(task.parts) / f"{record.sha256[:24]}-{task.settings_sha256[:8]}"
    found = finished(folder, task.behind)
    if found is not None:
        renamed = {**found["record"], "name": bag.name, "path": str(bag)}
        return json.dumps({**found, "record": renamed, "folder": str(folder), "reused": True})
    if task.behind is not None:
        forget_behind(folder.parent, task.behind)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        stored = _Part(task, record, partial, progress).make()
        told = {"record": asdict(record), "stored": None if stored is None else asdict(stored)}
        (partial / PART_FILE).write_text(json.dumps(told))
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return json.dumps({**told, "folder": str(folder), "reused": False})


def bag_hash(bag: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a bag's storage files."""
    return files_hash(sorted(p for p in bag.iterdir() if p.suffix in (".mcap", ".db3", ".zstd")))


@dataclass(eq=False)
class _Taken:
    """An episode whose rows are in the part."""

    start_ns: int
    columns: dict[str, Any]
    rows: AlignedEpisode
    report: dict[str, Any]


class _Part:
    """The work on one bag."""

    def __init__(self, task: BagTask, record: BagRecord, folder: Path, progress: Progress) -> None:
        self._task, self._record, self._folder, self._progress = task, record, folder, progress
        self._bag = Path(task.bag)
        self._taken: list[_Taken] = []
        self._state_names: tuple[str, ...] = ()

    def make(self) -> Stored | None:
        """Numbers first, then the pictures that their rows want; where those lie, if not in the part."""
        try:
            with BagReader(self._bag, torn=True) as reader:
                self._read_numbers(reader)
                if self._taken:
                    with DatasetWriter(self._folder / ROWS_FOLDER) as writer:
                        return self._write(reader, writer)
        except DexpieError as error:
            self._record.damage.append(str(error))
            self._record.episodes = 0
        return None

    def _read_numbers(self, reader: BagReader) -> None:
        found = False
        try:
            for episode in episodes_of(reader, self._task.remap):
                found = True
                self._state_names = self._state_names or episode.state_names
                self._take(episode)
        except DexpieError as error:  # what was read before can be used
            self._record.damage.append(str(error))
        self._record.damage[:0] = reader.damage
        if not found and not self._record.damage:
            self._left_out("", "bags without an episode", "")
            self._record.remarks.append(f"{self._bag}: no episode starts or ends in it")
        self._check_layout()

    def _check_layout(self) -> None:
        """Leave out episodes without a stream that another one of the bag has."""
        cameras = {camera for taken in self._taken for camera in taken.rows.images}
        states = {taken.rows.state is not None for taken in self._taken}
        for taken in list(self._taken):
            missing = [topics.compressed_image(c).name for c in sorted(cameras - set(taken.rows.images))]
            missing += [topics.SCENE_STATE.name] if True in states and taken.rows.state is None else []
            if missing:
                self._taken.remove(taken)
                name, reason = taken.columns["episode_id"], "without a needed stream"
                detail = missing_text(", ".join(missing), taken.start_ns)
                self._left_out(name, reason, detail)
                self._record.damage.append(f"{self._bag}: episode {name}: left out, {reason}: {detail}")

    def _left_out(self, episode_id: str, reason: str, detail: str, where: str = "") -> None:
        self._record.left_out.append({"episode_id": episode_id, "reason": reason, "detail": detail})
        if where:
            self._record.remarks.append(f"{where}: left out, {reason}{f': {detail}' if detail else ''}")

    def _damaged(self, episode: BagEpisode, reason: str, detail: str) -> None:
        self._left_out(episode.start.episode_id, reason, detail)
        self._record.damage.append(f"{episode.where}: left out, {reason}: {detail}")

    def _take(self, episode: BagEpisode) -> None:
        if episode.unreadable:
            told = [text.removeprefix(f"{self._bag}: ") for text in episode.unreadable]
            more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
            self._damaged(episode, "unreadable", told[0] + more)
            return
        reason, detail = skip_reason(episode)
        if reason:
            self._left_out(episode.start.episode_id, reason, detail, episode.where)
            return
        fault = fault_of(episode)
        if fault:
            self._damaged(episode, *fault)
            return
        try:
            rows = align(episode, self._task.alignment)
        except MissingStreamError as error:
            self._damaged(episode, "without a needed stream", _detail(episode, error))
            return
        except DexpieError as error:
            self._damaged(episode, "not finite", _detail(episode, error))
            return
        if len(rows.stamp_ns) == 0:
            detail = f"{topics.EPISODE_EVENT.name} at {episode.start_ns} ns: {left_out_text(rows)}"
            self._damaged(episode, "without rows", detail)
            return
        self._taken.append(_Taken(episode.start_ns, columns_of(episode), rows, report_of(episode, rows)))
        self._record.remarks += [f"{episode.where}: {gap}" for gap in episode.gaps]
        if rows.left_out:
            self._record.remarks.append(f"{episode.where}: {left_out_text(rows)}")

    def _write(self, reader: BagReader, writer: DatasetWriter) -> Stored | None:
        cameras, first = list(self._taken[0].rows.images), self._task.behind
        if cameras:
            folder = writer.folder if first is None else Path(self._task.parts)
            self._write_frames(reader, folder, cameras)
        for taken in self._taken:
            writer.append(taken.columns, taken.rows, {})
        self._record.episodes = len(self._taken)
        if not self._taken:
            return None
        stored = None if first is None or not cameras else Stored(tuple(cameras), first, first + writer.rows)
        meta = {
            "task": "",
            "rate_hz": self._task.alignment.rate_hz,
            "cameras": [] if stored else cameras,
            "state_names": list(self._state_names if self._taken[0].rows.state is not None else ()),
            "report": [taken.report for taken in self._taken],
        }
        writer.finish(meta, checksum=False)
        return stored

    def _write_frames(self, reader: BagReader, folder: Path, cameras: list[str]) -> None:
        wanted = {c: np.concatenate([taken.rows.images[c] for taken in self._taken]) for c in cameras}
        task, behind = self._task, self._task.behind or 0
        told = write_frames(reader, task.remap, wanted, folder, task.threads, self._progress, behind)
        keep = np.ones(len(wanted[cameras[0]]), dtype=bool)
        first, kept_episodes = 0, []
        for taken in self._taken:
            span = slice(first, first + len(taken.rows.stamp_ns))
            first = span.stop
            pictures = {c: told.pictures[c][span] for c in cameras}
            faults = [
                replace(f, row=f.row - span.start) for f in told.faults if span.start <= f.row < span.stop
            ]
            keep[span] = self._check_pictures(taken, pictures, faults)
            if keep[span].any():
                kept_episodes.append(replace(taken, rows=taken.rows.picked(keep[span])))
        if not keep.all():
            for camera in cameras:
                keep_rows(folder / schema.frames_file(camera), keep, behind)
        self._taken = kept_episodes

    def _check_pictures(
        self, taken: _Taken, pictures: dict[str, NDArray[np.int64]], faults: list[Fault]
    ) -> NDArray[np.bool_]:
        """Rows whose pictures can be used; what is wrong with the others goes to report and damage."""
        rows, where = taken.rows, f"{self._bag}: episode {taken.columns['episode_id']}"
        keep = np.ones(len(rows.stamp_ns), dtype=bool)
        runs = fault_runs(faults)
        for camera, same in pictures.items():
            frozen = frozen_runs(same, rows.stamp_ns, rows.tcp_pose[:, :3])
            runs += [(run, camera, "the camera is frozen, the arm moves") for run in frozen]
        for run, camera, why in runs:
            topic = topics.compressed_image(camera).name
            first_ns, last_ns = int(rows.stamp_ns[run][0]), int(rows.stamp_ns[run][-1])
            count = int(keep[run].sum())  # those that another camera has not cost already
            keep[run] = False
            self._record.damage.append(f"{where}: {topic} at {first_ns} ns: {why}; {count} rows left out")
            taken.report["dropped"].append(
                {"first_ns": first_ns, "last_ns": last_ns, "rows": count, "why": {topic: why}}
            )
        taken.report["rows"] = int(keep.sum())
        return keep


def _detail(episode: BagEpisode, error: DexpieError) -> str:
    return str(error).removeprefix(f"{episode.where}: ")
