"""Episodes in simulated time, run again with cameras: same policy, start and seed give the same motion."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dexpie.episodes import RecordedEpisode, episodes_of
from dexpie.lockstep import LockstepOptions, run_units
from dexpie_core import messages, topics
from dexpie_core.collection import PlannedEpisode, Unit


@dataclass(frozen=True)
class Replay:
    """Bags with images by the identity of the episode; missing: why there are none of others."""

    bags: dict[str, Path]
    missing: dict[str, str]


def replay(
    episodes: Sequence[RecordedEpisode], policy: Path, folder: Path, limit_s: float | None = None
) -> Replay:
    """Run them again, with cameras, into `folder`; what it holds already is not run again.

    They are of one collection with corrections, in one range of positions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [e for e in episodes if not _is_same(folder / e.bag.name, e.bag)]
    for episode in missing:
        shutil.rmtree(folder / episode.bag.name, ignore_errors=True)
    waiting = iter([Unit(_planned(e), correct=False) for e in missing])
    if missing:
        options = LockstepOptions(
            missing[0].task, str(policy), str(folder), images=True, positions=missing[0].positions,
            judged=True, limit_s=limit_s,
        )  # fmt: skip
        for _ in run_units(options, lambda: next(waiting, None)):
            pass
    same = [e for e in episodes if _is_same(folder / e.bag.name, e.bag)]
    return Replay(
        {e.episode_id: folder / e.bag.name for e in same},
        {e.episode_id: "run again, it came out otherwise" for e in episodes if e not in same},
    )


def _planned(episode: RecordedEpisode) -> PlannedEpisode:
    """The same episode; the operator of a correction knows how long the attempt went on."""
    attempt = episode.bag.parent / episode.pair_id
    failed = episodes_of(attempt) if episode.pair_id and attempt.is_dir() else []
    failed_after_s = sum(e.duration_s for e in failed if e.episode_id == episode.pair_id)
    return PlannedEpisode(episode.stage, episode.seed, episode.pair_id, failed_after_s)


def _is_same(again: Path, bag: Path) -> bool:
    """Whether the second bag is there and tells the same as the first, but for the pictures."""
    if not (again / "metadata.yaml").is_file():
        return False
    told = [
        [(e.outcome, e.reason, e.steps, e.human_steps) for e in episodes_of(path, steps=True)]
        for path in (again, bag)
    ]
    return told[0] == told[1]


def pictures_at(bag: Path, camera: str, times_s: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The camera's pictures (n, 224, 224, 3) nearest to times (n,), s since the first executed action."""
    from dexpie_bags import BagReader
    from dexpie_training.images import from_jpeg

    topic = topics.compressed_image(camera).name
    stamps_ns: list[int] = []
    jpegs: list[NDArray[np.uint8]] = []
    begin_ns: int | None = None
    with BagReader(bag) as reader:
        for record in reader.messages((topic, topics.EXECUTED_ACTION.name)):
            stamp_ns = messages.stamp_ns(record.message)
            if record.topic != topic:
                begin_ns = stamp_ns if begin_ns is None else begin_ns
                continue
            stamps_ns.append(stamp_ns)
            jpegs.append(record.message.data)
    times = (np.array(stamps_ns, dtype=np.int64) - (begin_ns or 0)) * 1e-9
    nearest = [int(np.argmin(np.abs(times - time_s))) for time_s in times_s]
    return np.stack([from_jpeg(jpegs[i]).pixels for i in nearest])
