"""The thin class around ur_rtde: what must not be sent is refused before the library sends it."""

import subprocess
import sys
from pathlib import Path

import pytest
from ur5_link_for_tests import UNFIT
from ur_emulator_for_tests import ur_emulator

from dexpie_ros.testing import await_true

pytestmark = pytest.mark.processes

PROGRAM = Path(__file__).parent / "ur5_link_for_tests.py"


def test_short_long_and_infinite_vectors_never_leave_the_process() -> None:
    """ur_rtde itself would send them and say True."""
    with ur_emulator() as emulator:
        command = [sys.executable, str(PROGRAM), emulator.host]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            try:
                assert process.stdout.readline() == "running\n"
                before = emulator.state()
                process.stdin.write("try\n")
                process.stdin.flush()
                assert process.stdout.readline() == f"{2 * len(UNFIT)}\n"
                after = emulator.state()
                assert after["commands_received"] == before["commands_received"]
                assert after["input_doubles"] == before["input_doubles"]
                process.stdin.write("go on\n")
                process.stdin.flush()
                await_true(
                    lambda: len(emulator.command("servo_log")["targets"]) == 1, "the one pose that is fit"
                )
                assert process.wait(10.0) == 0
            finally:
                process.kill()
        assert emulator.state()["runtime_state"] == "STOPPED"
