"""Bags are read back by rosbags and by mcap's ROS 2 reader, survive a kill, and are never overwritten."""

import os
import shutil
import signal
import subprocess
import sys
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.records import Chunk
from mcap.stream_reader import StreamReader
from mcap_ros2.reader import read_ros2_messages
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader

from dexpie_bags import (
    BagReader,
    EpisodeBagWriter,
    deserialize,
    make,
    recover_partials,
    serialize,
    summarise,
)
from dexpie_bags.appender import Appender
from dexpie_bags.writer import DiskFullError
from dexpie_core.errors import DexpieError

PERIOD_NS = 40_000_000
START_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Topic:
    """The part of dexpie_core.topics.TopicSpec that the writer reads."""

    name: str
    type: str
    qos: str


ACTION = Topic("/executor/action", "dexpie_msgs/msg/ExecutedAction", "default")
EVENT = Topic("/episode/event", "dexpie_msgs/msg/EpisodeEvent", "latched")
IMAGE = Topic("/camera/front/color/compressed", "sensor_msgs/msg/CompressedImage", "sensor")


def header(stamp_ns: int) -> dict[str, Any]:
    sec, nanosec = divmod(stamp_ns, 10**9)
    return {"stamp": {"sec": sec, "nanosec": nanosec}, "frame_id": "base"}


def action(tick: int, stamp_ns: int) -> bytes:
    return serialize(
        make(
            ACTION.type,
            header=header(stamp_ns),
            tick=tick,
            mode=1,
            pose={"position": {"x": 0.25, "y": tick}, "orientation": {"w": 1}},
            hand=np.linspace(0, 1, 6),
        )
    )


def event(code: int, **fields: Any) -> bytes:
    return serialize(
        make(EVENT.type, header=header(START_NS), event=code, episode_id="e1", task="bottle", **fields)
    )


def write_episode(folder: Path, ticks: int = 50) -> Path:
    writer = EpisodeBagWriter(folder)
    for topic in (ACTION, EVENT, IMAGE):
        writer.add_topic(topic)
    writer.write(EVENT.name, START_NS, event(0, seed=7, stage="initial", kind="demonstration"))
    for tick in range(ticks):
        stamp_ns = START_NS + tick * PERIOD_NS
        writer.write(ACTION.name, stamp_ns + 1_000_000, action(tick, stamp_ns))
        jpeg = bytes(range(256)) * 40
        writer.write(IMAGE.name, stamp_ns, serialize(make(IMAGE.type, header=header(stamp_ns), data=jpeg)))
    writer.write(EVENT.name, START_NS + ticks * PERIOD_NS, event(1, seed=7, outcome="success"))
    return writer.finish()


def test_make_fills_defaults_and_names_the_wrong_field() -> None:
    message = make("sensor_msgs/JointState", position=[1, 2, 3], name=["a", "b", "c"])
    assert message.position.dtype == np.float64
    assert message.header.stamp.sec == 0
    back = deserialize(serialize(message), "sensor_msgs/msg/JointState")
    assert back.name == ["a", "b", "c"]
    assert back.position.tolist() == [1.0, 2.0, 3.0]
    nested = make("dexpie_msgs/ActionChunk", poses=[make("geometry_msgs/Pose"), {"position": {"x": 2}}])
    assert deserialize(serialize(nested), "dexpie_msgs/ActionChunk").poses[1].position.x == 2.0
    with pytest.raises(DexpieError, match="no field 'positon'"):
        make("sensor_msgs/JointState", positon=[1])
    with pytest.raises(DexpieError, match=r"HandCommand\.position: needs 6 elements, got 5"):
        make("dexpie_msgs/HandCommand", position=np.zeros(5))
    with pytest.raises(DexpieError, match="Nothing is not known"):
        make("dexpie_msgs/Nothing")


def test_round_trip_by_rosbags_and_by_mcap(tmp_path: Path) -> None:
    bag = write_episode(tmp_path / "e1")
    assert [p.name for p in tmp_path.iterdir()] == ["e1"]
    assert sorted(p.name for p in bag.iterdir()) == ["e1.mcap", "metadata.yaml"]
    with BagReader(bag) as reader:
        actions = list(reader.messages([ACTION.name]))
        assert [m.message.tick for m in actions] == list(range(50))
        assert actions[3].message.pose.position.y == 3.0
        assert actions[3].stamp_ns == START_NS + 3 * PERIOD_NS + 1_000_000
        assert len(list(reader.messages())) == reader.message_count == 102
        assert list(reader.messages(["/nothing"])) == []
    by_mcap = Counter(m.channel.topic for m in read_ros2_messages(str(bag / "e1.mcap")))
    assert by_mcap == {ACTION.name: 50, IMAGE.name: 50, EVENT.name: 2}
    first = next(iter(read_ros2_messages(str(bag / "e1.mcap"), topics=[ACTION.name])))
    assert first.ros_msg.hand[1] == pytest.approx(0.2)
    with Reader(bag) as raw:
        qos = {c.topic: c.ext.offered_qos_profiles[0] for c in raw.connections}  # type: ignore[union-attr]
    assert qos[EVENT.name].durability is QosDurability.TRANSIENT_LOCAL
    assert qos[ACTION.name].durability is QosDurability.VOLATILE


def test_summary(tmp_path: Path) -> None:
    summary = summarise(write_episode(tmp_path / "e1"))
    action_topic = next(t for t in summary.topics if t.name == ACTION.name)
    assert action_topic.count == 50
    assert action_topic.clock == "header"
    assert action_topic.rate_hz == pytest.approx(25.0)
    assert action_topic.max_gap_s == pytest.approx(0.04)
    assert action_topic.jitter_p99_s == pytest.approx(0.0, abs=1e-9)
    assert summary.duration_s == pytest.approx(2.0)
    (episode,) = summary.episodes
    assert (episode.episode_id, episode.outcome, episode.seed) == ("e1", "success", 7)
    assert episode.duration_s == pytest.approx(2.0)


def test_every_chunk_has_its_crc(tmp_path: Path) -> None:
    (file,) = write_episode(tmp_path / "e1").glob("*.mcap")
    with file.open("rb") as stream:
        chunks = [r for r in StreamReader(stream, emit_chunks=True).records if isinstance(r, Chunk)]
    assert len(chunks) > 2
    assert [chunk.uncompressed_crc for chunk in chunks] == [zlib.crc32(chunk.data) for chunk in chunks]


def test_what_waits_in_memory_can_be_amended(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"ab")
    appender = Appender(file)
    appender.write(b"cdef")
    appender.amend(3, b"XY")
    with pytest.raises(ValueError, match="not there yet"):
        appender.amend(5, b"XY")
    appender.flush()
    with pytest.raises(ValueError, match="written already"):
        appender.amend(3, b"Z")
    appender.close()
    assert file.read_bytes() == b"abcXYf"


def test_existing_target_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "e1").mkdir()
    with pytest.raises(DexpieError, match="exists already"):
        EpisodeBagWriter(tmp_path / "e1")
    assert list((tmp_path / "e1").iterdir()) == []


def test_discard_leaves_nothing(tmp_path: Path) -> None:
    writer = EpisodeBagWriter(tmp_path / "e1")
    writer.add_topic(ACTION)
    writer.write(ACTION.name, START_NS, action(0, START_NS))
    writer.discard()
    assert list(tmp_path.iterdir()) == []
    with EpisodeBagWriter(tmp_path / "e2") as abandoned:
        abandoned.add_topic(ACTION)
    assert list(tmp_path.iterdir()) == []


def test_no_room_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match="MiB free"):
        EpisodeBagWriter(tmp_path / "e1", min_free_bytes=2**62)
    assert list(tmp_path.iterdir()) == []


def test_unknown_topic_is_refused(tmp_path: Path) -> None:
    with EpisodeBagWriter(tmp_path / "e1") as writer, pytest.raises(DexpieError, match="/x was not added"):
        writer.write("/x", START_NS, b"")


def test_not_a_bag(tmp_path: Path) -> None:
    with pytest.raises(DexpieError, match="not a readable rosbag2 folder"):
        BagReader(tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_bags import ACTION, EVENT, PERIOD_NS, START_NS, EpisodeBagWriter, action, event
writer = EpisodeBagWriter(Path(sys.argv[1]))
writer.add_topic(ACTION)
writer.add_topic(EVENT)
writer.write(EVENT.name, START_NS, event(0, seed=7, stage="initial", kind="rollout"))
for tick in range(250):
    writer.write(ACTION.name, START_NS + tick * PERIOD_NS, action(tick, START_NS + tick * PERIOD_NS))
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_recording(folder: Path) -> Path:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder / "e1"), str(Path(__file__).parent)],
        check=False, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    return folder / ".e1.partial"


def test_killed_recorder_is_recovered_up_to_the_last_second(tmp_path: Path) -> None:
    partial = killed_recording(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [partial.name]
    (recovered,) = recover_partials(tmp_path)
    assert recovered.bag == tmp_path / "e1"
    assert [p.name for p in tmp_path.iterdir()] == ["e1"]
    with BagReader(tmp_path / "e1") as reader:
        ticks = [m.message.tick for m in reader.messages([ACTION.name])]
        events = [m.message for m in reader.messages([EVENT.name])]
    assert ticks == list(range(len(ticks)))
    assert len(ticks) >= 225
    assert [e.event for e in events] == [0, 1]
    assert (events[1].episode_id, events[1].task, events[1].seed) == ("e1", "bottle", 7)
    assert (events[1].outcome, events[1].reason) == ("discard", "recorder was killed")
    assert recover_partials(tmp_path) == []


@pytest.mark.parametrize("cut", [1, 37, 1000])
def test_torn_end_is_tolerated(tmp_path: Path, cut: int) -> None:
    partial = killed_recording(tmp_path)
    file = partial / "e1" / "e1.mcap"
    os.truncate(file, file.stat().st_size - cut)
    (recovered,) = recover_partials(tmp_path)
    assert recovered.bag is not None
    assert recovered.messages > 200
    assert summarise(recovered.bag).episodes[0].outcome == "discard"


def test_empty_partial_is_removed(tmp_path: Path) -> None:
    partial = killed_recording(tmp_path)
    os.truncate(partial / "e1" / "e1.mcap", 5)
    (recovered,) = recover_partials(tmp_path)
    assert recovered.bag is None
    assert list(tmp_path.iterdir()) == []


def test_recording_that_had_ended_keeps_its_outcome(tmp_path: Path) -> None:
    bag = write_episode(tmp_path / "e1")
    (tmp_path / ".e1.partial").mkdir()
    shutil.move(bag, tmp_path / ".e1.partial" / "e1")
    (recovered,) = recover_partials(tmp_path)
    assert recovered.bag is not None
    assert summarise(recovered.bag).episodes[0].outcome == "success"
    assert summarise(recovered.bag).message_count == 102


def test_living_recorder_is_left_alone(tmp_path: Path) -> None:
    writer = EpisodeBagWriter(tmp_path / "e1")
    writer.add_topic(ACTION)
    writer.write(ACTION.name, START_NS, action(0, START_NS))
    writer.flush()
    assert recover_partials(tmp_path) == []
    assert writer.finish() == tmp_path / "e1"
