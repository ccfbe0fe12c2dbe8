"""Broken bags: one line that names bag, topic and time; the rest converts; nothing is half-written."""

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_bags import PERIOD_NS, START_NS, BagMaker, Recipe, write_bag

from dexpie_bags import deserialize, make, serialize
from dexpie_core import topics
from dexpie_core.errors import DexpieError
from dexpie_training.alignment import AlignmentConfig
from dexpie_training.bag_episodes import read_episodes
from dexpie_training.convert import ConvertOptions, ConvertReport, run_convert
from dexpie_training.convert_bag import BagTask, convert_bag
from dexpie_training.dataset import Dataset
from dexpie_training.parts import read_part
from dexpie_training.pictures import frozen_runs

FRONT = topics.compressed_image("front")
EVENT = topics.EPISODE_EVENT
Log = list[tuple[int, topics.TopicSpec, bytes]]


def edited(path: Path, edit: Callable[[Log], Log], ticks: int = 20) -> Path:
    """A bag of episodes x (damaged by `edit`) and whole."""
    maker = BagMaker(path)
    maker.episode(Recipe(ticks=ticks, images=True), "x")
    first_log, maker._log = edit(maker._log), []
    maker.episode(Recipe(ticks=6, images=True, seed=1), "whole")
    maker._log = first_log + maker._log
    return maker.write()


def changed(log: Log, spec: topics.TopicSpec, number: int, change: Callable[[object], object]) -> Log:
    """The log with one message of a topic replaced."""
    at = [i for i, (_, s, _) in enumerate(log) if s.name == spec.name][number]
    ns, s, cdr = log[at]
    return [*log[:at], (ns, s, serialize(change(copy.copy(deserialize(cdr, s.type))))), *log[at + 1 :]]


def with_field(**fields: object) -> Callable[[object], object]:
    def change(message: object) -> object:
        for name, value in fields.items():
            setattr(message, name, value)
        return message

    return change


def nan_pose(message: object) -> object:
    pose = copy.deepcopy(message.pose)  # type: ignore[attr-defined]
    pose.position.x = float("nan")
    return with_field(pose=pose)(message)


def stamp_earlier(message: object) -> object:
    stamp = make("builtin_interfaces/Time", sec=START_NS // 10**9, nanosec=10_000_000)
    return with_field(header=make("std_msgs/Header", stamp=stamp))(message)


def without(log: Log, spec: topics.TopicSpec) -> Log:
    return [entry for entry in log if entry[1].name != spec.name]


def small_jpeg(message: object) -> object:
    import cv2

    data = cv2.imencode(".jpg", np.zeros((24, 32, 3), np.uint8))[1].reshape(-1)
    return with_field(data=data)(message)


def of_no_length(log: Log) -> Log:
    events = [i for i, (_, s, _) in enumerate(log) if s.name == EVENT.name]
    start, end = (deserialize(log[i][2], EVENT.type) for i in events)
    end.header = start.header
    return [*log[: events[1]], (log[events[1]][0], EVENT, serialize(end)), *log[events[1] + 1 :]]


def overlapped(log: Log) -> Log:
    """Episode y begins before x ends; only y's start is there, and then its end."""
    other = BagMaker(Path("unused"))
    other._now_ns = START_NS + 10 * PERIOD_NS
    other.episode(Recipe(ticks=30, images=True, seed=3), "y")
    return log + other._log


def frozen(log: Log) -> Log:
    pictures = [cdr for _, s, cdr in log if s.name == FRONT.name]
    first = deserialize(pictures[2], FRONT.type).data
    for number in range(3, 20):
        log = changed(log, FRONT, number, with_field(data=first))
    return log


AT_5, AT_10 = START_NS + 5 * PERIOD_NS, START_NS + 10 * PERIOD_NS
CASES: dict[str, tuple[Callable[[Log], Log], str]] = {
    "NaN pose": (
        lambda log: changed(log, topics.TCP_POSE, 5, nan_pose),
        rf"/arm/tcp_pose at {AT_5} ns is not finite",
    ),
    "missing topic": (
        lambda log: without(log, topics.HAND_STATE),
        rf"/hand/state at {START_NS - 1_000_000} ns: has no messages",
    ),
    "stamps back": (
        lambda log: changed(log, topics.JOINT_STATES, 5, stamp_earlier),
        rf"/arm/joint_states at {AT_5 - PERIOD_NS} ns: stamps go back by 150.0 ms",
    ),
    "no length": (of_no_length, rf"of no length: /episode/event at {START_NS - 1_000_000} ns: it ends"),
    "overlapping": (
        overlapped,
        rf"overlapping: /episode/event at {AT_10 - 1_000_000} ns: episode y starts before its end",
    ),
    "0-byte JPEG": (
        lambda log: changed(log, FRONT, 5, with_field(data=np.zeros(0, np.uint8))),
        rf"{FRONT.name} at {AT_5 + 3_000_000} ns: 0 bytes are not a JPEG image; 1 rows left out",
    ),
    "no JPEG": (
        lambda log: changed(log, FRONT, 5, with_field(data=np.full(99, 7, np.uint8))),
        rf"{FRONT.name} at {AT_5 + 3_000_000} ns: 99 bytes are not a JPEG image",
    ),
    "wrong size": (
        lambda log: changed(log, FRONT, 5, small_jpeg),
        rf"{FRONT.name} at {AT_5 + 3_000_000} ns: 32 x 24 pixels, others 640 x 480",
    ),
    "frozen camera": (
        frozen,
        rf"{FRONT.name} at {START_NS + 3 * PERIOD_NS + 3_000_000} ns: the camera is frozen",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_damage_is_named_and_the_rest_converts(name: str, tmp_path: Path) -> None:
    edit, line = CASES[name]
    bag = edited(tmp_path / "bag", edit)
    report = run_convert(ConvertOptions((bag,), tmp_path / "dataset", jobs=1))
    assert len(report.damage) == 1, report
    (told,) = report.damage
    assert told.startswith(f"{bag}: episode x: ") and "\n" not in told
    assert re.search(line, told), told
    dataset = Dataset.open(tmp_path / "dataset")
    assert "whole" in [e["episode_id"] for e in dataset.episodes]
    assert len(dataset.frames["front"]) == len(dataset)
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["bag", "dataset"]


def of_two_cut_off(path: Path) -> Path:
    maker = BagMaker(path)
    for name in ("whole", "x"):
        maker.episode(Recipe(ticks=20, images=True), name)
    bag = maker.write()
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: int(0.8 * file.stat().st_size)])
    return bag


NAMED: dict[str, str] = {
    "truncated MCAP": "all topics",
    "missing topic": topics.HAND_STATE.name,
    "NaN pose": topics.TCP_POSE.name,
    "stamps back": topics.JOINT_STATES.name,
    "frozen camera": FRONT.name,
    "no length": EVENT.name,
    "overlapping": EVENT.name,
    "0-byte JPEG": FRONT.name,
    "wrong size": FRONT.name,
}


@pytest.mark.parametrize("name", NAMED)
def test_one_line_names_bag_topic_and_time(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bag"
    bag = edited(path, CASES[name][0]) if name in CASES else of_two_cut_off(path)
    (told,) = run_convert(ConvertOptions((bag,), tmp_path / "dataset", jobs=1)).damage
    found = re.fullmatch(rf"{bag}: (?:episode x: )?.*?(all topics|/[\w/]+) at (\d+) ns\b.*", told)
    assert found and found[1] == NAMED[name], told
    assert START_NS - 1_000_000 <= int(found[2]) <= START_NS + 5 * 10**9
    assert "whole" in [e["episode_id"] for e in Dataset.open(tmp_path / "dataset").episodes]


def test_rows_around_a_bad_picture_keep_their_own(tmp_path: Path) -> None:
    bag = edited(tmp_path / "bag", CASES["0-byte JPEG"][0])
    run_convert(ConvertOptions((bag,), tmp_path / "dataset", jobs=1))
    dataset = Dataset.open(tmp_path / "dataset")
    ticks = np.r_[0:5, 6:20]
    assert dataset.lengths.tolist() == [19, 6]
    np.testing.assert_allclose(dataset.frames["front"][:19, 9, 9, 0], 8 * ticks, atol=2)
    np.testing.assert_allclose(dataset.arm_q[:19, 0], 0.01 * ticks, atol=1e-12)
    (dropped,) = dataset.meta["report"][0]["dropped"]
    assert dropped["rows"] == 1 and list(dropped["why"]) == [FRONT.name]


def test_rows_without_pictures_of_both_cameras_count_once(tmp_path: Path) -> None:
    def edit(log: Log) -> Log:
        for camera, numbers in (("front", (5, 6, 7)), ("wrist", (7, 8))):
            for number in numbers:
                spec = topics.compressed_image(camera)
                log = changed(log, spec, number, with_field(data=np.zeros(0, np.uint8)))
        return log

    bag = edited(tmp_path / "bag", edit)
    report = run_convert(ConvertOptions((bag,), tmp_path / "dataset", jobs=1))
    assert len(report.damage) == 2 and "3 rows left out" in report.damage[0]
    (told, _) = Dataset.open(tmp_path / "dataset").meta["report"]
    assert (told["anchors"], told["rows"]) == (20, 16)
    assert sum(run["rows"] for run in told["dropped"]) == 4


def test_an_episode_without_the_camera_of_another_is_left_out(tmp_path: Path) -> None:
    maker = BagMaker(tmp_path / "bag")
    maker.episode(Recipe(ticks=6), "blind")
    maker.episode(Recipe(ticks=6, images=True), "seeing")
    report = run_convert(ConvertOptions((maker.write(),), tmp_path / "dataset", jobs=1))
    assert report.episodes == 1
    assert "episode blind: left out, without a needed stream: /camera/front" in report.damage[0]


def test_a_still_scene_is_no_frozen_camera() -> None:
    stamps = np.arange(50) * PERIOD_NS
    still, moving = np.zeros((50, 3)), np.linspace([0, 0, 0], [0.1, 0, 0], 50)
    same, other = np.zeros(50, np.int64), np.arange(50)
    assert list(frozen_runs(same, stamps, still)) == []
    assert list(frozen_runs(other, stamps, moving)) == []
    assert list(frozen_runs(same, stamps, moving)) == [slice(1, 50)]
    assert list(frozen_runs(np.r_[other[:10], np.full(8, 99), other[18:]], stamps, moving)) == []


def three(tmp_path: Path, spoil: Callable[[Path], None]) -> ConvertReport:
    """The conversion of three bags, the second of which is spoilt on disk."""
    bags = [write_bag(tmp_path / f"bag{i}", Recipe(ticks=6, seed=i, images=True)) for i in range(3)]
    spoil(bags[1])
    return run_convert(ConvertOptions(tuple(bags), tmp_path / "dataset", jobs=1))


def truncate(bag: Path) -> None:
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


SPOILT: dict[str, Callable[[Path], object]] = {
    "truncated": truncate,
    "empty file": lambda bag: next(bag.glob("*.mcap")).write_bytes(b""),
    "no file": lambda bag: next(bag.glob("*.mcap")).unlink(),
    "no YAML": lambda bag: (bag / "metadata.yaml").write_text("{]"),
    "empty YAML": lambda bag: (bag / "metadata.yaml").write_text(""),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_bag_that_cannot_be_read_costs_only_itself(name: str, tmp_path: Path) -> None:
    report = three(tmp_path, SPOILT[name])  # type: ignore[arg-type]
    assert (report.bags, report.episodes, len(report.damage)) == (3, 2, 1)
    assert report.damage[0].startswith(str(tmp_path / "bag1")) and "\n" not in report.damage[0]


def test_an_episode_in_two_bags_is_taken_once(tmp_path: Path) -> None:
    bags = [write_bag(tmp_path / f"bag{i}", Recipe(ticks=6, seed=i), "same") for i in range(2)]
    report = run_convert(ConvertOptions(tuple(bags), tmp_path / "dataset", jobs=1))
    assert report.episodes == 1
    assert report.damage[0].startswith(f"{bags[1]}: episode same: left out, there twice")


def test_bags_of_another_layout_are_left_out(tmp_path: Path) -> None:
    bags = [write_bag(tmp_path / f"bag{i}", Recipe(ticks=6, images=i == 0)) for i in range(2)]
    report = run_convert(ConvertOptions(tuple(bags), tmp_path / "dataset", jobs=1))
    assert report.episodes == 1 and "cameras or simulated state differ" in report.damage[0]


@pytest.fixture(scope="module")
def small_bag(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    bag = write_bag(tmp_path_factory.mktemp("fuzz") / "bag", Recipe(ticks=3, images=True))
    (file,) = bag.glob("*.mcap")
    return file.read_bytes()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_fuzzed_bags_end_in_one_line_or_in_rows(
    small_bag: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    """Random bytes overwritten: the reader gives episodes or a DexpieError of one line, nothing else."""
    spoilt = bytearray(small_bag)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(spoilt) - 1))
        spoilt[at : at + 4] = data.draw(st.binary(min_size=1, max_size=4))
    bag = tmp_path / "bag"
    if not bag.exists():
        write_bag(bag, Recipe(ticks=3, images=True))
    next(bag.glob("*.mcap")).write_bytes(spoilt)
    try:
        for episode in read_episodes(bag):
            assert episode.start.episode_id is not None
    except DexpieError as error:
        assert "\n" not in str(error) and str(bag) in str(error)
    task = BagTask(str(bag), str(tmp_path / "parts"), AlignmentConfig(), {}, "0" * 64)
    part = read_part(convert_bag(replace(task, settings_sha256=str(data.draw(st.integers(10**8, 10**9))))))
    assert part.record.episodes or part.record.damage or part.record.left_out
