"""Two recorders hear one session: the episode manager, and a plain one that puts every topic into one bag."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from dexpie_bags import typestore
from dexpie_core import messages, topics
from dexpie_core.executor import Source, TickOutput
from dexpie_core.modes import Mode
from dexpie_ros.factory import make
from dexpie_ros.polling import PolledSubscription
from dexpie_ros.qos import recording_profile
from dexpie_ros.testing import NodeProcess, Peer, Repeating, await_true
from dexpie_training.convert import ConvertOptions, run_convert

pytestmark = pytest.mark.processes

START, END = topics.EPISODE_START_SERVICE, topics.EPISODE_END_SERVICE


class Cell:
    """Publishes what a cell does: device states at 50 Hz, the executor's actions and pictures at 25 Hz."""

    def __init__(self, peer: Peer) -> None:
        specs = (
            topics.JOINT_STATES, topics.TCP_POSE, topics.HAND_STATE, topics.EXECUTED_ACTION,
            *map(topics.compressed_image, topics.CAMERAS),
        )  # fmt: skip
        self._publishers = {spec: peer.advertise(spec) for spec in specs}
        self.mode = peer.advertise(topics.MODE)
        self.count = 0
        for spec, publisher in self._publishers.items():
            await_true(lambda p=publisher: p.get_subscription_count() == 2, f"both recorders on {spec.name}")

    def __call__(self) -> None:
        now_ns, value = time.time_ns(), self.count / 1000.0
        T = np.eye(4)
        T[:3, 3] = [0.4, 0.0, value]
        self._send(topics.JOINT_STATES, messages.joint_state(make, np.full(6, value), np.zeros(6), now_ns))
        self._send(topics.TCP_POSE, messages.pose_stamped(make, T, now_ns))
        self._send(topics.HAND_STATE, messages.hand_state(make, np.full(6, value), np.zeros(6), now_ns))
        if self.count % 2 == 0:
            command = np.concatenate([T[:3, 3], [1, 0, 0, 0, 1, 0], np.full(6, value)])
            output = TickOutput(self.count // 2, command, Source.HUMAN, Mode.HUMAN, 1)
            self._send(topics.EXECUTED_ACTION, messages.executed_action(make, output, now_ns))
            self._pictures(now_ns)
        self.count += 1

    def _pictures(self, now_ns: int) -> None:
        image = np.full((48, 64, 3), self.count % 256, np.uint8)
        jpeg = cv2.imencode(".jpg", image)[1].tobytes()
        for camera in topics.CAMERAS:
            self._send(topics.compressed_image(camera), messages.compressed_image(make, jpeg, camera, now_ns))

    def _send(self, spec: topics.TopicSpec, message: Any) -> None:
        self._publishers[spec].publish(message)


class PlainRecorder:
    """Writes every message that arrives, as `ros2 bag record -a` does: zstd chunks, one bag, no questions."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self._subscriptions = [
            PolledSubscription(peer.node, spec, raw=True, qos=recording_profile(spec))
            for spec in topics.TOPICS
            if spec.recorded
        ]
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        self._connections: dict[str, Any] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            for subscription in self._subscriptions:
                spec = subscription.spec
                for taken in subscription.take():
                    if spec.name not in self._connections:
                        self._connections[spec.name] = self._writer.add_connection(
                            spec.name, spec.type, typestore=typestore()
                        )
                    self._writer.write(self._connections[spec.name], taken.received_ns, taken.message)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._writer.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


def record_both(peer: Peer, tmp_path: Path) -> None:
    log = tmp_path / "log"
    parameters = {"record_dir": tmp_path / "bags", "task": "bottle"}
    plain = PlainRecorder(peer, tmp_path / "session")
    with NodeProcess("dexpie_teleop.episode_node", log, parameters) as process, plain:
        cell = Cell(peer)
        cell.mode.publish(make(topics.MODE.type, reason="before all episodes"))
        with Repeating(50.0, cell):
            for name, kind in (("e1", "demonstration"), ("e2", "rollout")):
                began = cell.count
                assert peer.call(START, "dexpie_msgs/srv/StartEpisode", episode_id=name, kind=kind).accepted
                await_true(lambda began=began: cell.count > began + 50, "some rows")
                assert peer.call(END, "dexpie_msgs/srv/EndEpisode", outcome="failure").accepted
        assert process.stop() == 0


def test_the_plain_recording_gives_the_same_rows(peer: Peer, tmp_path: Path) -> None:
    record_both(peer, tmp_path)
    for name in ("bags", "session"):
        run_convert(ConvertOptions(bags=(tmp_path / name,), out=tmp_path / f"dataset_{name}"))
    ours, plain = (tmp_path / f"dataset_{name}" for name in ("bags", "session"))
    steps = pq.read_table(ours / "steps.parquet")
    assert steps.num_rows > 20
    assert steps.equals(pq.read_table(plain / "steps.parquet"))
    for file in ("frames/front.npy", "frames/wrist.npy"):
        assert (ours / file).read_bytes() == (plain / file).read_bytes()
    episodes = [pq.read_table(out / "episodes.parquet") for out in (ours, plain)]
    assert episodes[0].drop(["bag"]).equals(episodes[1].drop(["bag"]))
    assert episodes[0]["episode_id"].to_pylist() == ["e1", "e2"]
    assert episodes[0]["kind"].to_pylist() == ["demonstration", "rollout"]
