"""`dexpie convert`: episode bags to a dataset folder."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray

from dexpie_core import topics
from dexpie_core.errors import DexpieError
from dexpie_training import images, schema
from dexpie_training.alignment import (
    ALIGNMENT_RULE,
    AlignedEpisode,
    AlignmentConfig,
    MissingStreamError,
    align,
)
from dexpie_training.bag_episodes import BagEpisode, find_bags, read_episodes
from dexpie_training.dataset_writer import DatasetWriter

DECODE_THREADS = 2


@dataclass(frozen=True)
class ConvertOptions:
    """Make a dataset of episode bags."""

    bags: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """rosbag2 folders, or folders that hold them"""
    out: Path
    """dataset folder to be made; must not exist"""
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    """how rows are made of streams"""


@dataclass(frozen=True)
class ConvertReport:
    """What a conversion did."""

    out: Path
    bags: int
    episodes: int
    rows: int
    left_out_rows: int
    skipped: dict[str, int]
    remarks: tuple[str, ...]
    """what each episode lacks and which were left out, one sentence each"""
    size_bytes: int
    elapsed_s: float

    def __str__(self) -> str:
        skipped = ", ".join(f"{n} {why}" for why, n in sorted(self.skipped.items())) or "none"
        return (
            f"{self.out}: {self.episodes} episodes, {self.rows} rows from {self.bags} bags in "
            f"{self.elapsed_s:.1f} s ({self.size_bytes / 1e6 / max(self.elapsed_s, 1e-9):.0f} MB/s); "
            f"rows left out: {self.left_out_rows}; episodes skipped: {skipped}"
            + "".join(f"\n  {remark}" for remark in self.remarks)
        )


Progress = Callable[[int, int, int], None]  # bags done, bags in all, bytes read so far


def run_convert(options: ConvertOptions, progress: Progress | None = None) -> ConvertReport:
    """Convert, all or nothing; raises UsageError or DexpieError."""
    began = time.monotonic()
    with DatasetWriter(options.out) as writer:
        work = _Conversion(writer, options.alignment)
        bags = find_bags(options.bags)
        for done, bag in enumerate(bags):
            work.take(bag)
            if progress:
                progress(done + 1, len(bags), work.bytes)
        return work.finish(options, began)


class _Conversion:
    """Accumulates what dataset.json says beside the rows."""

    def __init__(self, writer: DatasetWriter, alignment: AlignmentConfig) -> None:
        self._writer, self._alignment = writer, alignment
        self._layout: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self._outcomes: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._tasks: set[str] = set()
        self._ids: set[str] = set()
        self._reports: list[dict[str, Any]] = []
        self._bags: list[dict[str, Any]] = []
        self._left_out: list[dict[str, str]] = []
        self._remarks: list[str] = []
        self.skipped: Counter[str] = Counter()
        self.bytes = 0

    def take(self, bag: Path) -> None:
        """Read one bag into the dataset."""
        found = 0
        for episode in read_episodes(bag):
            found += 1
            reason, detail = _skip_reason(episode)
            if reason:
                self._skip(episode, reason, detail)
            else:
                self._add(episode)
        if not found:
            self.skipped["bags without an episode"] += 1
            self._remarks.append(f"{bag}: no episode starts or ends in it")
        size, digest = _bag_hash(bag)
        self.bytes += size
        self._bags.append({"name": bag.name, "path": str(bag), "bytes": size, "sha256": digest})

    def _skip(self, episode: BagEpisode, reason: str, detail: str = "") -> None:
        self.skipped[reason] += 1
        why = f"{reason}: {detail}" if detail else reason
        self._left_out.append({"episode_id": episode.start.episode_id, "bag": episode.bag.name, "why": why})
        self._remarks.append(f"{episode.where}: left out, {why}")

    def _add(self, episode: BagEpisode) -> None:
        start, end = episode.start, episode.end
        assert end is not None
        if start.episode_id in self._ids:
            raise DexpieError(
                f"{episode.where}: this episode is already in the dataset, is the bag given twice?"
            )
        try:
            rows = align(episode, self._alignment)
        except MissingStreamError as error:
            self._skip(episode, "without a needed stream", str(error).removeprefix(f"{episode.where}: "))
            return
        if len(rows.stamp_ns) == 0:
            self._skip(episode, "without rows", _left_out_text(rows))
            return
        self._ids.add(start.episode_id)
        self._check_layout(episode, rows)
        self._writer.append(
            {
                "episode_id": start.episode_id,
                "bag": episode.bag.name,
                "task": start.task,
                "stage": start.stage,
                "kind": start.kind,
                "outcome": end.outcome,
                "pair": start.pair_id,
                "policy": start.policy_id,
                "operator": start.operator_name,
                "seed": int(start.seed),
                "gaps": list(episode.gaps),
            },
            rows,
            {camera: _decode(episode, camera, chosen) for camera, chosen in rows.images.items()},
        )
        self._outcomes[end.outcome] += 1
        self._kinds[start.kind] += 1
        self._tasks.add(start.task)
        self._reports.append(_episode_report(episode, rows))
        self._remarks += [f"{episode.where}: {gap}" for gap in episode.gaps]
        if rows.left_out:
            self._remarks.append(f"{episode.where}: {_left_out_text(rows)}")

    def _check_layout(self, episode: BagEpisode, rows: AlignedEpisode) -> None:
        layout = (tuple(rows.images), episode.state_names if rows.state is not None else ())
        if self._layout is None:
            self._layout = layout
        if layout != self._layout:
            raise DexpieError(
                f"{episode.where}: cameras or simulated state differ from the bags before; convert them apart"
            )

    def finish(self, options: ConvertOptions, began: float) -> ConvertReport:
        if not self._reports:
            raise DexpieError(
                f"no episode to convert in {', '.join(map(str, options.bags))}: {'; '.join(self._remarks)}"
            )
        cameras, state_names = self._layout or ((), ())
        left_out = sum(report["anchors"] - report["rows"] for report in self._reports)
        meta = {
            "task": "+".join(sorted(self._tasks)),
            "rate_hz": self._alignment.rate_hz,
            "cameras": list(cameras),
            "image_size_px": schema.IMAGE_SIZE_PX,
            "state_names": list(state_names),
            "alignment": {"rule": ALIGNMENT_RULE, **asdict(self._alignment)},
            "counts": {
                "episodes": len(self._reports),
                "rows": self._writer.rows,
                "rows_left_out": left_out,
                "outcomes": dict(self._outcomes),
                "kinds": dict(self._kinds),
                "skipped": dict(self.skipped),
                "episodes_with_gaps": sum(bool(report["gaps"]) for report in self._reports),
            },
            "episodes_left_out": self._left_out,
            "bags": self._bags,
            "report": self._reports,
        }
        rows = self._writer.rows
        out = self._writer.finish(meta)
        elapsed = time.monotonic() - began
        return ConvertReport(
            out,
            len(self._bags),
            len(self._reports),
            rows,
            left_out,
            dict(self.skipped),
            tuple(self._remarks),
            self.bytes,
            elapsed,
        )


def _skip_reason(episode: BagEpisode) -> tuple[str, str]:
    """Why an episode is left out and the detail; empty where it is taken."""
    if not episode.started:
        return "without a start", "the recording began after it"
    if episode.end is None:
        return "without an end", "the recording ends before it"
    return ("discarded", episode.end.reason) if episode.end.outcome == "discard" else ("", "")


def _left_out_text(rows: AlignedEpisode) -> str:
    streams = ", ".join(f"{topic} {count}" for topic, count in sorted(rows.left_out.items()))
    return f"{rows.anchors - len(rows.stamp_ns)} of {rows.anchors} rows left out ({streams or 'no anchors'})"


def _episode_report(episode: BagEpisode, rows: AlignedEpisode) -> dict[str, Any]:
    return {
        "episode_id": episode.start.episode_id,
        "bag": episode.bag.name,
        "anchors": rows.anchors,
        "rows": len(rows.stamp_ns),
        "left_out": rows.left_out,
        "gaps": list(episode.gaps),
        "worst_error_ms": {topic: round(1e3 * error, 3) for topic, error in rows.worst_error_s.items()},
    }


def _decode(episode: BagEpisode, camera: str, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Resized images of the chosen messages, (n, 224, 224, 3); OpenCV decodes outside the GIL."""
    stream = episode.streams[topics.compressed_image(camera).name]

    def one(index: int) -> NDArray[np.uint8]:
        try:
            return images.resize(images.decode_jpeg(stream.rows[index]))
        except ValueError as error:
            raise DexpieError(
                f"{episode.where}: camera {camera} at {stream.stamps_ns[index]} ns: {error}"
            ) from None

    with ThreadPoolExecutor(DECODE_THREADS) as pool:
        return np.stack(list(pool.map(one, chosen.tolist())))


def _bag_hash(bag: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a bag's storage files."""
    digest, size = hashlib.sha256(), 0
    for file in sorted(p for p in bag.iterdir() if p.suffix in (".mcap", ".db3", ".zstd")):
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
        size += file.stat().st_size
    return size, digest.hexdigest()
