"""Bags that are damaged or cut off somewhere: the episodes before it are kept, one line says where it is."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapReader
from synthetic_bags import BagMaker, Recipe

from dexpie_bags import BagReader, typestore
from dexpie_core import topics
from dexpie_core.errors import DexpieError
from dexpie_training.convert import ConvertOptions, ConvertReport, run_convert
from dexpie_training.dataset import Dataset

NAMES = ("a", "b", "c")
TICKS = 6


def session(path: Path) -> BagMaker:
    maker = BagMaker(path)
    for seed, name in enumerate(NAMES):
        maker.episode(Recipe(ticks=TICKS, seed=seed, images=True), name)
    return maker


def storage_file(bag: Path) -> Path:
    (file,) = [*bag.glob("*.mcap"), *bag.glob("*.db3")]
    return file


def sqlite_bag(path: Path) -> Path:
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connections = {}
        for stamp_ns, spec, cdr in sorted(session(path)._log, key=lambda entry: entry[0]):
            if spec.name not in connections:
                connections[spec.name] = writer.add_connection(spec.name, spec.type, typestore=typestore())
            writer.write(connections[spec.name], stamp_ns, cdr)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("whole")
    return Dataset.open(run_convert(ConvertOptions((session(folder / "bag").write(),), folder / "out")).out)


def converted(bag: Path) -> tuple[ConvertReport, Dataset]:
    out = bag.parent / "out"
    report = run_convert(ConvertOptions((bag,), out, jobs=1))
    assert sorted(p.name for p in bag.parent.iterdir()) == [bag.name, "out"]
    return report, Dataset.open(out)


def assert_first_episodes(dataset: Dataset, whole: Dataset, names: tuple[str, ...]) -> None:
    assert tuple(e["episode_id"] for e in dataset.episodes) == names
    rows = len(dataset)
    assert rows == TICKS * len(names)
    np.testing.assert_array_equal(dataset.action, whole.action[:rows])
    for camera, frames in dataset.frames.items():
        np.testing.assert_array_equal(frames, whole.frames[camera][:rows])


def spoil_chunk(bag: Path, position: int) -> int:
    """Turn over one byte, in the length of a chunk's first record; when the chunk before it ends, ns."""
    reader = McapReader(storage_file(bag))
    reader.open()
    before, chunk = reader.chunks[position - 1 : position + 1]
    reader.close()
    data = bytearray(storage_file(bag).read_bytes())
    data[chunk.chunk_start_offset + 9 + 40 + len(chunk.compression) + 7] ^= 0xFF
    storage_file(bag).write_bytes(data)
    return before.message_end_time


def test_a_chunk_that_is_damaged_costs_what_comes_after_it(whole: Dataset, tmp_path: Path) -> None:
    bag = session(tmp_path / "bag").write()
    last_ns = spoil_chunk(bag, 1)
    report, dataset = converted(bag)
    assert_first_episodes(dataset, whole, ("a",))
    (told,) = report.damage
    assert re.fullmatch(rf"{bag}: damaged after {last_ns} ns: \S.*", told)
    assert report.skipped == {"without an end": 1}


def cut(bag: Path, share: float) -> Path:
    file = storage_file(bag)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    return bag


@pytest.mark.parametrize(
    "make_bag", [lambda path: session(path).write(), sqlite_bag], ids=["mcap", "sqlite3"]
)
def test_a_file_that_is_cut_off_gives_the_episodes_before(
    make_bag: Callable[[Path], Path], whole: Dataset, tmp_path: Path
) -> None:
    bag = cut(make_bag(tmp_path / "bag"), 0.6)
    report, dataset = converted(bag)
    assert_first_episodes(dataset, whole, ("a",))
    (told,) = report.damage
    assert re.fullmatch(rf"{bag}: bag\.\w+ is cut off: \S.*; nothing after \d{{19}} ns was read", told)
    with pytest.raises(DexpieError, match="is not a readable rosbag2 folder"):
        BagReader(bag)


def test_a_message_that_does_not_decode_costs_its_episode(whole: Dataset, tmp_path: Path) -> None:
    maker = session(tmp_path / "bag")
    at = max(i for i, (_, spec, _) in enumerate(maker._log) if spec.name == topics.HAND_STATE.name)
    stamp_ns, spec, cdr = maker._log[at]
    maker._log[at] = (stamp_ns, spec, cdr[:30])
    report, dataset = converted(maker.write())
    assert_first_episodes(dataset, whole, ("a", "b"))
    (told,) = report.damage
    expected = (
        f"{maker.path}: episode c: left out, unreadable: {spec.name} at {stamp_ns} ns: a message is no "
    )
    assert told.startswith(expected)


def test_a_picture_message_that_does_not_decode_costs_its_row(whole: Dataset, tmp_path: Path) -> None:
    maker = session(tmp_path / "bag")
    wrist = topics.compressed_image("wrist")
    at = [i for i, (_, spec, _) in enumerate(maker._log) if spec.name == wrist.name][TICKS + 2]
    stamp_ns, spec, cdr = maker._log[at]
    maker._log[at] = (stamp_ns, spec, cdr[:40])
    report, dataset = converted(maker.write())
    kept = np.delete(np.arange(3 * TICKS), TICKS + 2)
    np.testing.assert_array_equal(dataset.frames["front"], whole.frames["front"][kept])
    np.testing.assert_array_equal(dataset.frames["wrist"], whole.frames["wrist"][kept])
    (told,) = report.damage
    assert told.startswith(f"{maker.path}: episode b: {wrist.name} at {stamp_ns} ns: a message is no ")
