"""A driver for a hand of your own: everything that DexPIE asks of one, in one file.

Replace `MyHand` by your device. It runs as it is: `python docs/examples/own_hand.py` publishes /hand/state.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from dexpie_core import messages, topics
from dexpie_core.hand_errors import HandError
from dexpie_ros.factory import make
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, parameter, run

SPEED_1_S = 1.25


@dataclass(frozen=True)
class Parameters:
    """Each becomes a ROS parameter; say the unit."""

    port: str = parameter("/dev/my_hand", "where the hand is")
    rate_hz: float = parameter(50.0, "rate of /hand/state, Hz; 25 at least")


class MyHand:
    """Your device. This one moves by itself: six channels in [0, 1], 1 = open, ordered as HAND_CHANNELS."""

    def __init__(self, port: str) -> None:
        self.port = port
        self.position = np.ones(6)
        self._target = self.position
        self._moved_s = time.monotonic()

    def send(self, target: np.ndarray) -> None:
        """Where the fingers shall go."""
        self._target = target

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (6,) and forces (6,) N; raises OSError when the hand is gone."""
        now_s = time.monotonic()
        reach = SPEED_1_S * (now_s - self._moved_s)
        self._moved_s = now_s
        self.position = self.position + np.clip(self._target - self.position, -reach, reach)
        return self.position, np.zeros(6)


class OwnHandDriver(LoopNode):
    """Commands in, states out, at a rate of its own."""

    def __init__(self) -> None:
        super().__init__("own_hand_driver")
        self.parameters = declare(self, Parameters)
        self._hand = MyHand(self.parameters.port)
        self._commands = self.poll(topics.HAND_COMMAND)
        self._state = self.advertise(topics.HAND_STATE)
        self._position = np.ones(6)
        self._lost = ""
        self._refused = 0
        self.start(self.parameters.rate_hz, realtime=20)

    def step(self) -> None:
        """One cycle. Nothing is sent before the first command: the hand does not move at the start."""
        taken = self._commands.newest()
        try:
            if taken is not None:
                self._send(taken.message)
            self._position, force_n = self._hand.read()
            self._lost, error = "", 0
        except OSError as failure:
            # Say it at once: the executor stops the robot on this bit.
            self._lost, force_n, error = str(failure), np.zeros(6), int(HandError.COMMUNICATION)
        self._state.publish(
            messages.hand_state(make, self._position, force_n, time.time_ns(), error=[error] * 6)
        )

    def _send(self, message: Any) -> None:
        target = np.asarray(message.position, dtype=np.float64)
        if not np.all(np.isfinite(target)) or np.any(target < 0.0) or np.any(target > 1.0):
            self._refused += 1
            return
        self._hand.send(target)

    def report(self) -> Report:
        """OK only while the hand really works."""
        values = {"refused_commands": self._refused, **self.timing_values()}
        return Report(Level.ERROR, self._lost, values) if self._lost else Report(Level.OK, "works", values)


if __name__ == "__main__":
    sys.exit(run(OwnHandDriver))
