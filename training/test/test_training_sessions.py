"""A session recorded by a plain all-topics recorder gives the rows of the per-episode bags."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from synthetic_bags import PERIOD_NS, START_NS, BagMaker, Recipe

from dexpie_bags import EpisodeBagWriter, deserialize, make, serialize, typestore
from dexpie_core import messages, topics
from dexpie_core.episode import EpisodeEnd, EpisodeStart
from dexpie_core.errors import DexpieError, UsageError
from dexpie_core.topics import TopicSpec
from dexpie_training.bag_episodes import find_bags, read_episodes
from dexpie_training.convert import ConvertOptions, ConvertReport, run_convert

Log = list[tuple[int, TopicSpec, bytes]]  # recorded at, topic, CDR
EVENT = topics.EPISODE_EVENT


def event_stamps(log: Log) -> list[tuple[int, int]]:
    """(start, end) of each episode."""
    stamps = [ns for ns, spec, _ in log if spec is EVENT]
    return list(zip(stamps[::2], stamps[1::2], strict=True))


def session(*names: str, ticks: int = 12) -> Log:
    """The messages of a session: episodes with images, and what the topics carry between them."""
    maker = BagMaker(Path("unused"))
    log: Log = []
    for seed, name in enumerate(names):
        first_ns = maker.episode(Recipe(ticks=ticks, seed=seed, images=True), name)
        for tick in (-2, -1, ticks, ticks + 1, ticks + 2):
            maker._tick(Recipe(seed=9, images=True), 5, first_ns + tick * PERIOD_NS + 17_000_000)
    log = sorted(maker._log, key=lambda entry: entry[0])
    return [(ns + delay_ns(spec, i), spec, cdr) for i, (ns, spec, cdr) in enumerate(log)]


def delay_ns(spec: TopicSpec, index: int) -> int:
    """Pictures come late, events at once."""
    return 0 if spec is EVENT else (60_000_000 if "camera" in spec.name else 1_000_000 * (index % 7))


def plain_bag(
    path: Path,
    log: Log,
    storage: StoragePlugin = StoragePlugin.MCAP,
    mode: CompressionMode = CompressionMode.STORAGE,
) -> Path:
    """All topics in one bag as `ros2 bag record -a` lays it out, with the latched ones once at the start."""
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    old = EpisodeEnd("success")
    before = EpisodeStart("before", "bottle")
    latched = [
        (topics.MODE, make(topics.MODE.type, header=messages.header(make, START_NS - 10**10))),
        (EVENT, messages.episode_end(make, before, old, START_NS - 9 * 10**9)),
    ]
    first_ns = min(ns for ns, _, _ in log) - 100_000_000
    whole = [(first_ns, spec, serialize(message)) for spec, message in latched] + sorted(
        log, key=lambda entry: entry[0]
    )
    with writer:
        connections = {}
        for stamp_ns, spec, cdr in whole:
            if spec.name not in connections:
                connections[spec.name] = writer.add_connection(spec.name, spec.type, typestore=typestore())
            writer.write(connections[spec.name], stamp_ns, cdr)
    return path


def episode_bags(folder: Path, log: Log) -> Path:
    """The same messages as the recorder writes them, a bag an episode: from START until all have arrived."""
    for number, (start_ns, end_ns) in enumerate(event_stamps(log)):
        writer = EpisodeBagWriter(folder / f"bag{number}", min_free_bytes=0)
        for stamp_ns, spec, cdr in sorted(log, key=lambda entry: entry[0]):
            if start_ns <= stamp_ns <= end_ns + 100_000_000:
                if spec.name not in writer.topics:
                    writer.add_topic(spec)
                writer.write(spec.name, stamp_ns, cdr)
        writer.finish()
    return folder


def converted(tmp_path: Path, name: str, bags: Path) -> tuple[Path, ConvertReport]:
    out = tmp_path / f"dataset_{name}"
    return out, run_convert(ConvertOptions(bags=(bags,), out=out))


def assert_same_rows(one: Path, other: Path) -> None:
    steps = [pq.read_table(out / "steps.parquet") for out in (one, other)]
    assert steps[0].equals(steps[1])
    assert steps[0].num_rows > 0
    files = ["steps.parquet", "features/state.npy", "frames/front.npy", "frames/wrist.npy"]
    assert [(one / f).read_bytes() == (other / f).read_bytes() for f in files] == [True] * 4
    tables = [pq.read_table(out / "episodes.parquet").drop(["bag"]) for out in (one, other)]
    assert tables[0].equals(tables[1])


def test_a_session_gives_the_rows_of_the_episode_bags(tmp_path: Path) -> None:
    log = session("a", "b")
    expected, report = converted(tmp_path, "episodes", episode_bags(tmp_path / "bags", log))
    assert (report.episodes, report.skipped, report.remarks) == (2, {}, ())
    kinds = {
        "zstd_chunks": (StoragePlugin.MCAP, CompressionMode.STORAGE),
        "zstd_messages": (StoragePlugin.MCAP, CompressionMode.MESSAGE),
        "zstd_file": (StoragePlugin.MCAP, CompressionMode.FILE),
        "sqlite3": (StoragePlugin.SQLITE3, CompressionMode.NONE),
    }
    for name, kind in kinds.items():
        out, report = converted(tmp_path, name, plain_bag(tmp_path / name, log, *kind))
        assert (report.episodes, report.skipped, report.remarks) == (2, {}, ())
        assert report.size_bytes > 0
        assert_same_rows(expected, out)
    rows = pq.read_table(expected / "steps.parquet")["stamp_ns"].to_numpy()
    spans = event_stamps(log)
    assert all(any(start <= ns <= end for start, end in spans) for ns in rows)


def test_neighbours_do_not_leak(tmp_path: Path) -> None:
    """Negative: the idle ticks beside an episode carry another ball; a margin around it would take them."""
    log = session("a", "b")
    for episode, (start_ns, end_ns) in zip(
        read_episodes(plain_bag(tmp_path / "s", log)), event_stamps(log), strict=True
    ):
        for topic, stream in episode.streams.items():
            stamps = stream.stamps()
            assert len(stamps) == 12, topic
            assert start_ns <= stamps.min() <= stamps.max() <= end_ns
    beside = [ns for ns, spec, _ in log if spec is topics.JOINT_STATES and ns < event_stamps(log)[0][0]]
    assert len(beside) == 2


def without(log: Log, *indices: int) -> Log:
    """The session without some of its events."""
    events = [i for i, (_, spec, _) in enumerate(log) if spec is EVENT]
    dropped = {events[index] for index in indices}
    return [entry for i, entry in enumerate(log) if i not in dropped]


def begins_at(log: Log, first_ns: int) -> Log:
    """What a recorder started within an episode gets: its START, latched, and what comes then."""
    start = next(entry for entry in log if entry[1] is EVENT)
    return [(first_ns, *start[1:]), *(entry for entry in log if entry[0] > first_ns)]


CUTS: list[tuple[str, Callable[[Log], Log], dict[str, int], str]] = [
    ("end lost", lambda log: without(log, 1), {"without an end": 1}, "a: left out, without an end"),
    ("start lost", lambda log: without(log, 2), {"without a start": 1}, "b: left out, without a start"),
    ("cut off", lambda log: without(log, 5), {"without an end": 1}, "c: left out, without an end"),
    ("both lost", lambda log: without(log, 2, 3), {}, ""),
]


@pytest.mark.parametrize(("name", "cut", "skipped", "remark"), CUTS, ids=[c[0] for c in CUTS])
def test_lost_events_cost_one_episode(
    tmp_path: Path, name: str, cut: Callable[[Log], Log], skipped: dict[str, int], remark: str
) -> None:
    _, report = converted(tmp_path, "s", plain_bag(tmp_path / "s", cut(session("a", "b", "c"))))
    assert (report.episodes, report.rows, report.skipped) == (2, 24, skipped)
    assert remark in "\n".join(report.remarks)
    assert len(report.remarks) == len(skipped)


def test_a_recording_that_begins_within_an_episode_says_so(tmp_path: Path) -> None:
    log = session("a", ticks=30)
    start_ns = event_stamps(log)[0][0]
    bag = plain_bag(tmp_path / "s", begins_at(log, start_ns + 600_000_000))
    out, report = converted(tmp_path, "s", bag)
    (episode,) = pq.read_table(out / "episodes.parquet").to_pylist()
    assert episode["gaps"] == ["recording: begins 0.6 s after the episode"]
    assert episode["length"] == len(pq.read_table(out / "steps.parquet")) < 16
    assert "episode a: recording: begins 0.6 s after the episode" in str(report)


def test_gaps_of_the_end_event_reach_the_dataset(tmp_path: Path) -> None:
    log = session("a", "b")
    index = max(i for i, (_, spec, _) in enumerate(log) if spec is EVENT)
    end = deserialize(log[index][2], EVENT.type)
    end.gaps = ["/camera/front/color/compressed: 3 messages missing"]
    log[index] = (log[index][0], EVENT, serialize(end))
    out, report = converted(tmp_path, "s", plain_bag(tmp_path / "s", log))
    gaps = pq.read_table(out / "episodes.parquet")["gaps"].to_pylist()
    assert gaps == [[], ["/camera/front/color/compressed: 3 messages missing"]]
    assert "episode b: /camera/front/color/compressed: 3 messages missing" in str(report)


def test_messages_of_a_set_clock_are_counted(tmp_path: Path) -> None:
    """The clock is set back by an hour in the episode: rows end there, and the report says why."""
    hour_ns = 3600 * 10**9
    log = session("a")
    step_ns = event_stamps(log)[0][0] + 6 * PERIOD_NS
    for i, (ns, spec, cdr) in enumerate(log):
        if spec is topics.JOINT_STATES and ns > step_ns:
            message = copy.copy(deserialize(cdr, spec.type))
            message.header = make("std_msgs/Header", stamp=_stamp(messages.stamp_ns(message) - hour_ns))
            log[i] = (ns, spec, serialize(message))
    _, report = converted(tmp_path, "s", plain_bag(tmp_path / "s", log))
    assert any("/arm/joint_states: 6 messages stamped outside" in r for r in report.remarks), report.remarks
    assert report.rows == 6


def _stamp(ns: int) -> dict[str, int]:
    sec, nanosec = divmod(ns, 10**9)
    return {"sec": sec, "nanosec": nanosec}


def test_an_episode_without_a_stream_costs_only_itself(tmp_path: Path) -> None:
    log = session("a", "b")
    start_ns, end_ns = event_stamps(log)[0]
    kept = [e for e in log if e[1] is not topics.HAND_STATE or not start_ns <= e[0] <= end_ns + 10**8]
    _, report = converted(tmp_path, "s", plain_bag(tmp_path / "s", kept))
    assert (report.episodes, report.skipped) == (1, {"without a needed stream": 1})
    lacks = f"/hand/state at {start_ns} ns: has no messages"
    assert f"episode a: left out, without a needed stream: {lacks}" in str(report)


def raw_instead(log: Log) -> Log:
    """The session as a recorder of raw pictures has it: the same pixels as the JPEG pictures give."""
    changed: Log = []
    for ns, spec, cdr in log:
        camera = next((c for c in topics.CAMERAS if spec.name == topics.compressed_image(c).name), "")
        if camera:
            jpeg = deserialize(cdr, spec.type)
            pixels = cv2.imdecode(jpeg.data, cv2.IMREAD_COLOR_RGB)
            spec = topics.raw_image(camera)
            message = messages.raw_image(make, pixels.tobytes(), 640, 480, camera, messages.stamp_ns(jpeg))
            cdr = serialize(message)
        changed.append((ns, spec, cdr))
    return changed


def test_raw_images_give_the_frames_of_compressed_ones(tmp_path: Path) -> None:
    log = session("a", "b", ticks=6)
    expected, _ = converted(tmp_path, "jpeg", plain_bag(tmp_path / "jpeg", log))
    out, report = converted(tmp_path, "raw", plain_bag(tmp_path / "raw", raw_instead(log)))
    assert (report.episodes, report.damage) == (2, ())
    assert_same_rows(expected, out)


def test_topics_of_other_names_are_mapped(tmp_path: Path) -> None:
    log = session("a", ticks=6)
    expected, _ = converted(tmp_path, "ours", plain_bag(tmp_path / "ours", log))
    names = {topics.TCP_POSE.name: "/ur5/pose", topics.compressed_image("front").name: "/cam0/jpeg"}
    theirs = [(ns, replace(spec, name=names.get(spec.name, spec.name)), cdr) for ns, spec, cdr in log]
    bag = plain_bag(tmp_path / "theirs", theirs)
    remap = tuple(f"{ours}:={recorded}" for ours, recorded in names.items())
    out = run_convert(ConvertOptions((bag,), tmp_path / "dataset_theirs", remap=remap)).out
    assert_same_rows(expected, out)
    for wrong, why in (("/arm/pose:=/x", "is not one of"), ("/arm/tcp_pose", "write it as")):
        with pytest.raises(UsageError, match=why):
            run_convert(ConvertOptions((bag,), tmp_path / "no", remap=(wrong,)))
    with pytest.raises(DexpieError, match="topic /none is missing, though --remap names it"):
        run_convert(ConvertOptions((bag,), tmp_path / "no", remap=("/arm/tcp_pose:=/none",)))
    with pytest.raises(DexpieError, match=r"topic /ur5/pose is geometry_msgs/msg/PoseStamped, .* is needed"):
        run_convert(ConvertOptions((bag,), tmp_path / "no", remap=("/arm/joint_states:=/ur5/pose",)))


def test_trash_is_not_read_and_a_cut_off_plain_bag_says_what_to_do(tmp_path: Path) -> None:
    bags = episode_bags(tmp_path / "bags", session("a", "b"))
    (bags / ".trash").mkdir()
    (bags / "bag0").rename(bags / ".trash" / "bag0")
    assert find_bags([bags]) == [bags / "bag1"]
    (bags / "bag1" / "metadata.yaml").unlink()
    with pytest.raises(DexpieError, match="needs `ros2 bag reindex`"):
        find_bags([bags / "bag1"])


def test_stamps_are_unique_rows(tmp_path: Path) -> None:
    """An episode whose START is sent twice is one episode."""
    log = session("a")
    start = next(entry for entry in log if entry[1] is EVENT)
    out, report = converted(tmp_path, "s", plain_bag(tmp_path / "s", [start, *log]))
    assert report.episodes == 1
    stamps = pq.read_table(out / "steps.parquet")["stamp_ns"].to_numpy()
    assert np.all(np.diff(stamps) > 0)
