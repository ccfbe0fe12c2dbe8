"""The hand's cycle on an emulated serial line of 115200 baud, against the public client library."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from measure import Result
from rh56_sdk import RH56Driver

from dexpie_hardware.inspire import protocol
from dexpie_hardware.inspire.config import HandParameters
from dexpie_hardware.inspire.hand import Hand
from dexpie_hardware.inspire.port import SerialPort
from dexpie_hardware.inspire.protocol import Register

BAUD, PERIOD_MS = 115200, 40.0
ROUNDS, CYCLES = 4, 50
HAND_ID = 1


def hand_cycle() -> Result:
    """Duration of writing six targets and reading angles, forces and status, p50."""
    with _emulated_hand() as path:
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours += _timed(_our_cycles(path))
            theirs += _timed(_pyrh56_cycles(path))
        whole = _timed(_driver_cycles(path))
    p50, p99 = np.percentile(ours, (50, 99))
    details = (
        f"p99 {p99:.1f} (theirs {np.percentile(theirs, 99):.1f}), {100 * p50 / PERIOD_MS:.0f} % of 40 ms; "
        f"with a slow register in turn p50 {np.percentile(whole, 50):.1f} p99 {np.percentile(whole, 99):.1f}"
    )
    their_p50 = float(np.percentile(theirs, 50))
    return Result("hand_cycle", "ms", float(p50), "pyrh56", their_p50, float(their_p50 / p50), details)


@contextlib.contextmanager
def _emulated_hand() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tty"
        command = [sys.executable, "-m", "dexpie_hardware.emulators.inspire", "--link", str(path)]
        emulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert emulator.stdout is not None
            emulator.stdout.readline()
            yield path
        finally:
            emulator.terminate()
            emulator.wait()


def _targets(cycle: int) -> tuple[int, ...]:
    """Different in every cycle, so that there is always something to write."""
    return (1000 - 10 * (cycle % 20),) * 6


@contextlib.contextmanager
def _our_cycles(path: Path) -> Iterator[Callable[[int], object]]:
    port = SerialPort(str(path), BAUD)
    reads = [
        protocol.read(HAND_ID, register)
        for register in (Register.ANGLE_ACT, Register.FORCE_ACT, Register.STATUS)
    ]

    def cycle(k: int) -> None:
        for request in (protocol.write(HAND_ID, Register.ANGLE_SET, _targets(k)), *reads):
            assert port.transact(request, 0.1) is not None

    yield cycle
    port.close()


@contextlib.contextmanager
def _driver_cycles(path: Path) -> Iterator[Callable[[int], object]]:
    hand = Hand(HandParameters(port=str(path), answer_timeout_s=0.1), lambda: SerialPort(str(path), BAUD))

    def cycle(k: int) -> None:
        hand.command(_targets(k), 0)
        assert hand.cycle()

    assert hand.cycle()  # connects; commands are taken from then on
    yield cycle
    assert hand.counters["target_writes"] == CYCLES + 1
    hand.close()


@contextlib.contextmanager
def _pyrh56_cycles(path: Path) -> Iterator[Callable[[int], object]]:
    hand = RH56Driver(str(path))
    hand.connect()

    def cycle(k: int) -> None:
        hand.move_to(_targets(k))
        hand.read_angle()
        hand.read_force()
        hand.read_status()

    yield cycle
    hand.disconnect()


def _timed(cycles: contextlib.AbstractContextManager[Callable[[int], object]]) -> list[float]:
    """Milliseconds of each cycle but the first."""
    taken_ms = []
    with cycles as cycle:
        cycle(0)
        for k in range(1, CYCLES + 1):
            begun = time.perf_counter()
            cycle(k)
            taken_ms.append((time.perf_counter() - begun) * 1e3)
    return taken_ms
