"""The emulated hand as a process: terminal, control channel, pyrh56 as a client, joined physics."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspire_for_tests import MODULE, EmulatedHand

from dexpie_core.plant import HandState, HandTarget, decode, encode
from dexpie_hardware.emulators.control import ControlError
from dexpie_hardware.inspire import protocol
from dexpie_hardware.inspire.port import PORT_ERRORS, PortBusyError, SerialPort
from dexpie_hardware.inspire.protocol import Register
from dexpie_ros.testing import await_true

pytestmark = pytest.mark.processes

ANSWER_TIMEOUT_S = 2.0
SILENCE_S = 0.2


def pyrh56(hand: EmulatedHand, *arguments: str, status: int = 0) -> dict[str, Any]:
    """Data that the command line of pyrh56 prints; the whole record where it fails."""
    command = [sys.executable, "-P", "-m", "rh56_sdk", "--port", str(hand.link), "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    record = json.loads(done.stdout or done.stderr)
    return record.get("data", record)


def angles(port: SerialPort) -> tuple[int, ...]:
    data = port.transact(protocol.read(1, Register.ANGLE_ACT), ANSWER_TIMEOUT_S)
    assert data is not None
    return protocol.values(Register.ANGLE_ACT, data)


def test_pyrh56_reads_moves_and_diagnoses_the_hand(tmp_path: Path) -> None:
    with EmulatedHand(tmp_path) as hand:
        state = pyrh56(hand, "state")
        assert state["angle"] == [1000] * 6
        assert state["force"] == [-12, 5, -33, 15, -7, 3]
        assert (state["voltage"], state["temperature"]) == (560, [40] * 6)
        moved = pyrh56(hand, "move", "--angles", "400", "500", "600", "700", "800", "900", "--wait")
        assert moved["reached"]
        pyrh56(hand, "finger", "index", "300", "--wait")
        checks = pyrh56(hand, "doctor")
        assert checks["health_verified"]
        assert all(check["ok"] for check in checks["checks"])

        hand.ask("set_error", bit=3, channel=3)
        checks = pyrh56(hand, "doctor", status=5)
        assert [check["name"] for check in checks["checks"] if not check["ok"]] == ["status", "error"]
        refused = pyrh56(hand, "open", status=5)
        assert refused["error"]["type"] == "RH56HardwareError"
        assert pyrh56(hand, "clear-error") == {"cleared": True}
        hand.ask("silence")
        assert pyrh56(hand, "ping", status=4)["error"]["type"] == "RH56TimeoutError"


def test_the_terminal_goes_and_comes_back_and_is_one_programs(tmp_path: Path) -> None:
    with EmulatedHand(tmp_path) as hand:
        port = SerialPort(str(hand.link), 115200)
        assert angles(port) == (1000,) * 6
        with pytest.raises(PortBusyError, match="is in use by another program"):
            SerialPort(str(hand.link), 115200)
        hand.ask("unplug")
        assert not hand.link.is_symlink()
        with pytest.raises(PORT_ERRORS):
            angles(port)
        port.close()
        with pytest.raises(PORT_ERRORS):
            SerialPort(str(hand.link), 115200)
        hand.ask("replug")
        port = SerialPort(str(hand.link), 115200)
        assert angles(port) == (1000,) * 6
        port.close()
        wrong_baud = SerialPort(str(hand.link), 19200)
        assert wrong_baud.transact(protocol.read(1, Register.ERROR), SILENCE_S) is None
        wrong_baud.close()
        assert hand.count("wrong_baud") > 0
        hand.process.send_signal(signal.SIGTERM)
        assert hand.process.wait(10) == 0
        assert list(tmp_path.iterdir()) == []


def test_noise_and_lost_answers_on_the_terminal(tmp_path: Path) -> None:
    with EmulatedHand(tmp_path) as hand:
        port = SerialPort(str(hand.link), 115200)
        for noise in ("90eb01ff11", "90eb010f110a06e803", "eb90" * 10):
            hand.ask("garbage", hex_bytes=noise)
            time.sleep(0.02)  # it lies in the terminal's buffer, or in front of the answer
            assert angles(port) == (1000,) * 6
        for fault in ("drop", "corrupt"):
            hand.ask(fault, answers=1)
            assert port.transact(protocol.read(1, Register.ANGLE_ACT), 0.05) is None
            assert angles(port) == (1000,) * 6
        hand.ask("delay", seconds=0.1)
        assert port.transact(protocol.read(1, Register.FORCE_ACT), 0.02) is None
        time.sleep(0.15)
        hand.ask("delay", seconds=0.0)
        assert angles(port) == (1000,) * 6  # not the forces that came late
        port.close()


def test_wrong_requests_to_the_control_channel(tmp_path: Path) -> None:
    with EmulatedHand(tmp_path) as hand:
        assert {"unplug", "replug", "silence", "block", "temperature"} <= set(hand.ask("help")["commands"])
        for command, arguments, words in (
            ("set_error", {"bit": 5}, "bit 5 is not in 0..4"),
            ("block", {"angle": 500, "channel": 6}, "channel 6 is not in 0..5"),
            ("garbage", {"hex_bytes": "xy"}, "garbage: non-hexadecimal"),
            ("drop", {"count": 1}, "drop: .*count"),
        ):
            with pytest.raises(ControlError, match=words):
                hand.ask(command, **arguments)


def test_a_link_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", MODULE, "--link", str(tmp_path / "missing" / "tty")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("inspire_emulator: ")
    assert "missing" in line


class Physics:
    """Physics that the test plays: answers each target with what it was told to measure."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(10.0)

    def answer(self, state: HandState) -> HandTarget:
        """The next target; `state` is sent back."""
        datagram, sender = self._socket.recvfrom(256)
        self._socket.sendto(encode(state), sender)
        target = decode(datagram)
        assert isinstance(target, HandTarget)
        return target

    def close(self) -> None:
        self._socket.close()


def test_joined_physics_moves_the_fingers(tmp_path: Path) -> None:
    physics = Physics(tmp_path / "plant")
    zeros = np.zeros(6)
    with EmulatedHand(tmp_path, "--plant", str(tmp_path / "plant")) as hand:
        here = HandState(3, 0.0, np.full(6, 0.7), zeros)
        await_true(lambda: physics.answer(here).resets == 3, "the count of resets")
        np.testing.assert_allclose(physics.answer(here).position, here.position)
        assert hand.travelled() == [0.0] * 6  # carried, not driven

        port = SerialPort(str(hand.link), 115200)
        assert angles(port) == (700,) * 6
        write = protocol.write(1, Register.ANGLE_SET, [300] * 6)
        assert port.transact(write, ANSWER_TIMEOUT_S) == protocol.ACCEPTED
        followed = [physics.answer(here).position]
        while followed[-1][0] > 0.301:
            followed.append(physics.answer(HandState(3, 0.0, followed[-1], zeros)).position)
        steps = -np.diff(np.array(followed), axis=0)
        assert steps.min() >= 0.0
        assert steps.max() < 0.05  # a path, not a jump
        assert hand.travelled()[0] > 300

        pressed = HandState(3, 0.0, np.full(6, 0.35), np.array([0, 0, 0, 6.0, 0, 0]))
        await_true(lambda: physics.answer(pressed) and hand.register("FORCE_ACT")[3] > 500, "the force")
        assert hand.register("FORCE_ACT")[3] == round(6.0 / 0.00980665) + 15

        carried = HandState(4, 0.0, np.full(6, 0.9), zeros)
        await_true(lambda: physics.answer(carried).resets == 4, "the new count of resets")
        for _ in range(50):
            np.testing.assert_allclose(physics.answer(carried).position, carried.position)
        port.close()
    physics.close()


@pytest.mark.realtime  # how far a finger presses beyond its limit depends on the lag
def test_a_finger_pressed_by_joined_physics_stops_at_its_limit(tmp_path: Path) -> None:
    physics = Physics(tmp_path / "plant")
    with EmulatedHand(tmp_path, "--plant", str(tmp_path / "plant")) as hand:
        port = SerialPort(str(hand.link), 115200)
        at = np.full(6, 0.8)
        await_true(lambda: physics.answer(HandState(1, 0.0, at, np.zeros(6))).resets == 1, "the link")
        port.transact(protocol.write(1, Register.ANGLE_SET, [0] * 6), ANSWER_TIMEOUT_S)

        def force_n(reference: np.ndarray) -> np.ndarray:
            return 40.0 * np.maximum(0.6 - reference, 0.0)  # an object at 0.6, soft

        references = [at]
        for _ in range(250):
            state = HandState(1, 0.0, np.maximum(references[-1], 0.6), force_n(references[-1]))
            references.append(physics.answer(state).position)
        limit_n = 500 * 0.00980665
        np.testing.assert_allclose(force_n(references[-1]), limit_n, rtol=0.15)
        assert hand.register("STATUS") == [3] * 6
        assert hand.register("ERROR") == [0] * 6
        port.close()
    physics.close()
