"""From a device that fails to the executor's FAULT, and back, with the real drivers in between."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspire_for_tests import EmulatedHand
from ur_emulator_for_tests import UrEmulator, own_host, ur_emulator

from dexpie_core import messages, topics
from dexpie_core.modes import Mode
from dexpie_ros.polling import PolledSubscription
from dexpie_ros.testing import NodeProcess, Peer, await_true

pytestmark = pytest.mark.realtime

FROZEN_LIMIT_S = 0.1
UNPLUGGED_LIMIT_S = 0.2
ROUNDS = 5


class Cell:
    """Emulated arm and hand, their drivers, the executor."""

    def __init__(self, arm: UrEmulator, hand: EmulatedHand, peer: Peer) -> None:
        self.arm = arm
        self.hand = hand
        self._peer = peer
        self._modes: PolledSubscription = peer.listen(topics.MODE)

    def ask(self, mode: Mode) -> Any:
        return self._peer.call(
            topics.SET_MODE_SERVICE, "dexpie_msgs/srv/SetMode", mode=int(mode), reason="test"
        )

    def await_mode(self, mode: Mode) -> Any:
        """The message that announces the mode, and when it came (monotonic seconds)."""
        found = self._peer.collect(
            self._modes, lambda found: bool(found) and messages.mode_of(found[-1]) is mode
        )
        return found[-1], time.monotonic()

    def to_releasing(self) -> None:
        """Out of IDLE: the executor waits for a policy that nobody runs."""
        await_true(lambda: self.ask(Mode.IDLE).accepted, "IDLE")
        assert self.ask(Mode.AUTONOMOUS).accepted
        self.await_mode(Mode.RELEASING)

    def recover(self, service: str) -> None:
        """The documented step, then IDLE."""

        def idle() -> bool:
            return bool(self.ask(Mode.IDLE).accepted)

        await_true(
            lambda: idle() or (self._peer.call(service, "std_srvs/srv/Trigger") is not None and idle()),
            "recovery",
        )


@contextlib.contextmanager
def cell(folder: Path) -> Iterator[Cell]:
    with (
        ur_emulator(host=own_host(7)) as arm,
        EmulatedHand(folder) as hand,
        NodeProcess("dexpie_hardware.ur5.driver_node", folder / "arm.log", {"host": arm.host}),
        NodeProcess("dexpie_hardware.inspire.driver_node", folder / "hand.log", {"port": str(hand.link)}),
        NodeProcess("dexpie_teleop.executor_node", folder / "executor.log"),
        Peer() as peer,
    ):
        yield Cell(arm, hand, peer)


@pytest.mark.slow
def test_a_frozen_controller_and_an_unplugged_hand_are_faults_within_their_limits(tmp_path: Path) -> None:
    """The median of some rounds: one of them may meet a machine that is busy elsewhere."""
    with cell(tmp_path) as robot:
        frozen_s, unplugged_s = [], []
        for _ in range(ROUNDS):
            robot.to_releasing()
            robot.arm.command("freeze", duration_s=0.5)
            began_s = time.monotonic()
            fault, at_s = robot.await_mode(Mode.FAULT)
            frozen_s.append(at_s - began_s)
            assert "silent" in fault.reason
            robot.recover(topics.ARM_RECOVER_SERVICE)
        for _ in range(ROUNDS):
            robot.to_releasing()
            robot.hand.ask("unplug")
            began_s = time.monotonic()
            fault, at_s = robot.await_mode(Mode.FAULT)
            unplugged_s.append(at_s - began_s)
            assert fault.reason == "hand: communication"
            robot.hand.ask("replug")
            robot.recover(topics.HAND_RECOVER_SERVICE)
        print(f"frozen controller to FAULT, ms: {np.round(np.array(frozen_s) * 1e3).tolist()}")
        print(f"unplugged hand to FAULT, ms: {np.round(np.array(unplugged_s) * 1e3).tolist()}")
        assert np.median(frozen_s) <= FROZEN_LIMIT_S, frozen_s
        assert np.median(unplugged_s) <= UNPLUGGED_LIMIT_S, unplugged_s
