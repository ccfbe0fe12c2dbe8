"""Bags that are damaged or cut off somewhere: what can be read is kept, one line says what cannot."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapReader
from synthetic_bags import PERIOD_NS, START_NS, BagMaker, Recipe, write_bag

from dexpie import cli
from dexpie_bags import BagReader, typestore
from dexpie_core import topics
from dexpie_core.errors import DexpieError
from dexpie_training.convert import ConvertOptions, ConvertReport, run_convert
from dexpie_training.dataset import Dataset

NAMES = ("a", "b", "c")
TICKS, LONG = 6, 60


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


@dataclass(frozen=True)
class Chunk:
    """A chunk of an MCAP file: times of its first and last message, place and length of its records."""

    first_ns: int
    last_ns: int
    offset: int
    length: int


def chunks_of(bag: Path) -> list[Chunk]:
    reader = McapReader(storage_file(bag))
    reader.open()
    found = [
        Chunk(c.message_start_time, c.message_end_time, c.chunk_start_offset + 9 + 40, c.compressed_size)
        for c in reader.chunks
    ]
    reader.close()
    return found


def flip(bag: Path, at: int) -> None:
    data = bytearray(storage_file(bag).read_bytes())
    data[at] ^= 0xFF
    storage_file(bag).write_bytes(data)


def without_crc(bag: Path) -> None:
    data = bytearray(storage_file(bag).read_bytes())
    for chunk in chunks_of(bag):
        data[chunk.offset - 16 : chunk.offset - 12] = bytes(4)
    storage_file(bag).write_bytes(data)


def damaged_line(bag: Path, chunk: Chunk, why: str) -> str:
    reach = f"at {chunk.first_ns} ns: nothing up to {chunk.last_ns} ns can be read"
    return f"{bag}: all topics {reach}: bag.mcap is damaged: {why}"


def long_and_short(path: Path) -> BagMaker:
    maker = BagMaker(path)
    maker.episode(Recipe(ticks=LONG, images=True), "long")
    maker.episode(Recipe(ticks=TICKS, seed=1, images=True), "short")
    return maker


def test_a_flipped_byte_costs_the_rows_of_its_chunk(tmp_path: Path) -> None:
    bag = long_and_short(tmp_path / "bag").write()
    sound = Dataset.open(run_convert(ConvertOptions((bag,), tmp_path / "sound")).out)
    chunk = chunks_of(bag)[2]
    flip(bag, chunk.offset + chunk.length // 2)
    report = run_convert(ConvertOptions((bag,), tmp_path / "out", jobs=1))
    assert report.damage == (damaged_line(bag, chunk, "the CRC of a chunk is wrong"),)
    dataset = Dataset.open(tmp_path / "out")
    begun_ns = START_NS + np.arange(LONG) * PERIOD_NS
    lost = [(ns >= chunk.first_ns) & (ns <= chunk.last_ns) for ns in (begun_ns, begun_ns + 3_000_000)]
    kept = np.r_[np.flatnonzero(~(lost[0] | lost[1])), LONG : LONG + TICKS]
    assert 10 < LONG + TICKS - len(kept) < 16  # a chunk is half a second
    np.testing.assert_array_equal(dataset.stamp_ns, sound.stamp_ns[kept])
    np.testing.assert_array_equal(dataset.action, sound.action[kept])
    for camera, frames in dataset.frames.items():
        np.testing.assert_array_equal(frames, sound.frames[camera][kept])
    assert dataset.episodes[0]["gaps"] == ["recording: " + report.damage[0].removeprefix(f"{bag}: ")]
    assert dataset.episodes[1]["gaps"] == []
    assert not any("can be read" in remark for remark in report.remarks)  # it is told once


def test_without_crcs_a_flipped_byte_of_a_picture_goes_unnoticed(tmp_path: Path) -> None:
    """Negative: it is the CRC that finds it."""
    bag = long_and_short(tmp_path / "bag").write()
    without_crc(bag)
    chunk = chunks_of(bag)[2]
    flip(bag, chunk.offset + chunk.length // 2)
    report, dataset = converted(bag)
    assert report.damage == () and len(dataset) == LONG + TICKS


def test_the_start_and_end_in_a_lost_chunk_cost_their_episodes(tmp_path: Path) -> None:
    maker = BagMaker(tmp_path / "bag")
    for seed, name in enumerate("abcd"):  # a chunk ends with the start of the next episode
        maker.episode(Recipe(ticks=TICKS, seed=seed), name)
    bag = maker.write()
    without_crc(bag)
    chunk = chunks_of(bag)[1]
    flip(bag, chunk.offset + 7)  # the length of its first record
    report, dataset = converted(bag)
    assert report.damage == (damaged_line(bag, chunk, "a record reaches beyond its chunk"),)
    assert [e["episode_id"] for e in dataset.episodes] == ["a", "d"]
    assert report.skipped == {"without an end": 1, "without a start": 1}
    assert sum("it lies in what cannot be read" in remark for remark in report.remarks) == 2


def test_an_index_that_is_damaged_costs_nothing(whole: Dataset, tmp_path: Path) -> None:
    bag = session(tmp_path / "bag").write()
    flip(bag, storage_file(bag).stat().st_size - 30)  # in the footer
    report, dataset = converted(bag)
    assert_first_episodes(dataset, whole, NAMES)
    (told,) = report.damage
    assert f"at {int(whole.stamp_ns[-1]) + 7_000_000} ns: nothing behind it can be read: bag.mcap is" in told


def renamed(bag: Path, first: int) -> Path:
    """The hand's topic gets another name from the given one of its mentions on."""
    file, name = storage_file(bag), topics.HAND_STATE.name.encode()
    parts = file.read_bytes().split(name)
    other = name[:-1] + b"x"
    head, tail = name.join(parts[: first + 1]), other.join(parts[first + 1 :])
    file.write_bytes(head + other + tail if tail or first + 1 < len(parts) else head)
    return bag


def test_a_topic_that_the_index_lacks_is_found_in_the_data(whole: Dataset, tmp_path: Path) -> None:
    bag = renamed(session(tmp_path / "bag").write(), first=1)  # the first mention is in the first chunk
    report, dataset = converted(bag)
    assert_first_episodes(dataset, whole, NAMES)
    (told,) = report.damage
    assert told.endswith("bag.mcap is cut off or damaged: its index lacks /hand/state")


def test_messages_that_are_nowhere_are_counted(tmp_path: Path) -> None:
    bag = session(tmp_path / "bag").write()
    without_crc(bag)
    renamed(bag, first=0)
    with pytest.raises(DexpieError, match="no episode to convert") as caught:
        run_convert(ConvertOptions((bag,), tmp_path / "out", jobs=1))
    assert f"/hand/state at {START_NS - 1_000_000} ns: 18 of 18 messages are not in its files" in str(
        caught.value
    )


def test_a_file_that_is_cut_off_may_be_damaged_before_too(tmp_path: Path) -> None:
    bag = long_and_short(tmp_path / "bag").write()
    chunk = chunks_of(bag)[1]
    flip(bag, chunk.offset + chunk.length // 2)
    data = storage_file(bag).read_bytes()
    storage_file(bag).write_bytes(data[:-1000])
    report, dataset = converted(bag)
    assert [e["episode_id"] for e in dataset.episodes] == ["long", "short"]
    assert len(report.damage) == 2 and report.damage[0].startswith(damaged_line(bag, chunk, ""))
    assert "bag.mcap is cut off or damaged" in report.damage[1]


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
    line = r"all topics at \d{19} ns: nothing behind it can be read: bag\.\w+ is cut off or damaged: \S.*"
    assert re.fullmatch(f"{bag}: {line}", told)
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


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    return cut(session(tmp_path / "torn").write(), 0.6)


def test_inspect_shows_what_is_there(torn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (torn, torn.parent):
        assert cli.run(["inspect", str(path)]) == 1
        told = capsys.readouterr()
        assert re.search(r"\na +bottle +initial +0 +- +demonstration +success ", told.out)
        line = (
            f"dexpie: {torn}: all topics at \\d+ ns: nothing behind it can be read: torn.mcap is cut off.*\n"
        )
        assert re.fullmatch(line, told.err)


def test_inspect_of_a_folder_shows_the_bags_that_can_be_read(
    torn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bag(torn.parent / "sound", Recipe(ticks=TICKS))
    broken = write_bag(torn.parent / "broken", Recipe(ticks=TICKS))
    storage_file(broken).write_bytes(b"")
    assert cli.run(["inspect", str(torn.parent)]) == 1
    told = capsys.readouterr()
    assert "3 bags in" in told.out and "\nsound " in told.out
    assert told.err.startswith("dexpie: 2 faults were found (above), the first: ")


def test_curation_shows_what_is_there(torn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["curate", "show", str(torn)]) == 1
    told = capsys.readouterr()
    assert re.search(r"\na +initial +demonstration +success", told.out)
    assert told.err.startswith(f"dexpie: {torn}: all topics at ") and told.err.count("\n") == 1
    assert cli.run(["curate", "drop", str(torn), "a"]) == 0
    assert f"damaged: {torn}: all topics at " in capsys.readouterr().out


def test_a_strip_is_drawn_of_what_is_there(
    torn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "strip.png"
    assert cli.run(["plot", "strip", str(torn), "--out", str(out), "--frames", "2"]) == 1
    assert out.is_file()
    assert f"{out} shows what can be read; {torn}: all topics at " in capsys.readouterr().err
