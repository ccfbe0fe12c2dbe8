"""The recorder as a process: what is sent is in the bag, and no end of the process damages a bag."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dexpie_bags import BagReader, summarise
from dexpie_core import messages, se3, topics
from dexpie_core.executor import Source, TickOutput
from dexpie_core.modes import Mode
from dexpie_ros.factory import make
from dexpie_ros.testing import NodeProcess, Peer, Repeating, await_true

pytestmark = pytest.mark.processes

MODULE = "dexpie_teleop.episode_node"


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


def recorder(folder: Path) -> NodeProcess:
    log = folder / "recorder.log"
    return NodeProcess(MODULE, log, {"record_dir": folder / "bags", "task": "bottle"})


def start(peer: Peer, **fields: Any) -> Any:
    return peer.call(topics.EPISODE_START_SERVICE, "dexpie_msgs/srv/StartEpisode", **fields)


def end(peer: Peer, outcome: str, reason: str = "") -> Any:
    return peer.call(topics.EPISODE_END_SERVICE, "dexpie_msgs/srv/EndEpisode", outcome=outcome, reason=reason)


def executed(tick: int) -> Any:
    command = np.concatenate([[0.4, 0.0, 0.3], [1, 0, 0, 0, 1, 0], np.full(6, tick / 1000.0)])
    return messages.executed_action(make, TickOutput(tick, command, Source.HOLD, Mode.IDLE, 1), tick)


class Stream:
    """Sends executed actions with rising ticks."""

    def __init__(self, peer: Peer) -> None:
        self._publisher = peer.advertise(topics.EXECUTED_ACTION)
        self.sent = 0
        await_true(lambda: self._publisher.get_subscription_count() > 0, "the recorder's subscription")

    def __call__(self) -> None:
        self._publisher.publish(executed(self.sent))
        self.sent += 1


def actions_of(bag: Path) -> list[Any]:
    with BagReader(bag) as reader:
        return [m.message for m in reader.messages([topics.EXECUTED_ACTION.name])]


def test_messages_in_the_bag_are_the_messages_sent(peer: Peer, tmp_path: Path) -> None:
    events = peer.listen(topics.EPISODE_EVENT)
    status = peer.advertise(topics.ARM_STATUS)
    with recorder(tmp_path) as process:
        stream = Stream(peer)
        await_true(lambda: status.get_subscription_count() > 0, "the recorder's status subscription")
        status.publish(messages.arm_status(make, 5, ready=True, detail="before the episode"))
        assert end(peer, "success").message == "no episode is running"
        assert "plain folder name" in start(peer, episode_id="../x").message
        reply = start(peer, episode_id="e1", kind="rollout", seed=7, stage="initial", policy_id="p")
        assert reply.accepted
        assert start(peer).message == "episode e1 is running: end it first"
        with Repeating(100.0, stream):
            await_true(lambda: stream.sent >= 150, "150 messages")
        assert "must be one of" in end(peer, "great").message
        reply = end(peer, "failure", "test")
        assert reply.accepted
        bag = Path(reply.bag_path)
        assert bag == tmp_path / "bags" / "e1"
        assert not start(peer, episode_id="e1").accepted
        announced = peer.collect(events, lambda found: any(m.event == 1 for m in found))
        assert process.stop() == 0
    recorded = actions_of(bag)
    assert [int(m.tick) for m in recorded] == list(range(stream.sent))
    assert recorded[100].hand[0] == 0.1
    np.testing.assert_allclose(messages.pose_T(recorded[3].pose), se3.make(np.eye(3), [0.4, 0.0, 0.3]))
    (episode,) = summarise(bag).episodes
    assert (episode.episode_id, episode.kind, episode.seed) == ("e1", "rollout", 7)
    assert (episode.outcome, episode.reason, episode.policy_id) == ("failure", "test", "p")
    assert announced[-1].outcome == "failure"
    with BagReader(bag) as reader:
        latched = [m.message.detail for m in reader.messages([topics.ARM_STATUS.name])]
    assert latched == ["before the episode"]


def test_a_stopped_recorder_leaves_a_whole_bag(peer: Peer, tmp_path: Path) -> None:
    with recorder(tmp_path) as process:
        stream = Stream(peer)
        assert start(peer, episode_id="e1").accepted
        with Repeating(100.0, stream):
            await_true(lambda: stream.sent >= 60, "60 messages")
            assert process.stop(signal.SIGINT) == 0
    assert [p.name for p in (tmp_path / "bags").iterdir()] == ["e1"]
    (episode,) = summarise(tmp_path / "bags" / "e1").episodes
    assert (episode.outcome, episode.reason) == ("discard", "the graph was stopped")
    assert len(actions_of(tmp_path / "bags" / "e1")) >= 50


def test_without_a_folder_episodes_are_announced_and_nothing_is_written(peer: Peer, tmp_path: Path) -> None:
    events = peer.listen(topics.EPISODE_EVENT)
    with NodeProcess(MODULE, tmp_path / "log", {"task": "bottle"}) as process:
        reply = start(peer)
        assert reply.accepted
        assert reply.episode_id.startswith("bottle-")
        reply = end(peer, "success")
        assert (reply.accepted, reply.bag_path) == (True, "")
        assert peer.collect(events, lambda found: len(found) >= 2)[0].task == "bottle"
        assert process.stop() == 0


def test_a_record_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bags").write_text("")
    with recorder(tmp_path) as process:
        assert process.wait() == 2
    assert process.log.read_text().splitlines()[-1].endswith(f"record_dir {tmp_path / 'bags'}: File exists")
