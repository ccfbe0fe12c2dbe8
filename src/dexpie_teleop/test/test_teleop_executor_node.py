"""The executor node as a process, against an arm and an operator that the test plays."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from teleop_for_tests import ALIGNED, HAND, HOME, START, FakeArm, assert_within_limits, has, set_mode

from dexpie_core import messages, topics
from dexpie_core.action_space import pack
from dexpie_core.chunk_schedule import Chunk
from dexpie_core.executor import HumanAction
from dexpie_core.hand_errors import HandError
from dexpie_core.modes import Mode
from dexpie_ros.factory import make
from dexpie_ros.testing import NodeProcess, Peer, Repeating, await_true

pytestmark = pytest.mark.processes


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess("dexpie_teleop.executor_node", tmp_path / "executor.log") as process:
        yield process


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


def test_a_human_drives_within_the_limits_and_silence_is_a_fault(peer: Peer, tmp_path: Path) -> None:
    actions, modes = peer.listen(topics.EXECUTED_ACTION), peer.listen(topics.MODE)
    arm = FakeArm(peer)
    patient = {"max_human_jump_m": 1.0, "stale_human_s": 1.0}
    log = tmp_path / "executor.log"
    with NodeProcess("dexpie_teleop.executor_node", log, patient), Repeating(50.0, arm.publish):
        peer.collect(actions, lambda found: len(found) >= 1)
        arm.human = HumanAction(0.0, 0, pack(HOME, HAND), ALIGNED)
        while not (reply := set_mode(peer, Mode.HUMAN)).accepted:
            assert reply.message == "no fresh tracker and glove"
        (mode, *_) = [m for m in peer.collect(modes, has(Mode.HUMAN)) if messages.mode_of(m) is Mode.HUMAN]
        np.testing.assert_allclose(messages.reference15(mode), pack(HOME, HAND), atol=1e-9)
        away = HOME.copy()
        away[:3, 3] += [0.0, 0.0, 0.2]
        arm.human = HumanAction(0.0, int(mode.epoch), pack(away, np.zeros(6)), ALIGNED)
        driven = peer.collect(actions, lambda found: bool(found) and _z(found[-1]) > 0.4999)
        arm.human = None
        fault = peer.collect(modes, has(Mode.FAULT))[-1]
        assert "no fresh tracker or glove" in fault.reason
        held = peer.collect(actions, lambda found: len(found) >= 5 and has(Mode.FAULT)(found[-5:-4]))[-5:]
    assert_within_limits(driven)
    assert any(m.source == 2 for m in driven)
    for message in held:
        np.testing.assert_allclose(messages.action15(message)[:3], away[:3, 3], atol=1e-4)
        assert messages.mode_of(message) is Mode.FAULT


def test_an_arm_that_stops_is_a_fault_and_its_new_pose_is_taken_up(peer: Peer, executor: NodeProcess) -> None:
    modes = peer.listen(topics.MODE)
    arm = FakeArm(peer)
    arm.human = HumanAction(0.0, 0, pack(HOME, HAND), ALIGNED)
    with Repeating(50.0, arm.publish):
        peer.collect(modes, has(Mode.IDLE))
        while not set_mode(peer, Mode.AUTONOMOUS).accepted:
            pass
        peer.collect(modes, has(Mode.RELEASING))
        arm.ready = False
        peer.collect(modes, has(Mode.FAULT))
        assert not set_mode(peer, Mode.AUTONOMOUS).accepted
        arm.ready = True
        while not set_mode(peer, Mode.IDLE).accepted:
            pass
        assert peer.collect(modes, has(Mode.IDLE))[-1].reason == "test"


def _z(message: Any) -> float:
    return float(message.pose.position.z)


@pytest.mark.parametrize("kind", ["error", "silence"])
def test_a_hand_that_does_not_follow_is_a_fault_that_says_so(
    peer: Peer, executor: NodeProcess, kind: str
) -> None:
    actions, modes = peer.listen(topics.EXECUTED_ACTION), peer.listen(topics.MODE)
    arm = FakeArm(peer)
    with Repeating(50.0, arm.publish):
        peer.collect(actions, lambda found: len(found) >= 1)
        assert set_mode(peer, Mode.AUTONOMOUS).accepted
        peer.collect(modes, has(Mode.RELEASING))
        if kind == "error":
            arm.hand_error = int(HandError.COMMUNICATION)
        else:
            arm.hand_on = False
        fault = peer.collect(modes, has(Mode.FAULT))[-1]
        expected = {"error": "hand: communication", "silence": "/hand/state is silent for more than 0.5 s"}
        assert fault.reason == expected[kind]
        refused = set_mode(peer, Mode.IDLE)
        assert not refused.accepted and expected[kind] in refused.message
        arm.hand_error, arm.hand_on = int(HandError.STALL), True  # a firm grasp is no fault
        await_true(lambda: set_mode(peer, Mode.IDLE).accepted, "the way out of FAULT")


def test_a_clock_that_is_set_neither_faults_nor_jumps_nor_unsorts(
    peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions, commands = peer.listen(topics.EXECUTED_ACTION), peer.listen(topics.ARM_COMMAND)
    modes, diagnostics = peer.listen(topics.MODE), peer.listen(topics.DIAGNOSTICS)
    clock = tmp_path / "clock"
    set_clock(clock, 0)
    monkeypatch.setenv("CLOCK_STEP_FILE", str(clock))
    arm = FakeArm(peer)
    arm.human = HumanAction(0.0, 0, START, ALIGNED)
    script = Path(__file__).with_name("stepping_executor_for_tests.py")
    log, patient = tmp_path / "executor.log", {"stale_human_s": 5.0, "lost_state_s": 5.0}
    with NodeProcess(script, log, patient) as executor, Repeating(50.0, arm.publish):
        await_true(lambda: set_mode(peer, Mode.HUMAN).accepted, "the takeover")
        (mode, *_) = [m for m in peer.collect(modes, has(Mode.HUMAN)) if messages.mode_of(m) is Mode.HUMAN]
        arm.human = HumanAction(0.0, int(mode.epoch), START, ALIGNED)
        executed, commanded = [], []
        for hours in (1, -1):
            set_clock(clock, hours)
            told = "clock was set by " + ("+" if hours > 0 else "-")
            peer.collect(diagnostics, lambda found, told=told: says(found, told))
            executed += peer.collect(actions, lambda found: len(found) >= 20)
            commanded += peer.collect(commands, lambda found: len(found) >= 5)
        assert executor.stop() == 0
    assert messages.mode_of(executed[-1]) is Mode.HUMAN
    for found in (executed, commanded):
        assert all(0 < b - a < 10**10 for a, b in pairwise([messages.stamp_ns(m) for m in found]))
        ticks = [int(m.tick) for m in found]
        assert ticks == sorted(set(ticks))
    for message in executed:
        np.testing.assert_allclose(messages.action15(message), START, atol=1e-9)


def set_clock(file: Path, hours: int) -> None:
    """Set the clock of the executor that runs; the file is whole at every moment."""
    new = file.with_suffix(".new")
    new.write_text(str(hours * 3600 * 10**9))
    new.replace(file)


def says(found: list[Any], words: str) -> bool:
    """Whether a diagnostic message has these words."""
    return any(words in status.message for message in found for status in message.status)


def test_a_console_that_dies_or_leaves_stops_the_robot(peer: Peer, executor: NodeProcess) -> None:
    actions, modes = peer.listen(topics.EXECUTED_ACTION), peer.listen(topics.MODE)
    console = peer.advertise(topics.CONSOLE)
    arm = FakeArm(peer)
    with Repeating(50.0, arm.publish):
        peer.collect(modes, has(Mode.IDLE))
        with Repeating(10.0, lambda: console.publish(messages.header(make, 0, "console"))):
            await_true(lambda: console.get_subscription_count() > 0, "the executor's ear")
            actions.newest()
            peer.collect(actions, lambda found: len(found) >= 15)  # some life signs have passed
            await_true(lambda: set_mode(peer, Mode.AUTONOMOUS).accepted, "the start")
            peer.collect(modes, has(Mode.RELEASING))
        stop = [m for m in peer.collect(modes, has(Mode.IDLE)) if messages.mode_of(m) is Mode.IDLE][-1]
        assert "console lost: silent for " in stop.reason
        refused = set_mode(peer, Mode.AUTONOMOUS)
        assert not refused.accepted and "console lost" in refused.message
        with Repeating(10.0, lambda: console.publish(messages.header(make, 0, "console"))):
            await_true(lambda: console.get_subscription_count() > 0, "the executor's ear")
            actions.newest()
            peer.collect(actions, lambda found: len(found) >= 15)  # some life signs have passed
            await_true(lambda: set_mode(peer, Mode.AUTONOMOUS).accepted, "the start")
            peer.collect(modes, has(Mode.RELEASING))
        console.publish(messages.header(make, 0, "bye"))
        stop = [m for m in peer.collect(modes, has(Mode.IDLE)) if messages.mode_of(m) is Mode.IDLE][-1]
        assert stop.reason == "console left"
        assert set_mode(peer, Mode.AUTONOMOUS).accepted


@pytest.mark.parametrize(("grace_s", "starved"), [(0.2, False), (0.0, True)])
def test_a_chunk_a_little_late_is_waited_for_within_its_tick(
    grace_s: float, starved: bool, peer: Peer, tmp_path: Path
) -> None:
    """At 4 Hz: the answer comes a tenth of a second after the tick in which it takes over has begun."""
    actions, requests = peer.listen(topics.EXECUTED_ACTION), peer.listen(topics.POLICY_REQUEST)
    chunks = peer.advertise(topics.POLICY_CHUNK)
    slow = {"rate_hz": 4.0, "horizon": 6, "max_delay": 2, "execution_horizon": 4, "chunk_grace_s": grace_s}

    def answer(message: Any) -> None:
        request = messages.prefix_request(message)
        chunk = Chunk(
            request.epoch, request.sequence, request.tick, np.repeat(request.prefix[-1:], 6, axis=0)
        )
        chunks.publish(messages.action_chunk(make, chunk, HOME, 2, 0.1, "test", 1))

    with (
        NodeProcess("dexpie_teleop.executor_node", tmp_path / "executor.log", slow) as executor,
        Repeating(50.0, FakeArm(peer).publish),
    ):
        await_true(lambda: set_mode(peer, Mode.AUTONOMOUS).accepted, "the policy's turn")
        (first,) = peer.collect(requests, lambda found: len(found) == 1)
        answer(first)
        (second,) = peer.collect(requests, lambda found: len(found) == 1)
        due = int(second.tick) + 2
        peer.collect(actions, lambda found: any(int(m.tick) == due - 1 for m in found))
        time.sleep(0.35)  # one tick of 0.25 s and a tenth of a second
        answer(second)
        found = peer.collect(actions, lambda found: any(int(m.tick) >= due for m in found))
        (taken,) = [m for m in found if int(m.tick) == due]
        assert bool(taken.starved) is starved
        assert executor.stop() == 0
