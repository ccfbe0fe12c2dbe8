"""Imports files of the authors' tools: looked at first, all of them, then read one episode at a time."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training import images, import_hdf5, import_zarr, schema
from dexpie_training.alignment import AlignedEpisode
from dexpie_training.dataset_meta import counts_of, dataset_meta
from dexpie_training.dataset_writer import DatasetWriter
from dexpie_training.episode_account import left_out_text, rows_report
from dexpie_training.hashing import files_hash
from dexpie_training.import_data import ImportOptions, ImportReport, Progress
from dexpie_training.import_rows import (
    IMPORT_RULE,
    ImageRows,
    RowRules,
    SourceEpisode,
    kind_of,
    make_rows,
    missing,
)
from dexpie_training.import_sources import SourceFile

UNREADABLE: Final = (OSError, ValueError, RuntimeError, LookupError, TypeError)
"""What the libraries raise where stored data are damaged."""


def import_episodes(options: ImportOptions, progress: Progress | None = None) -> ImportReport:
    """Import, see ImportOptions; all or nothing."""
    sources = [_scan(path, options.source_rate_hz) for path in find_sources(options.files)]
    check_alike(options, sources)
    total = sum(source.episodes for source in sources)
    with DatasetWriter(options.out) as writer:
        work = _Import(writer, options)
        for source in sources:
            for episode in _read(source):
                work.take(source, episode)
                if progress:
                    progress(work.taken, total)
        return work.finish(sources)


def find_sources(paths: tuple[Path, ...]) -> list[Path]:
    """HDF5 files, those of folders, and Zarr datasets; UsageError where a path has none."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")
        if import_zarr.is_zarr(path) or path.suffix in import_hdf5.SUFFIXES:
            here = [path]
        else:
            files = path.iterdir() if path.is_dir() else []
            here = sorted(file for file in files if file.suffix in import_hdf5.SUFFIXES)
        if not here:
            raise UsageError(f"{path}: is no HDF5 file, no folder of them and no Zarr dataset")
        found += [file for file in here if file not in found]
    if not found:
        raise UsageError("FILES: nothing to import; give HDF5 episodes or Zarr datasets")
    return found


def check_alike(options: ImportOptions, sources: list[SourceFile]) -> None:
    """DexpieError where files differ in rate, offset or cameras; UsageError where an option does not fit."""
    first = sources[0]
    for source in sources[1:]:
        for what, here, there in (
            ("rate is [Hz]", source.rate_hz, first.rate_hz),
            ("actions are later than images by [rows]", _offset(options, source), _offset(options, first)),
            ("cameras are", ", ".join(source.cameras), ", ".join(first.cameras)),
        ):
            if here != there:
                told = f"{source.path}: {what} {here}, of {first.path} {there}"
                raise DexpieError(f"{told}; import them apart")
    if options.rate_hz is not None and not 0.0 < options.rate_hz <= first.rate_hz:
        raise UsageError(f"--rate-hz {options.rate_hz:g}: between 0 and the files' {first.rate_hz:g}")
    if options.shift_rows is not None and options.shift_rows < 0:
        raise UsageError(f"--shift-rows {options.shift_rows}: 0 or more")


def _shift(options: ImportOptions, source: SourceFile) -> int:
    return source.default_shift_rows if options.shift_rows is None else options.shift_rows


def _offset(options: ImportOptions, source: SourceFile) -> float:
    return source.recorded_offset_rows + _shift(options, source)


def _scan(path: Path, source_rate_hz: float) -> SourceFile:
    try:
        scan = import_zarr.scan if import_zarr.is_zarr(path) else import_hdf5.scan
        source = scan(path, source_rate_hz)
    except ModuleNotFoundError as error:
        raise DexpieError(f"{path}: needs the Python package {error.name}, which is not installed") from None
    except UNREADABLE as error:
        raise _damaged(str(path), error) from None
    if not (0.0 < source.rate_hz < math.inf and math.isfinite(source.recorded_offset_rows)):
        told = f"its rate is {source.rate_hz:g} Hz, its actions are {source.recorded_offset_rows:g} rows late"
        raise DexpieError(f"{path}: {told}; a positive rate and a number are wanted")
    return source


def _read(source: SourceFile) -> Iterator[SourceEpisode]:
    read = import_zarr.read if import_zarr.is_zarr(source.path) else import_hdf5.read
    try:
        yield from read(source)
    except UNREADABLE as error:
        raise _damaged(str(source.path), error) from None


def _damaged(where: str, error: Exception) -> DexpieError:
    told = str(error).splitlines()
    return DexpieError(f"{where}: is damaged ({told[0] if told else type(error).__name__})")


class _Import:
    """Accumulates what dataset.json says beside the rows."""

    def __init__(self, writer: DatasetWriter, options: ImportOptions) -> None:
        self._writer, self._options = writer, options
        self._counts = {"outcomes": Counter[str](), "kinds": Counter[str](), "skipped": Counter[str]()}
        self._names: dict[str, str] = {}
        self._reports: list[dict[str, Any]] = []
        self._left_out: list[dict[str, str]] = []
        self._remarks: dict[str, None] = {}
        self.taken = 0

    def take(self, source: SourceFile, episode: SourceEpisode) -> None:
        """Make rows of an episode and write them."""
        self.taken += 1
        self._remarks.update(dict.fromkeys(source.remarks))
        twin = self._names.setdefault(episode.episode_id, episode.where)
        if twin != episode.where:
            raise DexpieError(f"{episode.where}: episode {episode.episode_id} is in {twin} too; rename one")
        rows = make_rows(episode, _rules(self._options, source))
        if len(rows.stamp_ns) == 0:
            self._skip(source, episode, rows)
            return
        described = self._describe(source, episode)
        frames = {}
        for camera, chosen in rows.images.items():
            try:
                frames[camera] = read_images(episode.cameras[camera], chosen)
            except UNREADABLE as error:
                raise _damaged(f"{episode.where}: images of {camera}", error) from None
        self._writer.append(described, rows, frames)
        self._counts["outcomes"][described["outcome"]] += 1
        self._counts["kinds"][described["kind"]] += 1
        self._reports.append(_report(source, episode, rows, described["gaps"]))
        self._remarks.update(dict.fromkeys(described["gaps"]))
        if rows.left_out:
            self._remarks[f"{episode.where}: {left_out_text(rows)}"] = None

    def _skip(self, source: SourceFile, episode: SourceEpisode, rows: AlignedEpisode) -> None:
        why = f"without rows: {left_out_text(rows)}"
        self._counts["skipped"]["without rows"] += 1
        self._left_out.append({"episode_id": episode.episode_id, "bag": source.path.name, "why": why})
        self._remarks[f"{episode.where}: left out, {why}"] = None

    def _describe(self, source: SourceFile, episode: SourceEpisode) -> dict[str, Any]:
        kind = self._options.kind
        return {
            "episode_id": episode.episode_id,
            "bag": source.path.name,
            "task": self._options.task,
            "stage": self._options.stage,
            "kind": kind_of(episode) if kind == "auto" else kind,
            "outcome": "success" if episode.success else "failure",
            "pair": "",
            "policy": "",
            "operator": "",
            "seed": 0,
            "gaps": missing(episode),
        }

    def finish(self, sources: list[SourceFile]) -> ImportReport:
        if not self._reports:
            raise DexpieError(f"no episode to import: {'; '.join(self._remarks)}")
        rate_hz = self._options.rate_hz or sources[0].rate_hz
        rows, count = self._writer.rows, len(self._reports)
        meta = dataset_meta(
            task=self._options.task,
            rate_hz=rate_hz,
            cameras=sources[0].cameras,
            state_names=(),
            alignment=_alignment(self._options, sources[0], rate_hz),
            counts=counts_of(self._reports, rows, **self._counts),
            left_out=self._left_out,
            bags=[_described_file(source.path) for source in sources],
            reports=self._reports,
        )
        out = self._writer.finish(meta)
        return ImportReport(out, count, rows, rate_hz, tuple(self._remarks))


def _rules(options: ImportOptions, source: SourceFile) -> RowRules:
    return RowRules(_shift(options, source), _offset(options, source), options.rotation, options.rate_hz)


def _alignment(options: ImportOptions, source: SourceFile, rate_hz: float) -> dict[str, Any]:
    offset = _offset(options, source) * rate_hz / source.rate_hz
    return {
        "rule": IMPORT_RULE,
        "rate_hz": rate_hz,
        "source_rate_hz": source.rate_hz,
        "tolerance_s": 0.5 / source.rate_hz,
        "action_offset_rows": int(offset) if offset.is_integer() else offset,
        "recorded_action_offset_rows": source.recorded_offset_rows,
        "shift_rows": _shift(options, source),
        "rotation": options.rotation,
        "use_images": True,
    }


def read_images(source: ImageRows, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Resized images (n, 224, 224, 3) of these rows (n,), which ascend; read in blocks."""
    size = schema.IMAGE_SIZE_PX
    found = np.empty((len(chosen), size, size, 3), dtype=np.uint8)
    for first in range(0, int(chosen[-1]) + 1, source.block_rows):
        last = min(first + source.block_rows, int(chosen[-1]) + 1)
        inside = np.flatnonzero((chosen >= first) & (chosen < last))
        if len(inside):
            block = source.read(first, last)
            for position in inside.tolist():
                found[position] = images.resize(block[chosen[position] - first])
    return found


def _report(
    source: SourceFile, episode: SourceEpisode, rows: AlignedEpisode, gaps: list[str]
) -> dict[str, Any]:
    return {
        "episode_id": episode.episode_id,
        "bag": source.path.name,
        "reason": "",
        "gaps": gaps,
        **rows_report(rows),
    }


def _described_file(path: Path) -> dict[str, Any]:
    """Name, bytes and SHA-256 of a file, or of all files of a folder in the order of their names."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    size, sha256 = files_hash(files)
    return {"name": path.name, "path": str(path), "bytes": size, "sha256": sha256}
