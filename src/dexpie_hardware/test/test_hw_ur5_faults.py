"""Faults of the controller and of its connection: each is told at once, and ended by its own step."""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ur5_cell_for_tests import Ur5Cell, Walk, circle, runs, ur5_cell
from ur_emulator_for_tests import ur_emulator

from dexpie_ros.testing import await_true

pytestmark = pytest.mark.processes

FREEZE_TO_STATUS_S = 0.1


@contextlib.contextmanager
def following(cell: Ur5Cell) -> Iterator[None]:
    """Commands are sent, and the arm follows them."""
    cell.await_ready()
    start = cell.tcp_T()
    count = len(cell.servo_targets())
    with Walk(cell, circle(start, 0.05, 4.0)):
        await_true(lambda: len(cell.servo_targets()) > count + 30, "the arm to follow")
        yield


def moved_since(cell: Ur5Cell) -> float:
    """How far the joints go within a third of a second (rad)."""
    before = cell.emulator.state()["q"]
    time.sleep(0.3)
    return float(np.max(np.abs(np.subtract(cell.emulator.state()["q"], before))))


def test_protective_stop_and_emergency_stop_are_recovered_by_the_call_only(tmp_path: Path) -> None:
    with ur5_cell(tmp_path) as cell:
        with following(cell):
            cell.emulator.command("protective_stop")
            status = cell.await_words("safety mode PROTECTIVE_STOP")
            assert status.protective_stop and not status.emergency_stop
            assert cell.emulator.state()["runtime_state"] == "PLAYING"
            count = len(cell.servo_targets())
            cell.diagnosis(lambda v: int(v.get("ignored_commands", 0)) > 10)
            assert len(cell.servo_targets()) == count
        reply = cell.recover()
        assert reply.success, reply.message
        state = cell.emulator.state()
        assert (state["safety_mode"], state["runtime_state"]) == ("NORMAL", "PLAYING")
        assert state["watchdog_hz"] == 2.0 and state["payload_kg"] == pytest.approx(0.8)
        log = [line.lower() for line in state["dashboard_log"]]
        order = ("stop", "close popup", "close safety popup", "unlock protective stop")
        assert [line for line in log if line in order] == list(order)
        assert moved_since(cell) < 1e-4  # recovered is not moving

        with following(cell):
            cell.emulator.command("emergency_stop", pressed=True)
            status = cell.await_words("safety mode ROBOT_EMERGENCY_STOP")
            assert status.emergency_stop
            reply = cell.recover()
            assert not reply.success and "release it" in reply.message
            cell.await_words("robot mode POWER_OFF")
        cell.emulator.command("emergency_stop", pressed=False)
        cell.await_words("the motors have no power: call /arm/recover")
        time.sleep(0.5)
        assert not cell.await_status(lambda s: True, "a status").ready  # never by itself
        reply = cell.recover()
        assert reply.success, reply.message
        with following(cell):
            assert cell.emulator.state()["robot_mode"] == "RUNNING"


def test_e_series_in_local_control_and_a_stop_that_pauses_the_program(tmp_path: Path) -> None:
    options = ("--model", "e-series", "--paused-when-stopped")
    with ur5_cell(tmp_path, *options, servo_rate_hz=500.0, stale_periods=240) as cell:
        cell.await_ready()
        cell.emulator.command("protective_stop")
        cell.await_words("program PAUSED")
        cell.emulator.command("remote_control", enabled=False)
        reply = cell.recover()
        assert not reply.success and "switch it to remote control" in reply.message
        assert "stop" not in cell.emulator.state()["dashboard_log"]  # nothing is touched before
        cell.emulator.command("remote_control", enabled=True)
        reply = cell.recover()
        assert reply.success, reply.message
        with following(cell):
            pass
        assert cell.recover().message == "there was nothing to recover: the arm is ready"


@pytest.mark.realtime
def test_a_frozen_controller_is_told_within_100_ms_and_recovered_when_it_is_back(
    tmp_path: Path,
) -> None:
    """Counted from the answer to the injection to the stamp of the status: 40 ms are the five missed periods.

    The rest is the schedulers': two cycles of loops, two hops between processes, each woken at once.
    """
    with ur5_cell(tmp_path, stale_periods=5, lost_after_s=0.5) as cell:
        with following(cell):
            cell.await_ready()
            cell.emulator.command("freeze")
            frozen_s = time.time()
            status = cell.await_words("silent")
            told_s = status.header.stamp.sec + status.header.stamp.nanosec * 1e-9
            print(f"frozen controller to status: {(told_s - frozen_s) * 1e3:.0f} ms")
            assert told_s - frozen_s <= FREEZE_TO_STATUS_S
        cell.await_words("connecting to the controller")
        cell.emulator.command("unfreeze")
        cell.await_words("the control program does not run: call /arm/recover")
        await_true(lambda: max(abs(v) for v in cell.emulator.state()["qd"]) < 1e-6, "an arm at rest")
        assert moved_since(cell) < 1e-4
        reply = cell.recover()
        assert reply.success, reply.message
        with following(cell):
            child = cell.servo_process()
            cell.emulator.command("freeze")
            begun = time.monotonic()
            assert cell.node.stop() == 0
            assert time.monotonic() - begun <= 2.0
        assert not runs(child)


class RegisterHolder:
    """A second client that claims the command register, as another control connection does."""

    def __init__(self, host: str) -> None:
        self._socket = socket.create_connection((host, 30004), 5.0)
        self._ask(b"V", struct.pack(">H", 2))
        assert self._ask(b"I", b"input_int_register_0")[3] != 0

    def _ask(self, kind: bytes, payload: bytes) -> bytes:
        self._socket.sendall(struct.pack(">Hc", 3 + len(payload), kind) + payload)
        return self._socket.recv(4096)

    def close(self) -> None:
        self._socket.close()


def test_a_second_client_is_one_clear_line_and_a_killed_controller_is_found_again(tmp_path: Path) -> None:
    with ur5_cell(tmp_path) as cell:
        holder = RegisterHolder(cell.emulator.host)
        cell.await_words("another client holds the controller's input registers")
        time.sleep(2.5)  # the time of another attempt
        holder.close()
        cell.await_ready()
        lines = [line for line in cell.node.log.read_text().splitlines() if "another client" in line]
        assert len(lines) == 1
        assert "close the other one" in lines[0]

        with following(cell):
            cell.emulator.process.kill()
            cell.emulator.process.wait()
            cell.await_status(lambda s: not s.ready, "the loss of the connection", 3.0)
        cell.await_words("no connection to the controller")
        with ur_emulator(host=cell.emulator.host) as back:
            cell.emulator = back
            cell.await_words("the control program does not run: call /arm/recover")
            assert back.state()["programs_received"] == 0
            holder = RegisterHolder(back.host)
            reply = cell.recover()
            assert not reply.success and "another client" in reply.message
            holder.close()
            reply = cell.recover()
            assert reply.success, reply.message
            with following(cell):
                pass
