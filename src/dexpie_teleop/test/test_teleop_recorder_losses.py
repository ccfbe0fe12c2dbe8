"""The recorder as a process when something goes wrong: a gap, a full disk, a set clock, SIGKILL of all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dexpie.shared_memory import remove_leftovers
from dexpie_bags import BagReader, summarise
from dexpie_core import messages, topics
from dexpie_core.topics import TopicSpec
from dexpie_ros.factory import make
from dexpie_ros.own_domain import own_domain
from dexpie_ros.testing import NodeProcess, Peer, Repeating, await_true

pytestmark = pytest.mark.processes

MODULE = "dexpie_teleop.episode_node"
HERE = Path(__file__).parent
FRONT = topics.compressed_image("front")
Q = np.zeros(6)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


class Source:
    """A device: publishes what `message(stamp_ns)` makes, unless it is told to be silent."""

    def __init__(self, peer: Peer, spec: TopicSpec, message: Any) -> None:
        self._publisher = peer.advertise(spec)
        self._message = message
        self.silent = False
        self.sent_ns: list[int] = []
        await_true(lambda: self._publisher.get_subscription_count() > 0, f"the recorder on {spec.name}")

    def __call__(self) -> None:
        if not self.silent:
            stamp_ns = time.time_ns()
            self._publisher.publish(self._message(stamp_ns))
            self.sent_ns.append(stamp_ns)

    def await_sent(self, more: int) -> None:
        """Until it has sent so many more."""
        wanted = len(self.sent_ns) + more
        await_true(lambda: len(self.sent_ns) >= wanted, f"{more} more messages")


def joints(stamp_ns: int) -> Any:
    return messages.joint_state(make, Q, Q, stamp_ns)


def picture(stamp_ns: int) -> Any:
    return messages.compressed_image(make, bytes(300_000), "front", stamp_ns)


def start(peer: Peer, name: str) -> Any:
    return peer.call(topics.EPISODE_START_SERVICE, "dexpie_msgs/srv/StartEpisode", episode_id=name)


def end(peer: Peer, outcome: str) -> Any:
    return peer.call(topics.EPISODE_END_SERVICE, "dexpie_msgs/srv/EndEpisode", outcome=outcome)


def bag_messages(bag: Path, spec: TopicSpec) -> list[Any]:
    with BagReader(bag) as reader:
        return list(reader.messages([spec.name]))


def stamps(bag: Path, spec: TopicSpec) -> list[int]:
    return [messages.stamp_ns(m.message) for m in bag_messages(bag, spec)]


def test_a_gap_is_shown_and_marked_and_a_discard_is_kept(peer: Peer, tmp_path: Path) -> None:
    bags = tmp_path / "bags"
    events, diagnostics = peer.listen(topics.EPISODE_EVENT), peer.listen(topics.DIAGNOSTICS)
    with NodeProcess(MODULE, tmp_path / "log", {"record_dir": bags, "task": "bottle"}) as process:
        source = Source(peer, topics.JOINT_STATES, joints)
        with Repeating(100.0, source):
            assert start(peer, "e1").accepted
            await_true(lambda: len(source.sent_ns) > 40, "some messages")
            source.silent = True
            shown = peer.collect(
                diagnostics, lambda found: any("joint_states: nothing" in text(m) for m in found)
            )
            source.silent = False
            source.await_sent(20)
            reply = end(peer, "discard")
            assert start(peer, "e1").accepted  # the name is free again, and the trash is not overwritten
            again = end(peer, "discard")
        found = peer.collect(events, lambda found: sum(m.event == 1 for m in found) == 2)
        assert process.stop() == 0
    assert reply.accepted
    assert reply.message == f"kept in {reply.bag_path}"
    assert [Path(r.bag_path) for r in (reply, again)] == [bags / ".trash" / "e1", bags / ".trash" / "e1-2"]
    assert [p.name for p in bags.iterdir()] == [".trash"]
    warned = next(m.status[0] for m in shown if "joint_states: nothing" in text(m))
    assert warned.level == b"\x01"
    gaps = list(next(m for m in found if m.event == 1).gaps)
    assert any(
        gap.startswith("/arm/joint_states: ") and "messages missing, longest gap" in gap for gap in gaps
    )
    assert "/hand/state: no messages" in gaps
    assert list(bag_messages(Path(reply.bag_path), topics.EPISODE_EVENT)[1].message.gaps) == gaps
    assert f"e1 has a gap: {gaps[0]}" in process.log.read_text()
    recorded = set(stamps(Path(reply.bag_path), topics.JOINT_STATES))
    assert {s for s in source.sent_ns if stamp_of(found, 0) < s < stamp_of(found, 1)} <= recorded


def text(diagnostics: Any) -> str:
    return " ".join(status.message for status in diagnostics.status)


def stamp_of(events: list[Any], index: int) -> int:
    return messages.stamp_ns(events[index])


def test_a_full_disk_ends_the_episode_and_keeps_it(peer: Peer, tmp_path: Path) -> None:
    """A real file system, filled to its last byte; the reserve is so small that writing itself fails."""
    bags = tmp_path / "bags"
    bags.mkdir()
    events = peer.listen(topics.EPISODE_EVENT)
    parameters = {"record_dir": bags, "task": "bottle", "min_free_mib": 16, "reserve_mib": 1}
    program = HERE / "recorder_on_small_disk_for_tests.py"
    with NodeProcess(program, tmp_path / "log", parameters) as process:
        try:
            source = Source(peer, FRONT, picture)
        except TimeoutError:
            if process.process.poll() == 77:
                pytest.skip(f"this machine lets no test mount a file system: {process.log.read_text()}")
            raise
        assert start(peer, "e1").accepted
        with Repeating(50.0, source):
            ended = peer.collect(events, lambda found: any(m.event == 1 for m in found))[-1]
        refused = start(peer, "e2")
        seen = Path(f"/proc/{process.process.pid}/root{bags}")  # into its mount namespace
        assert [p.name for p in seen.iterdir()] == ["e1"]
        recorded = stamps(seen / "e1", FRONT)
        (episode,) = summarise(seen / "e1").episodes
        assert process.stop() == 0
    assert (ended.outcome, episode.outcome) == ("discard", "discard")
    assert episode.reason == ended.reason
    assert ended.reason.startswith("the disk refused the recording: ")
    assert not refused.accepted
    assert "MiB free, recording needs 16 MiB: make room or record elsewhere" in refused.message
    assert len(recorded) * 300_000 > 10 * 2**20
    assert recorded == [s for s in source.sent_ns if recorded[0] <= s <= recorded[-1]]


def test_a_clock_that_is_set_back_is_noted(peer: Peer, tmp_path: Path) -> None:
    parameters = {"record_dir": tmp_path / "bags", "task": "bottle"}
    program = HERE / "recorder_with_set_clock_for_tests.py"
    with NodeProcess(program, tmp_path / "log", parameters) as process:
        source = Source(peer, topics.JOINT_STATES, joints)
        with Repeating(100.0, source):
            assert start(peer, "e1").accepted
            source.await_sent(30)
            (tmp_path / "clock_is_set_back").touch()
            source.await_sent(30)
            reply = end(peer, "success")
        assert process.stop() == 0
    recorded = [m.stamp_ns for m in bag_messages(Path(reply.bag_path), topics.JOINT_STATES)]
    assert recorded == sorted(recorded)
    assert len(recorded) >= 40
    first, last = bag_messages(Path(reply.bag_path), topics.EPISODE_EVENT)
    assert 0 < last.stamp_ns - first.stamp_ns < 60 * 10**9
    assert last.message.gaps[0].startswith("wall clock: set by -3600.0")


GROUP = """
"$0" -m dexpie_teleop.episode_node --ros-args -p record_dir:="$1" -p task:=bottle &
"$0" -c "$2" "$3" &
wait
"""
DRIVER = """
import sys, time, rclpy
sys.path.insert(0, sys.argv[1])
from test_teleop_recorder_losses import joints, topics
from dexpie_ros.looped import LoopNode
rclpy.init()
publisher = LoopNode("driver").advertise(topics.JOINT_STATES)
while True:
    publisher.publish(joints(time.time_ns()))
    time.sleep(0.01)
"""


def record_and_kill_all(tmp_path: Path, bags: Path) -> list[int]:
    """Recorder and driver die at one instant; header stamps of what the driver had sent until then."""
    command = ["bash", "-c", GROUP, sys.executable, str(bags), DRIVER, str(HERE)]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(own_domain())}
    log = (tmp_path / "log").open("wb")
    with (
        log,
        Peer() as peer,  # its own: one that knew the killed ones would go on talking to them
        subprocess.Popen(command, env=environment, stderr=log, start_new_session=True) as group,
    ):
        heard = peer.listen(topics.JOINT_STATES)
        try:
            peer.collect(heard, lambda found: len(found) > 10)
            assert start(peer, "e1").accepted
            sent = peer.collect(heard, lambda found: len(found) > 200)
        finally:
            os.killpg(group.pid, signal.SIGKILL)
    return [messages.stamp_ns(m) for m in sent]


def test_sigkill_of_all_loses_at_most_a_second(tmp_path: Path) -> None:
    bags = tmp_path / "bags"
    sent_ns = record_and_kill_all(tmp_path, bags)
    remove_leftovers()  # shared memory of the dead
    assert [p.name for p in bags.iterdir()] == [".e1.partial"]
    with NodeProcess(MODULE, tmp_path / "log2", {"record_dir": bags, "task": "bottle"}) as process:
        await_true(lambda: (bags / "e1").is_dir(), "the next start to recover it", timeout_s=90.0)
        assert process.stop() == 0
    assert f"recovered as {bags / 'e1'}" in process.log.read_text()
    recorded = stamps(bags / "e1", topics.JOINT_STATES)
    assert sent_ns[-1] - recorded[-1] < 10**9
    assert [s for s in sent_ns if recorded[0] <= s <= recorded[-1]] == [
        s for s in recorded if s >= sent_ns[0]
    ]
    (episode,) = summarise(bags / "e1").episodes
    assert (episode.outcome, episode.reason) == ("discard", "recorder was killed")
