"""`dexpie convert`: bags to a dataset. One bag is one task and makes one part; parts are joined in order."""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import cv2
import tyro

from dexpie_bags.durable import lock_folder
from dexpie_core.errors import DexpieError, UsageError
from dexpie_training import schema
from dexpie_training.alignment import ALIGNMENT_RULE, ERROR_BIN_MS, AlignmentConfig
from dexpie_training.bag_episodes import find_bags
from dexpie_training.convert_bag import BagTask
from dexpie_training.curation_join import Curator
from dexpie_training.curation_log import find_edits
from dexpie_training.dataset_meta import counts_of, dataset_meta, rows_left_out
from dexpie_training.dataset_writer import DatasetWriter, restore_replaced
from dexpie_training.engines import EngineName, run_tasks
from dexpie_training.images import IMAGE_RULE
from dexpie_training.joining import Joined, KnownPart, join, known_parts
from dexpie_training.parts import Part, read_part
from dexpie_training.recorded_topics import parse_remap


@dataclass(frozen=True)
class ConvertOptions:
    """Make a dataset of episode bags, or add bags to one: those that it holds are not read again."""

    bags: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """rosbag2 folders, or folders that hold them"""
    out: Path
    """dataset folder to be made; one that was made with the same settings is added to"""
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    """how rows are made of streams"""
    remap: tuple[str, ...] = ()
    """recorded topics of other names, as /ours:=/recorded"""
    edits: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """file of edits to apply, see `dexpie curate`; without it edits.jsonl beside the bags"""
    part: str = ""
    """only the episodes of this part, see `dexpie curate split`; without it all"""
    jobs: int = 0
    """bags that are worked on at a time; 0: as many as there are cores"""
    engine: EngineName = "processes"
    """what works on them: processes of this machine, or a Ray or Dask cluster that sees the same folders"""
    engine_address: str = ""
    """address of a running cluster; without it a local one is started"""


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
    damage: tuple[str, ...] = ()
    """what is broken in the bags: bag, topic and time, one line each"""
    known_bags: int = 0
    """bags that were not read: the dataset held them, or an interrupted conversion had done them"""

    def __str__(self) -> str:
        skipped = ", ".join(f"{n} {why}" for why, n in sorted(self.skipped.items())) or "none"
        known = f", {self.known_bags} of them not read again" if self.known_bags else ""
        return (
            f"{self.out}: {self.episodes} episodes, {self.rows} rows from {self.bags} bags{known} in "
            f"{self.elapsed_s:.1f} s ({self.size_bytes / 1e6 / max(self.elapsed_s, 1e-9):.0f} MB/s); "
            f"rows left out: {self.left_out_rows}; episodes skipped: {skipped}"
            + "".join(f"\n  {remark}" for remark in self.remarks)
            + "".join(f"\n  damaged: {line}" for line in self.damage)
        )


@dataclass(frozen=True)
class ConvertProgress:
    """How far a conversion is."""

    bags: int
    all_bags: int
    bytes: int
    all_bytes: int


Progress = Callable[[ConvertProgress], None]


def run_convert(options: ConvertOptions, progress: Progress | None = None) -> ConvertReport:
    """Convert, all or nothing; raises UsageError or DexpieError.

    Damaged bags and episodes are left out and told in the report; finished parts of a conversion that was cut
    short lie in `.<out>.parts` and are taken up again.
    """
    try:
        return _convert(options, progress)
    except OSError as error:
        raise DexpieError(f"--out {options.out}: {error}; the same command goes on from here") from error


def _convert(options: ConvertOptions, progress: Progress | None) -> ConvertReport:
    began = time.monotonic()
    settings = _settings(options.alignment, parse_remap(options.remap))
    restore_replaced(options.out)
    old = known_parts(options.out, settings)
    bags = find_bags(options.bags)
    curator = _curator(options, old)
    known = frozenset(s for s, part in old.items() if not curator.wants_again(part.record.left_out))
    with _parts_folder(options.out) as folder:
        parts = _convert_all(options, _tasks(options, bags, folder.resolve(), settings, known), progress)
        with DatasetWriter(options.out, replaces=bool(old), store=folder.resolve()) as writer:
            joined = join(parts, old, writer, curator)
            if not joined.report:
                shutil.rmtree(folder, ignore_errors=True)
                told = "; ".join(joined.remarks + joined.damage)
                raise DexpieError(f"no episode to convert in {', '.join(map(str, options.bags))}: {told}")
            rows = writer.rows
            if old:
                joined.remarks += _carry_over(options.out, writer.folder)
            meta = _meta(joined, options.alignment, settings, rows)
            writer.finish({**meta, **curator.describe()})
        shutil.rmtree(folder, ignore_errors=True)
    read = [part for part in parts if not part.reused]
    return ConvertReport(
        options.out,
        len(joined.bags),
        len(joined.report),
        rows,
        rows_left_out(joined.report),
        joined.skipped,
        tuple(joined.remarks),
        sum(part.record.bytes for part in read),
        time.monotonic() - began,
        tuple(joined.damage),
        len(parts) - len(read),
    )


def _tasks(
    options: ConvertOptions, bags: list[Path], folder: Path, settings: dict[str, Any], known: frozenset[str]
) -> list[BagTask]:
    threads = max(1, _jobs(options) // max(1, len(bags))) if options.engine == "processes" else 1
    common = (str(folder), options.alignment, settings["remap"], settings["sha256"], known, threads)
    return [BagTask(str(bag.resolve()), *common) for bag in bags]


def _jobs(options: ConvertOptions) -> int:
    return options.jobs or os.cpu_count() or 1


def _curator(options: ConvertOptions, old: dict[str, KnownPart]) -> Curator:
    before = next(iter(old.values())).dataset.meta.get("curation", {}) if old else {}
    return Curator(tuple(find_edits(options.bags, options.edits)), options.part, before)


def _settings(alignment: AlignmentConfig, remap: dict[str, str]) -> dict[str, Any]:
    """What rows depend on besides the bags, with a SHA-256 over it."""
    what = {
        "version": schema.VERSION,
        "image_size_px": schema.IMAGE_SIZE_PX,
        "image_rule": IMAGE_RULE,
        "alignment": {"rule": ALIGNMENT_RULE, **asdict(alignment)},
        "remap": remap,
    }
    return {**what, "sha256": hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()}


@contextlib.contextmanager
def _parts_folder(out: Path) -> Iterator[Path]:
    """`.<out>.parts` beside the dataset, locked; UsageError where another conversion works on it."""
    folder = out.parent / f".{out.name}.parts"
    folder.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(folder)
    if lock is None:
        raise UsageError(f"--out {out}: another conversion is at work on it")
    try:
        for leftover in folder.glob(".*.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for frames in folder.glob(schema.frames_file("*")):
            if frames.stat().st_nlink > 1:  # a dataset has them too, and must not change with them
                frames.unlink()
        yield folder
    finally:
        os.close(lock)
        with contextlib.suppress(OSError):  # parts that are kept for the next time
            folder.rmdir()


def _convert_all(options: ConvertOptions, tasks: list[BagTask], progress: Progress | None) -> list[Part]:
    """Parts in the order of the tasks."""
    cv2.setNumThreads(1)
    sizes = [sum(f.stat().st_size for f in Path(task.bag).iterdir()) for task in tasks]
    answers: dict[int, Part] = {}
    under_way = 0

    def tell() -> None:
        done = sum(sizes[position] for position in answers)
        if progress:
            progress(
                ConvertProgress(len(answers), len(tasks), min(sum(sizes), max(done, under_way)), sum(sizes))
            )

    def tick(count: int) -> None:
        nonlocal under_way
        under_way += count
        tell()

    for position, answer in run_tasks(options.engine, tasks, _jobs(options), options.engine_address, tick):
        answers[position] = read_part(answer)
        tell()
    return [answers[position] for position in range(len(tasks))]


def _carry_over(old: Path, new: Path) -> list[str]:
    """Keep what people have added to the old dataset; say which computed things have to be made anew."""
    computed = {Path(schema.STATE_FEATURES).parent.name, schema.LABELS_FOLDER}
    ours = {schema.META_FILE, schema.EPISODES_FILE, schema.STEPS_FILE, schema.FRAMES_FOLDER}
    for entry in old.iterdir():
        if entry.name not in computed | ours:
            (shutil.copytree if entry.is_dir() else shutil.copy2)(entry, new / entry.name)
    stale = [f for name in sorted(computed) for f in sorted((old / name).glob("*.json"))]
    return [f"{file}: was of the dataset before, make it again" for file in stale]


def _meta(joined: Joined, alignment: AlignmentConfig, settings: dict[str, Any], rows: int) -> dict[str, Any]:
    meta = dataset_meta(
        task="+".join(sorted(joined.tasks)),
        rate_hz=alignment.rate_hz,
        cameras=joined.cameras,
        state_names=joined.state_names,
        alignment=settings["alignment"],
        counts=counts_of(joined.report, rows, joined.outcomes, joined.kinds, joined.skipped),
        left_out=joined.left_out,
        bags=[asdict(record) for record in joined.bags],
        reports=joined.report,
    )
    settings_of_it = {"remap": settings["remap"], "settings_sha256": settings["sha256"]}
    return {**meta, **settings_of_it, "error_bin_ms": ERROR_BIN_MS}
