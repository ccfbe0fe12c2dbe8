"""The executor node as a process, against an arm and an operator that the test plays."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dexpie_core import messages, se3, topics
from dexpie_core.action_space import pack
from dexpie_core.executor import HumanAction
from dexpie_core.follower import Misalignment
from dexpie_core.hand_errors import HandError
from dexpie_core.limits import MotionLimits, step_sizes
from dexpie_core.modes import Mode
from dexpie_ros.factory import make
from dexpie_ros.testing import NodeProcess, Peer, Repeating, await_true

HOME = se3.make(se3.rotation_from_rotvec([0.0, np.pi / 2, 0.0]), [0.4, 0.1, 0.3])
HAND = np.full(6, 0.9)
ALIGNED = Misalignment(0.0, np.zeros(6))


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess("dexpie_teleop.executor_node", tmp_path / "executor.log") as process:
        yield process


class FakeArm:
    """An arm that stays where it is, and an operator whose wish the test sets."""

    def __init__(self, peer: Peer) -> None:
        self.ready = True
        self.hand_error = 0
        self.hand_on = True
        self.human: HumanAction | None = None
        self._tcp = peer.advertise(topics.TCP_POSE)
        self._hand = peer.advertise(topics.HAND_STATE)
        self._status = peer.advertise(topics.ARM_STATUS)
        self._action = peer.advertise(topics.TELEOP_ACTION)

    def publish(self) -> None:
        stamp_ns = time.time_ns()
        self._tcp.publish(messages.pose_stamped(make, HOME, stamp_ns))
        if self.hand_on:
            error = [self.hand_error] * 6
            self._hand.publish(messages.hand_state(make, HAND, np.zeros(6), stamp_ns, error=error))
        self._status.publish(messages.arm_status(make, stamp_ns, ready=self.ready))
        if self.human is not None:
            self._action.publish(messages.action(make, self.human, stamp_ns))


def set_mode(peer: Peer, mode: Mode) -> Any:
    return peer.call(topics.SET_MODE_SERVICE, "dexpie_msgs/srv/SetMode", mode=int(mode), reason="test")


def test_it_commands_the_measured_pose_every_tick_once_the_robot_is_known(
    peer: Peer, executor: NodeProcess
) -> None:
    actions, commands = peer.listen(topics.EXECUTED_ACTION), peer.listen(topics.ARM_COMMAND)
    reply = set_mode(peer, Mode.HUMAN)
    assert not reply.accepted
    assert "not known" in reply.message
    assert actions.newest() is None
    with Repeating(50.0, FakeArm(peer).publish):
        executed = peer.collect(actions, lambda found: len(found) >= 40)
        commanded = peer.collect(commands, lambda found: len(found) >= 40)
        reply = set_mode(peer, Mode.HUMAN)
        assert not reply.accepted
        assert reply.message == "no fresh tracker and glove"
    ticks = [int(m.tick) for m in executed]
    assert ticks == list(range(ticks[0], ticks[0] + len(ticks)))
    expected = pack(HOME, HAND)
    for message in executed:
        np.testing.assert_allclose(messages.action15(message), expected, atol=1e-9)
        assert messages.mode_of(message) is Mode.IDLE
    due_ns = [m.due.sec * 10**9 + m.due.nanosec - messages.stamp_ns(m) for m in commanded]
    assert set(due_ns) == {40_000_000}
    assert executor.stop() == 0
    assert "ticks, 0 starved" in executor.log.read_text()


def test_a_human_drives_within_the_limits_and_silence_is_a_fault(peer: Peer, executor: NodeProcess) -> None:
    actions, modes = peer.listen(topics.EXECUTED_ACTION), peer.listen(topics.MODE)
    arm = FakeArm(peer)
    with Repeating(50.0, arm.publish):
        peer.collect(actions, lambda found: len(found) >= 1)
        arm.human = HumanAction(0.0, 0, pack(HOME, HAND), ALIGNED)
        while not (reply := set_mode(peer, Mode.HUMAN)).accepted:
            assert reply.message == "no fresh tracker and glove"
        (mode, *_) = [m for m in peer.collect(modes, _has(Mode.HUMAN)) if messages.mode_of(m) is Mode.HUMAN]
        np.testing.assert_allclose(messages.reference15(mode), pack(HOME, HAND), atol=1e-9)
        away = HOME.copy()
        away[:3, 3] += [0.0, 0.0, 0.2]
        arm.human = HumanAction(0.0, int(mode.epoch), pack(away, np.zeros(6)), ALIGNED)
        driven = peer.collect(actions, lambda found: bool(found) and _z(found[-1]) > 0.4999)
        arm.human = None
        fault = peer.collect(modes, _has(Mode.FAULT))[-1]
        assert "no fresh tracker or glove" in fault.reason
        held = peer.collect(actions, lambda found: len(found) >= 20)[-5:]
    _assert_within_limits(driven)
    assert any(m.source == 2 for m in driven)
    for message in held:
        np.testing.assert_allclose(messages.action15(message)[:3], away[:3, 3], atol=1e-4)
        assert messages.mode_of(message) is Mode.FAULT


def test_an_arm_that_stops_is_a_fault_and_its_new_pose_is_taken_up(peer: Peer, executor: NodeProcess) -> None:
    modes = peer.listen(topics.MODE)
    arm = FakeArm(peer)
    arm.human = HumanAction(0.0, 0, pack(HOME, HAND), ALIGNED)
    with Repeating(50.0, arm.publish):
        peer.collect(modes, _has(Mode.IDLE))
        while not set_mode(peer, Mode.AUTONOMOUS).accepted:
            pass
        peer.collect(modes, _has(Mode.RELEASING))
        arm.ready = False
        peer.collect(modes, _has(Mode.FAULT))
        assert not set_mode(peer, Mode.AUTONOMOUS).accepted
        arm.ready = True
        while not set_mode(peer, Mode.IDLE).accepted:
            pass
        assert peer.collect(modes, _has(Mode.IDLE))[-1].reason == "test"


def _has(mode: Mode) -> Any:
    return lambda found: any(messages.mode_of(m) is mode for m in found)


def _z(message: Any) -> float:
    return float(message.pose.position.z)


def _assert_within_limits(executed: list[Any]) -> None:
    limits = MotionLimits()
    rows = [messages.action15(m) for m in executed]
    for before, after in pairwise(rows):
        linear_m, angular_rad, hand = step_sizes(before, after)
        assert linear_m <= limits.linear_step_m + 1e-9
        assert angular_rad <= limits.angular_step_rad + 1e-9
        assert hand <= limits.hand_step + 1e-9


@pytest.mark.parametrize("kind", ["error", "silence"])
def test_a_hand_that_does_not_follow_is_a_fault_that_says_so(
    peer: Peer, executor: NodeProcess, kind: str
) -> None:
    actions, modes = peer.listen(topics.EXECUTED_ACTION), peer.listen(topics.MODE)
    arm = FakeArm(peer)
    with Repeating(50.0, arm.publish):
        peer.collect(actions, lambda found: len(found) >= 1)
        assert set_mode(peer, Mode.AUTONOMOUS).accepted
        peer.collect(modes, _has(Mode.RELEASING))
        if kind == "error":
            arm.hand_error = int(HandError.COMMUNICATION)
        else:
            arm.hand_on = False
        fault = peer.collect(modes, _has(Mode.FAULT))[-1]
        expected = {"error": "hand: communication", "silence": "/hand/state is silent for more than 0.5 s"}
        assert fault.reason == expected[kind]
        refused = set_mode(peer, Mode.IDLE)
        assert not refused.accepted and expected[kind] in refused.message
        arm.hand_error, arm.hand_on = int(HandError.STALL), True  # a firm grasp is no fault
        await_true(lambda: set_mode(peer, Mode.IDLE).accepted, "the way out of FAULT")
