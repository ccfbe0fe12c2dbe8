"""The simulated devices as processes: a takeover through real nodes, a reset, pictures."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dexpie_core import messages, topics
from dexpie_core.episode import EpisodeStart
from dexpie_core.limits import MotionLimits, step_sizes
from dexpie_core.modes import Mode
from dexpie_ros.factory import make
from dexpie_ros.testing import NodeProcess, Peer, Repeating, await_true
from dexpie_sim.camera_view import CameraView
from dexpie_sim.cell import Cell
from dexpie_sim.config import CellConfig
from dexpie_sim.operator import DEFAULT_FOLLOWER
from dexpie_sim.render import SceneRenderer

pytestmark = pytest.mark.processes

SOURCE_HUMAN = 2


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


def mode_is(mode: Mode) -> Any:
    return lambda found: any(messages.mode_of(m) is mode for m in found)


def test_the_virtual_operator_takes_over_through_the_nodes_without_a_jump(peer: Peer, tmp_path: Path) -> None:
    follower = {
        "tracker_to_wrist_rotvec_rad": DEFAULT_FOLLOWER.tracker_to_wrist_rotvec_rad,
        "world_to_base_rotvec_rad": DEFAULT_FOLLOWER.world_to_base_rotvec_rad,
    }
    nodes: dict[str, dict[str, object]] = {
        "dexpie_sim.cell_node": {"task": "bottle"},
        "dexpie_sim.operator_node": {},
        "dexpie_teleop.executor_node": {},
        "dexpie_teleop.follower_node": follower,
    }
    actions, modes = peer.listen(topics.EXECUTED_ACTION), peer.listen(topics.MODE)
    wishes = peer.listen(topics.TELEOP_ACTION)
    events = peer.advertise(topics.EPISODE_EVENT)
    with ExitStack() as stack:
        started = [
            stack.enter_context(NodeProcess(module, tmp_path / f"{module}.log", parameters))
            for module, parameters in nodes.items()
        ]
        peer.collect(wishes, lambda found: len(found) >= 5)
        reset = {"task": "bottle", "stage": "initial", "seed": 3}
        assert peer.call(topics.SIM_RESET_SERVICE, "dexpie_msgs/srv/ResetScene", **reset).accepted
        assert "no-such" in _reset(peer, stage="no-such").message
        assert "simulates task bottle, not lid" in _reset(peer, task="lid").message
        actions.newest()
        start = EpisodeStart("e1", "bottle", kind="demonstration", seed=3)
        events.publish(messages.episode_start(make, start, time.time_ns()))
        peer.collect(modes, mode_is(Mode.HUMAN))
        executed = peer.collect(actions, _human_for(50))
        assert [node.stop() for node in started] == [0, 0, 0, 0]
    rows = [messages.action15(m) for m in executed]
    first = next(i for i, m in enumerate(executed) if m.source == SOURCE_HUMAN)
    jump_m, jump_rad, jump_hand = step_sizes(rows[first - 1], rows[first])
    assert jump_m < 0.006 and jump_rad < 0.03 and jump_hand < 0.05
    limits = MotionLimits()
    for before, after in pairwise(rows):
        linear_m, angular_rad, hand = step_sizes(before, after)
        assert linear_m <= limits.linear_step_m + 1e-9
        assert angular_rad <= limits.angular_step_rad + 1e-9
        assert hand <= limits.hand_step + 1e-9
    assert np.linalg.norm(rows[-1][:3] - rows[first - 1][:3]) > 0.05  # the operator has moved it


def _reset(peer: Peer, **fields: Any) -> Any:
    return peer.call(topics.SIM_RESET_SERVICE, "dexpie_msgs/srv/ResetScene", **fields)


def _human_for(count: int) -> Any:
    return lambda found: sum(m.source == SOURCE_HUMAN for m in found) >= count


def test_cameras_draw_the_state_that_they_are_told(peer: Peer, tmp_path: Path) -> None:
    qpos = peer.advertise(topics.SIM_QPOS)
    jpeg = {c: peer.listen(topics.compressed_image(c)) for c in topics.CAMERAS}
    raw, info = peer.listen(topics.raw_image("front")), peer.listen(topics.camera_info("front"))
    cell = Cell()
    state = cell.qpos
    sent_s: list[float] = []

    def publish() -> None:
        sent_s.append(time.time())
        view = CameraView(round(sent_s[-1] * 1e9), state, looks_seed=4)
        qpos.publish(make(topics.SIM_QPOS.type, data=view.encode()))

    size = {"width_px": 160, "height_px": 120}
    with NodeProcess("dexpie_sim.camera_node", tmp_path / "log", size) as node, Repeating(25.0, publish):
        pictures = {c: peer.collect(s, lambda found: len(found) >= 3) for c, s in jpeg.items()}
        (image, *_) = peer.collect(raw, lambda found: len(found) >= 1)
        (intrinsics, *_) = peer.collect(info, lambda found: len(found) >= 1)
        assert node.stop() == 0
    for camera, found in pictures.items():
        stamps_ns = [messages.stamp_ns(m) for m in found]
        assert all(min(abs(s - t * 1e9) for t in sent_s) < 1e3 for s in stamps_ns)
        decoded = cv2.imdecode(np.frombuffer(found[0].data, np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape == (120, 160, 3)
        assert decoded.std() > 10.0
        assert found[0].header.frame_id == messages.optical_frame(camera)
    shown = np.frombuffer(bytes(image.data), np.uint8).reshape(120, 160, 3)
    with closing(SceneRenderer(cell.model, 160, 120)) as renderer:
        np.testing.assert_array_equal(shown, renderer.render(state, "front", looks_seed=4))
    assert (image.width, image.height, image.encoding, len(image.data)) == (160, 120, "rgb8", 160 * 120 * 3)
    assert (intrinsics.k[2], intrinsics.k[5]) == (80.0, 60.0)


@pytest.mark.parametrize(
    ("module", "parameters"),
    [
        ("dexpie_sim.cell_node", {"task": "cup"}),
        ("dexpie_sim.camera_node", {"task": "cup"}),
        ("dexpie_sim.operator_node", {"task": "cup"}),
    ],
)
def test_an_unknown_task_is_one_line(module: str, parameters: dict[str, object], tmp_path: Path) -> None:
    with NodeProcess(module, tmp_path / "log", parameters) as node:
        assert node.wait() == 2
    assert "cup" in node.log.read_text().splitlines()[-1]


def test_a_reset_without_an_executor_is_accepted(peer: Peer, tmp_path: Path) -> None:
    scene, qpos = peer.listen(topics.SCENE_STATE), peer.listen(topics.SIM_QPOS)
    with NodeProcess("dexpie_sim.cell_node", tmp_path / "log", {"looks": "varied"}) as node:
        before = peer.collect(scene, lambda found: len(found) >= 1)[-1]
        assert _reset(peer, seed=11).accepted
        scene.newest()
        after = peer.collect(scene, lambda found: len(found) >= 1)[-1]
        await_true(lambda: before.values[0] != after.values[0], "another scene")
        qpos.newest()
        told = CameraView.decode(peer.collect(qpos, lambda found: len(found) >= 1)[-1].data)
        assert (told.looks_seed, told.noise) == (11, CellConfig().camera_noise)
        reply = peer.call(topics.ARM_RECOVER_SERVICE, "std_srvs/srv/Trigger")
        assert (reply.success, reply.message) == (True, "there was no protective stop")
        assert node.stop() == 0
