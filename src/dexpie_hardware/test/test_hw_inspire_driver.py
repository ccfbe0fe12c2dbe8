"""The hand driver as a process, on the terminal of the emulated hand as another one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspire_for_tests import EmulatedHand

from dexpie_core import topics
from dexpie_hardware.inspire.port import SerialPort
from dexpie_ros.factory import make
from dexpie_ros.polling import PolledSubscription
from dexpie_ros.testing import NodeProcess, Peer, Repeating, await_true

pytestmark = pytest.mark.processes

MODULE = "dexpie_hardware.inspire.driver_node"
OPEN = (1.0,) * 6
REACTION_S = 0.2
TIMEOUT_S = 0.06


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


class Commander:
    """Commands the hand 25 times a second, as the executor does; `position` and `epoch` may be changed."""

    def __init__(self, peer: Peer) -> None:
        self.position: tuple[float, ...] = OPEN
        self.epoch = 1
        self._publisher = peer.advertise(topics.HAND_COMMAND)

    def publish(self) -> None:
        message = make(topics.HAND_COMMAND.type, position=self.position, epoch=self.epoch)
        self._publisher.publish(message)

    def running(self, peer: Peer, states: PolledSubscription) -> Repeating:
        """From the hand's first state on: commands of before it would be those of an old epoch."""
        peer.collect(states, more(1))
        await_true(lambda: self._publisher.get_subscription_count() == 1, "the driver's subscription")
        return Repeating(25.0, self.publish)


@contextlib.contextmanager
def driver(folder: Path, port: Path, **parameters: object) -> Iterator[NodeProcess]:
    # Emulator and driver share two cores with other tests: an answer may be late without being lost.
    with NodeProcess(
        MODULE,
        folder / "driver.log",
        {"port": port, "answer_timeout_s": TIMEOUT_S, "retry_period_s": 0.1, **parameters},
    ) as process:
        yield process


def index_at(position: float) -> tuple[float, ...]:
    return (1.0, 1.0, 1.0, position, 1.0, 1.0)


def has(condition: Callable[[Any], bool]) -> Callable[[list[Any]], bool]:
    return lambda found: bool(found) and condition(found[-1])


def has_errors(errors: list[int], state: Any) -> bool:
    return list(state.error) == errors


is_whole = partial(has_errors, [0] * 6)
is_away = partial(has_errors, [16] * 6)


def more(count: int) -> Callable[[list[Any]], bool]:
    return lambda found: len(found) >= count


def level(report: Any) -> int:
    return report.status[0].level[0]


def value(report: Any, key: str) -> str:
    return {item.key: item.value for item in report.status[0].values}[key]


def awaits(text: str) -> Callable[[list[Any]], bool]:
    return has(lambda report: text in report.status[0].message)


def test_a_hand_that_comes_late_is_found_set_up_driven_and_left_where_it_is(
    peer: Peer, tmp_path: Path
) -> None:
    states, reports = peer.listen(topics.HAND_STATE), peer.listen(topics.DIAGNOSTICS)
    commander = Commander(peer)
    limits = {"force_limits_g": [400] * 6, "speed_limits": [900] * 6}
    with driver(tmp_path, tmp_path / "tty", **limits) as process:
        missing = peer.collect(reports, awaits("tty"))[-1]
        assert level(missing) == 2
        assert states.newest() is None
        with EmulatedHand(tmp_path) as hand:
            first = peer.collect(states, more(1))[0]
            np.testing.assert_allclose(first.position, OPEN)
            np.testing.assert_allclose(first.temperature_c, [40.0] * 6)
            assert list(first.status) == [255] * 6
            await_true(lambda: hand.count("reads") > 50, "cycles without a command")
            assert hand.register("FORCE_SET") == [400] * 6
            assert hand.register("SPEED_SET") == [900] * 6
            assert (hand.count("target_writes"), hand.travelled()) == (0, [0.0] * 6)

            commander.position = index_at(0.5)
            with commander.running(peer, states):
                reached = peer.collect(states, has(lambda s: abs(s.position[3] - 0.5) < 0.01))
                np.testing.assert_allclose(np.delete(reached[-1].position, 3), [1.0] * 5)
                assert hand.register("ANGLE_SET") == [1000, 1000, 1000, 500, 1000, 1000]
                written = hand.count("target_writes")
                commander.position = index_at(0.501)  # within the dead band
                peer.collect(states, more(10))
                commander.position = index_at(np.nan)
                peer.collect(states, more(5))
                commander.position = index_at(1.01)
                refused = peer.collect(reports, has(lambda r: "outside [0, 1]" in value(r, "last_refusal")))
                assert int(value(refused[-1], "refused_commands")) >= 2
                assert hand.count("target_writes") == written

            travelled = hand.travelled()
            assert travelled[3] == pytest.approx(500, abs=5)
            assert process.stop() == 0
            requests = hand.count("requests")
            time.sleep(0.2)
            assert (hand.count("target_writes"), hand.count("requests")) == (written, requests)
            assert hand.travelled() == pytest.approx(travelled, abs=0.5)


@pytest.mark.realtime
def test_faults_hold_the_hand_until_they_are_cleared_and_a_stall_only_its_finger(
    peer: Peer, tmp_path: Path
) -> None:
    states, reports = peer.listen(topics.HAND_STATE), peer.listen(topics.DIAGNOSTICS)
    commander = Commander(peer)
    with EmulatedHand(tmp_path) as hand, driver(tmp_path, hand.link), commander.running(peer, states):
        peer.collect(states, has(lambda s: s.status[3] == 2))
        hand.ask("block", channel=3, angle=700)
        commander.position = index_at(0.2)
        pressed = peer.collect(states, has(lambda s: s.status[3] == 3))
        pressed += peer.collect(states, more(10))
        force_n = max(s.force_n[3] for s in pressed)
        assert force_n > 1.5 * 500 * 0.00980665  # overshoot of a fast finger
        assert min(s.position[3] for s in pressed) > 0.5
        assert all(is_whole(s) for s in pressed)
        hand.ask("unblock")
        peer.collect(states, has(lambda s: s.position[3] < 0.21))

        heat = partial(hand.ask, "set_error", bit=1, channel=3)
        is_hot = partial(has_errors, [0, 0, 0, 2, 0, 0])
        assert reaction_s(states, is_hot, "over-temperature", heat) < REACTION_S
        hot = peer.collect(reports, awaits("index: over temperature at 75 C"))[-1]
        assert level(hot) == 2
        written = hand.count("target_writes")
        commander.position = (0.5,) * 6
        peer.collect(states, more(10))
        reply = trigger(peer)
        assert not reply.success
        assert "let the hand cool down" in reply.message
        hand.ask("temperature", celsius=45)
        peer.collect(states, has(is_whole))
        assert all(is_whole(s) for s in peer.collect(states, more(10)))
        peer.collect(reports, awaits("holding until the next change of mode"))
        stayed = hand.ask("state")
        assert stayed["counts"]["target_writes"] == written + 1  # of the recovery: stay where you are
        assert stayed["registers"]["ANGLE_SET"][3] == stayed["registers"]["ANGLE_ACT"][3]
        commander.position = OPEN
        commander.epoch = 2
        peer.collect(states, has(lambda s: s.position[3] > 0.99))

        commander.position = index_at(0.2)
        peer.collect(states, has(lambda s: s.position[3] < 0.8))
        hand.ask("set_error", bit=3, channel=3)  # on its way: its target is not where it is
        for channel, bit in ((0, 2), (5, 4)):
            hand.ask("set_error", bit=bit, channel=channel)
        peer.collect(reports, awaits("little: overcurrent; index: motor; thumb_rotate: communication"))
        travelled = hand.travelled()
        reply = trigger(peer)
        assert reply.success, reply.message
        assert "next change of mode" in reply.message
        peer.collect(states, has(is_whole))
        assert all(is_whole(s) for s in peer.collect(states, more(10)))
        assert hand.travelled() == pytest.approx(travelled, abs=0.5)
        assert trigger(peer).message == "following the present commands again"
        peer.collect(states, has(lambda s: s.position[3] < 0.21))

        commander.position = OPEN
        peer.collect(states, has(lambda s: s.position[3] > 0.99))
        hand.ask("block", channel=3, angle=600, jams=True)
        commander.position = index_at(0.3)
        stalled = peer.collect(states, has(partial(has_errors, [0, 0, 0, 1, 0, 0])))
        assert stalled[-1].status[3] == 6
        assert max(s.current_a[3] for s in stalled) > 1.0
        assert level(peer.collect(reports, awaits("index: stall"))[-1]) == 1
        commander.position = (0.5, 1.0, 1.0, 0.3, 1.0, 1.0)
        peer.collect(states, has(lambda s: s.position[0] < 0.51))  # the others are not held
        hand.ask("unblock")
        assert trigger(peer).message == "no errors"
        peer.collect(states, has(lambda s: is_whole(s) and s.position[3] < 0.31))


@pytest.mark.realtime
def test_a_silent_or_unplugged_hand_is_told_of_and_found_without_moving_and_noise_is_borne(
    peer: Peer, tmp_path: Path
) -> None:
    states, reports = peer.listen(topics.HAND_STATE), peer.listen(topics.DIAGNOSTICS)
    commander = Commander(peer)
    commander.epoch = 5
    with EmulatedHand(tmp_path) as hand, driver(tmp_path, hand.link), commander.running(peer, states):
        commander.position = index_at(0.5)
        peer.collect(states, has(lambda s: s.position[3] < 0.51))
        noise = {"hex_bytes": "90eb01ff110a0690eb010f110a06e803"}
        for fault, arguments in (("drop", {"answers": 1}), ("corrupt", {"answers": 1}), ("garbage", noise)):
            hand.ask(fault, **arguments)
            found = peer.collect(states, more(5))
            assert all(is_whole(s) for s in found)
            assert all(s.position[3] == pytest.approx(0.5, abs=0.01) for s in found)
        noisy = peer.collect(reports, has(lambda r: int(value(r, "missed_answers")) >= 2))[-1]
        assert value(noisy, "losses") == "0"

        assert reaction_s(states, is_away, "silent", lambda: hand.ask("silence")) < 3 * TIMEOUT_S + REACTION_S
        peer.collect(reports, awaits("no answer to 3 requests in a row"))
        hand.ask("silence", on=False)
        peer.collect(states, has(is_whole))
        commander.epoch += 1

        assert reaction_s(states, is_away, "unplugged", lambda: hand.ask("unplug")) < REACTION_S
        again = peer.collect(states, more(10))
        assert all(is_away(s) for s in again)
        np.testing.assert_allclose(again[-1].position, index_at(0.5), atol=0.01)
        assert level(peer.collect(reports, awaits("tty"))[-1]) == 2
        commander.position = (0.8,) * 6
        hand.ask("power_cycle")
        travelled = hand.travelled()
        hand.ask("replug")
        peer.collect(states, has(is_whole))
        assert all(is_whole(s) for s in peer.collect(states, more(10)))
        assert hand.register("SPEED_SET") == [1000] * 6
        assert hand.register("ANGLE_SET") == [-1] * 6
        assert hand.travelled() == travelled
        commander.position = index_at(0.5)
        commander.epoch += 1
        await_true(lambda: hand.register("ANGLE_SET")[3] == 500, "the target of the new epoch")


def test_a_driver_at_the_port_of_another_program_ends_with_one_line(tmp_path: Path) -> None:
    with EmulatedHand(tmp_path) as hand:
        other = SerialPort(str(hand.link), 115200)
        with driver(tmp_path, hand.link) as process:
            assert process.wait() == 1
        other.close()
        line = process.log.read_text().splitlines()[-1]
        assert line == (
            f"inspire_hand_driver: {hand.link} is in use by another program: end it, or set another port"
        )
        assert hand.count("requests") == 0


def reaction_s(
    states: PolledSubscription, tells: Callable[[Any], bool], what: str, cause: Callable[[], object]
) -> float:
    """Seconds from the cause to the arrival of the first state that tells of it."""
    begun_ns = time.time_ns()
    cause()
    arrived_ns: list[int] = []

    def told() -> bool:
        arrived_ns.extend(taken.received_ns for taken in states.take() if tells(taken.message))
        return bool(arrived_ns)

    await_true(told, f"a state that tells of it: {what}")
    taken_s = (arrived_ns[0] - begun_ns) * 1e-9
    print(f"{what} to error state: {taken_s * 1e3:.1f} ms")
    assert taken_s > 0.0
    return taken_s


def trigger(peer: Peer) -> Any:
    return peer.call(topics.HAND_RECOVER_SERVICE, "std_srvs/srv/Trigger")
