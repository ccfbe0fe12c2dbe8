"""The hand behind its port without ROS: first a port that the test scripts, then the emulator's terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from inspire_for_tests import EmulatedHand

from dexpie_hardware.inspire.config import HandParameters
from dexpie_hardware.inspire.hand import Hand
from dexpie_hardware.inspire.link import LinkState
from dexpie_hardware.inspire.port import PortBusyError, SerialPort
from dexpie_hardware.inspire.protocol import ACCEPTED, CHANNELS, Register, Request

pytestmark = pytest.mark.processes

TRANSACTION_S = 0.0066


class ScriptedPort:
    """Answers as the test says; time passes with each transaction."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.asked: list[Request] = []
        self.values = dict.fromkeys(Register, (0,) * CHANNELS)
        self.values[Register.ANGLE_SET] = (-1,) * CHANNELS
        self.silent: Callable[[Request], bool] = lambda request: False
        self.refused: set[Register] = set()
        self.error: Exception | None = None
        self.open_error: Exception | None = None
        self.closed = 0

    def opened(self) -> ScriptedPort:
        if self.open_error is not None:
            raise self.open_error
        return self

    def transact(self, request: Request, timeout_s: float) -> bytes | None:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        if self.silent(request):
            self.now_s += timeout_s
            return None
        self.now_s += TRANSACTION_S
        if request.written:
            return b"\x00" if request.register in self.refused else ACCEPTED
        if request.is_block:
            return bytes(request.answer_bytes)
        values = self.values[request.register]
        size = request.answer_bytes // CHANNELS
        return b"".join(value.to_bytes(size, "little", signed=size == 2) for value in values)

    def close(self) -> None:
        self.closed += 1

    def written(self) -> list[tuple[str, tuple[int, ...]]]:
        """What has been written since the last call."""
        found = [(r.register.name, r.written) for r in self.asked if r.written]
        self.asked.clear()
        return found


def scripted(**parameters: object) -> tuple[Hand, ScriptedPort]:
    port = ScriptedPort()
    settings = HandParameters(port="/dev/hand", **parameters)  # type: ignore[arg-type]
    return Hand(settings, port.opened, lambda: port.now_s), port


HALF = (500,) * CHANNELS


def test_nothing_but_limits_is_written_before_the_first_command() -> None:
    hand, port = scripted()
    for _ in range(5):
        assert hand.cycle()
    assert port.written() == [("FORCE_SET", HALF), ("SPEED_SET", (1000,) * CHANNELS)]
    hand.command(HALF, 1)
    for _ in range(5):
        hand.cycle()
    assert port.written() == [("ANGLE_SET", HALF)]
    hand.close()
    assert (port.written(), port.closed) == ([], 1)


def test_a_target_whose_acknowledgement_is_lost_is_written_again() -> None:
    hand, port = scripted()
    hand.cycle()
    port.written()
    port.silent = lambda request: bool(request.written)
    hand.command(HALF, 1)
    hand.cycle()
    assert hand.link.missed_answers == 1
    port.silent = lambda request: False
    hand.cycle()
    hand.cycle()
    assert port.written() == [("ANGLE_SET", HALF)] * 2
    assert hand.counters["target_writes"] == 1


def test_a_hand_that_has_the_target_already_is_not_told_again() -> None:
    hand, port = scripted()
    port.values[Register.ANGLE_SET] = (500, 500, 500, 300, -1, 500)
    hand.cycle()
    port.written()
    hand.command(HALF, 1)
    hand.cycle()
    assert port.written() == [("ANGLE_SET", (-1, -1, -1, 500, 500, -1))]


def test_three_missing_answers_in_a_row_are_a_loss_and_no_old_angle_is_called_new() -> None:
    hand, port = scripted()
    assert hand.cycle()
    port.silent = lambda request: request.register is Register.ANGLE_ACT
    assert [hand.cycle() for _ in range(4)] == [False] * 4
    assert hand.is_up  # the others answer
    port.silent = lambda request: True
    begun_s = port.now_s
    assert not hand.cycle()
    assert hand.link.state is LinkState.AWAY
    assert port.now_s - begun_s == pytest.approx(3 * 0.025)
    assert "no answer to 3 requests in a row: check the hand's power" in hand.link.reason


def test_a_lost_port_is_tried_again_and_the_hand_set_up_and_held() -> None:
    hand, port = scripted()
    hand.cycle()
    hand.command(HALF, 1)
    hand.cycle()
    port.written()
    port.error = OSError(5, "Input/output error")
    assert not hand.cycle()
    assert hand.link.reason == "/dev/hand: [Errno 5] Input/output error"
    port.asked.clear()
    port.error = None
    hand.command((200,) * CHANNELS, 1)
    assert not hand.cycle()
    assert port.asked == []  # not yet
    port.now_s += 0.5
    assert hand.cycle()
    assert port.written() == [("FORCE_SET", HALF), ("SPEED_SET", (1000,) * CHANNELS)]
    for _ in range(3):
        hand.command((200,) * CHANNELS, 1)
        hand.cycle()
    assert port.written() == []
    hand.command((200,) * CHANNELS, 2)
    hand.cycle()
    assert port.written() == [("ANGLE_SET", (200,) * CHANNELS)]


def test_a_port_of_somebody_else_ends_the_start_but_only_delays_a_reconnection() -> None:
    hand, port = scripted()
    port.open_error = PortBusyError("/dev/hand is in use")
    with pytest.raises(PortBusyError):
        hand.cycle()
    port.open_error = None
    hand.cycle()
    port.error = OSError(5, "gone")
    hand.cycle()
    port.error, port.open_error = None, PortBusyError("/dev/hand is in use")
    port.now_s += 1.0
    assert not hand.cycle()
    assert hand.link.reason == "/dev/hand is in use"
    port.open_error = None
    port.now_s += 1.0
    assert hand.cycle()


def test_a_hand_that_refuses_its_limits_is_not_driven() -> None:
    hand, port = scripted()
    port.refused.add(Register.FORCE_SET)
    assert not hand.cycle()
    assert hand.link.reason == f"the hand refuses {list(HALF)} for FORCE_SET"
    port.refused = {Register.ANGLE_SET}
    port.now_s += 1.0
    hand.cycle()
    hand.command(HALF, 1)
    hand.cycle()
    hand.cycle()
    assert hand.counters["refused_writes"] == 1 + 2
    assert hand.is_up


def test_a_status_that_tells_of_a_fault_has_the_errors_read_at_once() -> None:
    hand, port = scripted()
    hand.cycle()
    port.asked.clear()
    port.values[Register.STATUS] = (2, 2, 2, 7, 2, 2)
    port.values[Register.ERROR] = (0, 0, 0, 8, 0, 0)
    hand.cycle()
    assert hand.values[Register.ERROR] == (0, 0, 0, 8, 0, 0)
    assert hand.gate.hold_reason == "index: motor"


def test_blocks_are_given_up_where_the_hand_does_not_answer_them() -> None:
    hand, port = scripted(block_reads=True)
    port.silent = lambda request: request.is_block
    assert hand.cycle()
    assert not hand.reads_blocks
    assert hand.link.missed_answers == 0
    hand, port = scripted(block_reads=True)
    assert hand.cycle()
    assert hand.reads_blocks
    port.asked.clear()
    assert hand.cycle()
    assert [request.is_block for request in port.asked] == [True]


def test_recovering_a_hand_that_is_away_fails_at_once() -> None:
    hand, port = scripted()
    hand.recover()
    assert hand.recovery.outcome == (False, "the hand is away: not connected yet")
    hand.cycle()
    hand.recover()
    port.error = OSError(5, "gone")
    hand.cycle()
    assert hand.recovery.outcome == (False, "the hand went away: /dev/hand: [Errno 5] gone")


def test_over_the_terminal_stalls_are_cleared_by_themselves_and_everything_read_at_once(
    tmp_path: Path,
) -> None:
    with EmulatedHand(tmp_path) as emulated:
        settings = HandParameters(
            port=str(emulated.link), clear_stalls=True, block_reads=True, answer_timeout_s=0.2
        )
        hand = Hand(settings, lambda: SerialPort(settings.port, settings.baud))
        emulated.ask("block", channel=3, angle=600, jams=True)
        wanted = (1000, 1000, 1000, 300, 1000, 1000)
        _cycle_until(hand, lambda: hand.is_up)
        assert hand.reads_blocks
        hand.command(wanted, 1)
        _cycle_until(hand, lambda: hand.values[Register.ERROR] == (0, 0, 0, 1, 0, 0))
        _cycle_until(hand, lambda: emulated.count("clears") >= 1)
        emulated.ask("unblock")
        _cycle_until(hand, lambda: not any(hand.values[Register.ERROR]))
        _cycle_until(hand, lambda: hand.values[Register.ANGLE_ACT][3] < 310)
        hand.close()


def test_over_the_terminal_a_hand_without_blocks_is_read_register_by_register(tmp_path: Path) -> None:
    with EmulatedHand(tmp_path, "--one-block-reads", "--hand-id", "7") as emulated:
        settings = HandParameters(port=str(emulated.link), hand_id=7, block_reads=True, answer_timeout_s=0.2)
        hand = Hand(settings, lambda: SerialPort(settings.port, settings.baud))
        _cycle_until(hand, lambda: hand.is_up)
        assert not hand.reads_blocks
        assert hand.values[Register.TEMP] == (40,) * CHANNELS
        hand.close()


def test_over_the_terminal_a_silent_hand_is_away_after_three_answers(tmp_path: Path) -> None:
    with EmulatedHand(tmp_path) as emulated:
        settings = HandParameters(port=str(emulated.link))
        hand = Hand(settings, lambda: SerialPort(settings.port, settings.baud))
        _cycle_until(hand, lambda: hand.is_up)
        begun_s = time.monotonic()
        emulated.ask("silence")
        _cycle_until(hand, lambda: not hand.is_up)
        taken_s = time.monotonic() - begun_s
        print(f"silent to away: {taken_s * 1e3:.1f} ms")
        assert taken_s < 0.2
        assert "no answer to 3 requests in a row" in hand.link.reason
        emulated.ask("silence", on=False)
        _cycle_until(hand, lambda: hand.is_up)
        hand.close()


def _cycle_until(hand: Hand, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, hand.link.reason
        hand.cycle()
        time.sleep(0.005)
