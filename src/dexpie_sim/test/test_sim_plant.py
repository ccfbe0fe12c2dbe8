"""The cell whose motors take their references from outside, alone and as a node behind a socket."""

import socket
from pathlib import Path

import numpy as np
import pytest

from dexpie_core import topics
from dexpie_core.plant import ArmState, ArmTarget, HandState, HandTarget, decode, encode
from dexpie_ros.testing import NodeProcess, Peer, await_true
from dexpie_sim.cell import Cell
from dexpie_sim.config import preset
from dexpie_sim.plant_node import apply

pytestmark = pytest.mark.processes


@pytest.fixture
def cell() -> Cell:
    cell = Cell(preset("motors"))
    cell.reset("initial", 3)
    return cell


def test_joints_follow_their_references(cell: Cell) -> None:
    start = cell.observe().arm_q
    goal = start + np.array([0.1, -0.05, 0.05, 0.0, 0.1, -0.2])
    cell.set_arm_joints(goal)
    cell.set_hand_target(np.full(6, 0.5))
    cell.advance(1.0)
    state = cell.observe()
    np.testing.assert_allclose(state.arm_q, goal, atol=2e-3)
    np.testing.assert_allclose(state.hand, 0.5, atol=0.02)


def test_a_reference_far_away_is_approached_at_the_joints_speed(cell: Cell) -> None:
    cell.set_arm_joints(cell.observe().arm_q + np.array([2.0, 0, 0, 0, 0, 0]))
    speeds = []
    for _ in range(40):
        cell.advance(0.008)
        speeds.append(cell.observe().arm_qd[0])
    assert 2.0 < max(speeds) < 3.3


def test_pressing_on_the_table_is_felt_but_does_not_hold_the_motors(cell: Cell) -> None:
    down = cell.observe().arm_q.copy()
    down[1] -= 0.5
    cell.set_arm_joints(down)
    forces = []
    for _ in range(200):
        cell.advance(0.008)
        forces.append(cell.contact_force_n)
    assert max(forces) > cell.config.stop_force_n
    assert cell.protective_stop  # the task's verdict needs to know
    up = down.copy()
    up[1] += 0.7
    cell.set_arm_joints(up)
    cell.advance(2.0)
    np.testing.assert_allclose(cell.observe().arm_q, up, atol=5e-3)
    assert cell.contact_force_n == 0.0


def test_each_preset_takes_its_own_kind_of_command(cell: Cell) -> None:
    with pytest.raises(TypeError, match="set_arm_joints"):
        cell.set_arm_target(np.eye(4))
    with pytest.raises(TypeError, match="set_arm_target"):
        Cell().set_arm_joints(np.zeros(6))


def test_references_for_the_robot_before_the_reset_are_dropped(cell: Cell) -> None:
    start = cell.observe().arm_q
    apply(cell, 2, ArmTarget(1, start + 0.2))
    apply(cell, 2, HandTarget(1, np.zeros(6)))
    cell.advance(0.3)
    np.testing.assert_allclose(cell.observe().arm_q, start, atol=2e-3)
    apply(cell, 2, ArmTarget(2, start + 0.1))
    cell.advance(1.0)
    np.testing.assert_allclose(cell.observe().arm_q, start + 0.1, atol=2e-3)


class Motors:
    """An emulator's end of the socket."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")
        self._socket.settimeout(0.2)

    def ask(self, target: ArmTarget | HandTarget) -> ArmState | HandState | None:
        try:
            self._socket.sendto(encode(target), self._path)
            state = decode(self._socket.recv(256))
        except (OSError, TimeoutError):
            return None
        assert isinstance(state, (ArmState, HandState))
        return state


def test_the_node_answers_its_emulators_and_counts_resets(tmp_path: Path) -> None:
    path = tmp_path / "run" / "plant"
    arm, hand = Motors(path), Motors(path)
    with (
        NodeProcess("dexpie_sim.plant_node", tmp_path / "log", {"socket": str(path)}) as node,
        Peer() as peer,
    ):
        await_true(lambda: arm.ask(ArmTarget(0, np.zeros(6))) is not None, "an answer")
        first = arm.ask(ArmTarget(0, np.zeros(6)))  # a stale count moves nothing
        assert isinstance(first, ArmState) and first.resets == 1
        assert isinstance(hand.ask(HandTarget(1, np.full(6, 0.2))), HandState)
        goal = first.q_rad + 0.05

        def arrived() -> bool:
            state = arm.ask(ArmTarget(1, goal))
            return isinstance(state, ArmState) and bool(np.allclose(state.q_rad, goal, atol=5e-3))

        await_true(arrived, "the joints at their references")
        reply = peer.call(topics.SIM_RESET_SERVICE, "dexpie_msgs/srv/ResetScene", stage="initial", seed=4)
        assert reply.accepted, reply.message

        def carried() -> bool:
            state = arm.ask(ArmTarget(1, goal))
            return isinstance(state, ArmState) and state.resets == 2

        await_true(carried, "the new count")
        after = arm.ask(ArmTarget(1, goal))
        assert isinstance(after, ArmState) and not np.allclose(after.q_rad, goal, atol=5e-3)
        assert node.stop() == 0
    assert not path.exists()


def test_a_missing_socket_is_one_line(tmp_path: Path) -> None:
    with NodeProcess("dexpie_sim.plant_node", tmp_path / "log") as node:
        assert node.wait() == 2
    assert "socket: give the path" in (tmp_path / "log").read_text().splitlines()[-1]
