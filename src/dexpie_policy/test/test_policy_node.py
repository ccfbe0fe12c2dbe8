"""The inference node as a process, with an untrained network; the test plays robot and executor."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dexpie_core import messages, se3, topics
from dexpie_core.action_space import pack
from dexpie_core.chunk_schedule import PrefixRequest
from dexpie_ros.factory import make
from dexpie_ros.testing import NodeProcess, Peer, Repeating
from dexpie_training.actor_presets import actor_preset
from dexpie_training.checkpoint import RunFolder
from dexpie_training.config import EncoderConfig
from dexpie_training.models.actor import Actor

pytestmark = pytest.mark.processes

MODULE = "dexpie_policy.policy_node"
STATE_NAMES = ("bottle.x", "bottle.y", "bottle.z", "platform.x", "platform.y", "platform.z")
TCP = se3.make(se3.rotation_from_rotvec([0.0, np.pi / 2, 0.0]), [0.4, 0.1, 0.3])


def checkpoint(
    folder: Path,
    names: tuple[str, ...] = STATE_NAMES,
    task: str = "bottle",
    rate_hz: float = 25.0,
    cameras: tuple[str, ...] = (),
) -> Path:
    """A checkpoint of a network that has learned nothing; with cameras it looks at them instead."""
    config = dataclasses.replace(actor_preset("paper", "tiny").config, state_names=() if cameras else names)
    if cameras:
        seeing = EncoderConfig(kind="resnet18", frozen=False, cameras=cameras, image_size_px=32)
        config = dataclasses.replace(config, encoder=seeing)
    run = RunFolder.create(folder, {"kind": "actor"})
    meta = {
        "method": "bc",
        "config": dataclasses.asdict(config),
        "dataset": {"task": task, "rate_hz": rate_hz},
        "metrics": {},
    }
    run.save(1, meta, Actor(config, "cpu").state_dict(), {}, None)
    return run.path


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that fits the cell of these tests."""
    return checkpoint(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


class FakeRobot:
    """A robot that stays where it is, on a table with a bottle."""

    def __init__(self, peer: Peer) -> None:
        self._joints = peer.advertise(topics.JOINT_STATES)
        self._tcp = peer.advertise(topics.TCP_POSE)
        self._hand = peer.advertise(topics.HAND_STATE)
        self._scene = peer.advertise(topics.SCENE_STATE)
        self._picture = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
        self._front = peer.advertise(topics.compressed_image("front"))

    def publish(self) -> None:
        stamp_ns = time.time_ns()
        self._joints.publish(messages.joint_state(make, np.zeros(6), np.zeros(6), stamp_ns))
        self._tcp.publish(messages.pose_stamped(make, TCP, stamp_ns))
        self._hand.publish(messages.hand_state(make, np.full(6, 0.5), np.zeros(6), stamp_ns))
        # More than the policy asks for, and in another order: values go by name.
        names = ("tcp_bottle.x", *reversed(STATE_NAMES))
        values = np.linspace(0.0, 1.0, len(names))
        self._scene.publish(messages.scene_state(make, names, values, False, False, "", "initial", stamp_ns))
        self._front.publish(messages.compressed_image(make, self._picture, "front", stamp_ns))


def ready(found: list[Any]) -> bool:
    return any(s.name == "policy_inference" and s.level == b"\0" for m in found for s in m.status)


def request(sequence: int, observed_ns: int) -> tuple[np.ndarray, Any]:
    prefix = pack(np.tile(TCP, (4, 1, 1)), np.full((4, 6), 0.5))
    prefix[:, 2] += 0.005 * np.arange(4)
    asked = PrefixRequest(epoch=3, sequence=sequence, tick=100 + sequence, prefix=prefix)
    return prefix, messages.chunk_request(make, asked, observed_ns, time.time_ns())


def test_a_request_is_answered_by_a_chunk_that_begins_with_its_prefix(
    peer: Peer, run_folder: Path, tmp_path: Path
) -> None:
    chunks, diagnostics = peer.listen(topics.POLICY_CHUNK), peer.listen(topics.DIAGNOSTICS)
    requests = peer.advertise(topics.POLICY_REQUEST)
    with (
        NodeProcess(MODULE, tmp_path / "policy.log", {"policy": run_folder}) as node,
        Repeating(50.0, FakeRobot(peer).publish),
    ):
        peer.collect(diagnostics, ready)
        prefix, message = request(1, time.time_ns())
        requests.publish(message)
        (answer,) = peer.collect(chunks, lambda found: len(found) == 1)
        # A request for a time that nobody remembers is declined; the next one is answered.
        requests.publish(request(2, time.time_ns() - 60 * 10**9)[1])
        (declined,) = peer.collect(chunks, lambda found: len(found) == 1)
        assert "declined_requests" in _await_value(peer, diagnostics, "declined_requests")
        requests.publish(request(3, time.time_ns())[1])
        (later,) = peer.collect(chunks, lambda found: len(found) == 1)
        reply = peer.call(topics.POLICY_LOAD_SERVICE, "dexpie_msgs/srv/LoadPolicy", path=str(tmp_path))
        assert not reply.accepted
        assert "run.json is missing" in reply.message
        reply = peer.call(topics.POLICY_LOAD_SERVICE, "dexpie_msgs/srv/LoadPolicy", path=str(run_folder))
        assert reply.accepted
        assert reply.policy_id == answer.policy_id
        assert node.stop() == 0
    assert (answer.epoch, answer.sequence, answer.tick, answer.prefix_length) == (3, 1, 101, 4)
    assert later.sequence == 3
    assert (declined.epoch, declined.sequence) == (3, 2) and messages.chunk(declined).declines
    targets = messages.chunk(answer).targets
    assert targets.shape == (24, 15)
    np.testing.assert_allclose(targets[:4], prefix, atol=1e-9)
    np.testing.assert_allclose(messages.pose_T(answer.reference), TCP, atol=1e-9)
    assert "2 chunks" in node.log.read_text()


def _await_value(peer: Peer, diagnostics: Any, key: str) -> list[str]:
    def told(found: list[Any]) -> bool:
        return any(v.key == key for m in found for s in m.status for v in s.values)

    found = peer.collect(diagnostics, told)
    return [v.key for m in found for s in m.status for v in s.values]


def test_another_policy_is_taken_up_while_it_runs_and_what_does_not_fit_is_refused_with_the_reason(
    peer: Peer, run_folder: Path, tmp_path: Path
) -> None:
    refused = {
        checkpoint(tmp_path / "lid", task="lid"): "trained on task lid, this cell runs bottle",
        checkpoint(tmp_path / "side", cameras=("side",)): "looks at camera side, this cell has front, wrist",
        checkpoint(tmp_path / "slow", rate_hz=30.0): "trained at 30 Hz, this cell runs at 25 Hz",
        checkpoint(tmp_path / "blind", (*STATE_NAMES, "lid.x")): "cannot see here what it looks at",
    }
    chunks, diagnostics = peer.listen(topics.POLICY_CHUNK), peer.listen(topics.DIAGNOSTICS)
    requests = peer.advertise(topics.POLICY_REQUEST)
    parameters = {"policy": run_folder, "task": "bottle", "fast": True}
    with (
        NodeProcess(MODULE, tmp_path / "policy.log", parameters) as node,
        Repeating(50.0, FakeRobot(peer).publish),
    ):
        peer.collect(diagnostics, ready)
        for path, reason in refused.items():
            reply = load(peer, path)
            assert not reply.accepted
            assert reason in reply.message
        before = reply.policy_id
        reply = load(peer, checkpoint(tmp_path / "seeing", cameras=("front",)))
        assert reply.accepted
        assert reply.policy_id != before
        requests.publish(request(1, time.time_ns())[1])
        (answer,) = peer.collect(chunks, lambda found: len(found) == 1)
        assert answer.policy_id == reply.policy_id
        told = _await_value(peer, diagnostics, "latency_p99_ms")
        assert {"latency_p50_ms", "predicted_delay_ticks", "observation_error_ms"} <= set(told)
        assert node.stop() == 0
    assert "ms a chunk" in node.log.read_text()


def load(peer: Peer, path: Path) -> Any:
    return peer.call(topics.POLICY_LOAD_SERVICE, "dexpie_msgs/srv/LoadPolicy", path=str(path))


def test_what_is_no_checkpoint_is_one_line_and_no_success(tmp_path: Path) -> None:
    with NodeProcess(MODULE, tmp_path / "policy.log", {"policy": tmp_path}) as node:
        assert node.wait() == 2
    (line,) = node.log.read_text().splitlines()
    assert f"{tmp_path}: not a run or checkpoint folder" in line
