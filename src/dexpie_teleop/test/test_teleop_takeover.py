"""Takeovers through the nodes: cell, executor and follower as processes, the test as the operator's hands."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from teleop_for_tests import Devices, assert_within_limits, has, set_mode

from dexpie_core import messages, se3, topics
from dexpie_core.limits import step_sizes
from dexpie_core.modes import Mode
from dexpie_core.se3 import Array
from dexpie_ros.polling import PolledSubscription
from dexpie_ros.testing import NodeProcess, Peer, Repeating, await_true

pytestmark = pytest.mark.processes

SOURCE_HUMAN = 2
CROOKED = "not aligned: wrist 70 deg (at most 29), index 0.80 (at most 0.60 of the travel)"
# The test's devices are a thread of a process that may have to wait for a core.
PATIENT = {"stale_human_s": 1.0, "lost_state_s": 2.0}


class Cell:
    """The graph, and what the test sees of it."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self.peer = peer
        self.wishes = peer.listen(topics.TELEOP_ACTION)
        self.actions = peer.listen(topics.EXECUTED_ACTION)
        self.modes = peer.listen(topics.MODE)
        self.tcp = peer.listen(topics.TCP_POSE)
        self.cell = NodeProcess("dexpie_sim.cell_node", folder / "cell.log", {"preset": "ideal"})
        self.executor = NodeProcess("dexpie_teleop.executor_node", folder / "executor.log", PATIENT)
        self.follower = NodeProcess(
            "dexpie_teleop.follower_node", folder / "follower.log", {"stale_input_s": 0.5}
        )

    def newest(self, stream: PolledSubscription, count: int = 1) -> list[Any]:
        """The next messages of a stream."""
        stream.newest()
        return self.peer.collect(stream, lambda found: len(found) >= count)

    def commanded(self) -> Array:
        return messages.action15(self.newest(self.actions)[-1])

    def await_refusal(self, words: str) -> None:
        """Ask for takeovers, all of which must be refused, until one is refused with these words."""

        def refused_so() -> bool:
            reply = set_mode(self.peer, Mode.HUMAN)
            assert not reply.accepted
            return words in reply.message

        await_true(refused_so, f"a refusal with '{words}'")

    def take_over(self) -> Any:
        """A takeover, or the other half of a re-clutch; the new mode's message."""
        await_true(lambda: set_mode(self.peer, Mode.HUMAN).accepted, "the takeover")
        return self.peer.collect(self.modes, has(Mode.HUMAN))[-1]


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    with Peer() as peer:
        cell = Cell(peer, tmp_path)
        with cell.cell, cell.executor, cell.follower:
            yield cell


def test_an_operator_aligns_takes_over_re_clutches_and_every_process_may_die(cell: Cell) -> None:
    start = cell.commanded()
    R, hand = se3.rotation_from_6d(start[3:9]), start[9:]
    crooked = R @ se3.rotation_from_rotvec([0.0, np.radians(70.0), 0.0])
    devices = Devices(cell.peer, se3.make(crooked, [5.0, 1.0, 2.0]), hand - np.eye(6)[3] * 0.8)
    with Repeating(90.0, devices.publish):
        _alignment(cell, devices)
        devices.tracker_T, devices.hand = se3.make(R, [5.0, 1.0, 2.0]), hand
        await_true(lambda: cell.newest(cell.wishes)[-1].misalignment_rad < 0.01, "an aligned wrist")
        _drive(cell, devices)
        _re_clutch(cell, devices)
        devices.way_m = np.array([0.0, 0.0, -0.001])
        cell.actions.newest()
        cell.follower.stop(signal.SIGKILL)
        fault = cell.peer.collect(cell.modes, has(Mode.FAULT))[-1]
        assert "no fresh tracker or glove" in fault.reason
        assert_within_limits(cell.peer.collect(cell.actions, lambda found: len(found) >= 10))
        held = [messages.action15(m) for m in cell.newest(cell.actions, 10)]
        np.testing.assert_allclose(held, held[:1] * 10, atol=1e-9)
        assert set_mode(cell.peer, Mode.IDLE).accepted
    cell.executor.stop(signal.SIGKILL)
    poses = [messages.pose_T(m.pose) for m in cell.newest(cell.tcp, 50)]  # one second
    for T in poses:
        assert np.linalg.norm(T[:3, 3] - held[0][:3]) < 2e-3
        assert np.linalg.norm(T[:3, 3] - poses[0][:3, 3]) < 5e-4


def _alignment(cell: Cell, devices: Devices) -> None:
    """The error is live, and every way in is refused with the numbers, or because a device is silent."""
    wish = cell.newest(cell.wishes)[-1]
    assert wish.misalignment_rad == pytest.approx(np.radians(70.0), abs=0.02)
    assert wish.misalignment_hand[3] == pytest.approx(-0.8, abs=0.02)
    cell.await_refusal(CROOKED)
    assert set_mode(cell.peer, Mode.AUTONOMOUS).accepted
    cell.peer.collect(cell.modes, has(Mode.RELEASING))
    cell.await_refusal(CROOKED)
    devices.glove_on = False
    cell.await_refusal("no fresh tracker and glove")
    devices.glove_on = True
    cell.await_refusal(CROOKED)
    devices.tracker_sane = False
    cell.await_refusal("no fresh tracker and glove")
    devices.tracker_sane = True
    cell.await_refusal(CROOKED)


def _drive(cell: Cell, devices: Devices) -> None:
    """The robot does not move at the switch, and then as the wrist does."""
    before = cell.commanded()
    mode = cell.take_over()
    reference = messages.reference15(mode)
    executed = cell.newest(cell.actions, 3)
    for message in executed:
        metres, radians, _ = step_sizes(reference, messages.action15(message))
        assert metres < 1e-4 and radians < np.radians(0.01)
    assert step_sizes(before, reference)[0] < 1e-9
    devices.way_m = np.array([0.0, 0.0, -0.002])
    along = se3.rotation_from_6d(reference[3:9])[:, 2]

    def way_m(action: Any) -> Array:
        return messages.action15(action)[:3] - reference[:3]

    driven = cell.peer.collect(
        cell.actions, lambda found: len(found) >= 25 and way_m(found[-1]) @ along < -0.05
    )
    devices.way_m = np.zeros(3)
    assert_within_limits(driven)
    assert all(m.source == SOURCE_HUMAN for m in driven)
    way = way_m(driven[-1])
    np.testing.assert_allclose(way, (way @ along) * along, atol=1e-3)


def _re_clutch(cell: Cell, devices: Devices) -> None:
    """While the coupling is paused the wrist goes anywhere; coupled again, the robot stays where it is."""
    assert "coupling paused" in cell.take_over().reason
    held = cell.commanded()
    devices.tracker_T = devices.tracker_T @ se3.make(
        se3.rotation_from_rotvec([0.9, 0.0, 0.0]), [0.3, 0.1, 0.0]
    )
    assert step_sizes(held, cell.commanded())[0] < 1e-9
    assert "coupled again" in cell.take_over().reason
    for message in cell.newest(cell.actions, 5):
        metres, radians, _ = step_sizes(held, messages.action15(message))
        assert metres < 1e-4 and radians < np.radians(0.01)
