"""`dexpie inspect`: what a bag, a folder of bags, a dataset or a training run holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from dexpie.episode_tables import inspected_parts, stage_table
from dexpie.episodes import RecordedEpisode, bags_in, read_bag
from dexpie.faults import tell_faults
from dexpie.latency_breakdown import latency_text
from dexpie.table import table
from dexpie_core.errors import DexpieError, UsageError

if TYPE_CHECKING:
    from dexpie_bags.summary import BagSummary


@dataclass(frozen=True)
class InspectOptions:
    """Say what a bag, a folder of bags, a dataset or a training run holds."""

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Bag folders, folders of bags, dataset folders or training run folders."""
    verify: bool = False
    """Check bags and datasets through: hashes, shapes, finite numbers, stamps, every picture."""
    pictures: Path | None = None
    """Folder for pictures of a dataset: contact_sheet.png, alignment.png, modes.png."""


@dataclass(frozen=True)
class Described:
    """What lies at a path, and what of it cannot be read, one line each."""

    text: str
    damage: tuple[str, ...] = ()


def bag_text(summary: BagSummary, episodes: Sequence[RecordedEpisode]) -> str:
    """Episodes, then topics with their rates, of one bag."""
    head = (
        f"bag {summary.path}: {summary.duration_s:.1f} s, {summary.message_count} messages, "
        f"{summary.size_bytes / 1e6:.1f} MB"
    )
    topics = table(
        ["topic", "type", "messages", "rate Hz", "period p50 ms", "jitter p99 ms", "max gap ms"],
        [(t.name, t.type, t.count, f"{t.rate_hz:.2f}", f"{1e3 * t.period_p50_s:.1f}",
          f"{1e3 * t.jitter_p99_s:.1f}", f"{1e3 * t.max_gap_s:.1f}") for t in summary.topics],
    )  # fmt: skip
    latency = latency_text(summary.path)
    parts = [head, *inspected_parts(episodes), topics, *([latency] if latency else [])]
    return "\n\n".join([*parts, *_alignment(summary.path)])


def _alignment(bag: Path) -> list[str]:
    """How well the streams of a bag's episodes fit together, where it holds what rows need."""
    from dexpie_training.inspection_tables import HEADER, alignment_of_bag

    rows, remarks = alignment_of_bag(bag)
    return [*([table(HEADER, rows)] if rows else []), *remarks]


def describe_bags(folder: Path, bags: list[Path]) -> Described:
    """The episodes of a folder of bags, and totals by stage."""
    episodes: list[RecordedEpisode] = []
    damage: list[str] = []
    for bag in bags:
        try:
            read = read_bag(bag)
        except DexpieError as error:
            damage.append(str(error))
        else:
            episodes += read.episodes
            damage += read.damage
    size = sum(file.stat().st_size for bag in bags for file in bag.rglob("*") if file.is_file())
    head = f"{len(bags)} bags in {folder}, {size / 1e6:.1f} MB"
    text = "\n\n".join([head, *inspected_parts(episodes), stage_table(episodes)])
    return Described(text, tuple(damage))


def describe(path: Path) -> Described:
    """What lies at `path`."""
    from dexpie_training.inspection import describe_dataset, describe_run, is_dataset, is_run

    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    if path.suffix == ".mcap":
        path = path.parent
    if is_dataset(path):
        from dexpie_training.inspection_tables import HEADER, alignment_of_dataset
        from dexpie_training.schema import read_meta

        rows = alignment_of_dataset(read_meta(path))
        return Described("\n\n".join([describe_dataset(path), *([table(HEADER, rows)] if rows else [])]))
    if is_run(path):
        return Described(describe_run(path))
    if (path / "metadata.yaml").is_file():
        from dexpie_bags.summary import summarise

        summary, read = summarise(path), read_bag(path)
        damage = dict.fromkeys([*summary.damage, *read.damage])
        return Described(bag_text(summary, read.episodes), tuple(damage))
    bags = bags_in(path) if path.is_dir() else []
    if bags:
        return describe_bags(path, bags)
    raise UsageError(f"{path}: is no bag, folder of bags, dataset or training run")


def verify(path: Path) -> list[str]:
    """What is wrong at `path`, one line each; UsageError where nothing there can be checked."""
    from dexpie_training.inspection import is_dataset
    from dexpie_training.verification import verify_bag, verify_dataset

    if path.suffix == ".mcap":
        path = path.parent
    if is_dataset(path):
        return verify_dataset(path)
    bags = [path] if (path / "metadata.yaml").is_file() else bags_in(path) if path.is_dir() else []
    if not bags:
        raise UsageError(f"--verify {path}: is no bag, folder of bags or dataset")
    return [line for bag in bags for line in verify_bag(bag)]


def run_inspect(options: InspectOptions) -> None:
    """Print it, a blank line between two; DexpieError where a bag is damaged or --verify finds a fault."""
    if not options.paths:
        raise UsageError(
            "PATHS: nothing to inspect; give a bag, a folder of bags, a dataset or a training run"
        )
    if options.pictures is not None:
        _check_pictures(options)
    described = [describe(path) for path in options.paths]
    print("\n\n".join(one.text for one in described))
    if options.pictures is not None:
        from dexpie_training.plots.inspection import draw_inspection

        for file in draw_inspection(options.paths[0], options.pictures):
            print(file)
    faults = [line for one in described for line in one.damage]
    if options.verify:
        faults += [line for path in options.paths for line in verify(path)]
    tell_faults(faults)
    if options.verify:
        print("\nverified: no fault found")


def _check_pictures(options: InspectOptions) -> None:
    from dexpie_training.inspection import is_dataset

    if len(options.paths) != 1 or not is_dataset(options.paths[0]):
        raise UsageError("--pictures needs one dataset; `dexpie plot strip` draws episodes of bags")
