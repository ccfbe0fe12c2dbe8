"""The simulated cell behind emulated devices: their motors move it, over datagrams (dexpie_core.plant)."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dexpie_core.errors import UsageError
from dexpie_core.plant import (
    ArmState,
    ArmTarget,
    HandState,
    HandTarget,
    PlantMessage,
    PlantMessageError,
    decode,
    encode,
)
from dexpie_ros.looped import Level, Report
from dexpie_ros.node import parameter, run
from dexpie_sim.cell import Cell
from dexpie_sim.simulation_node import NS_PER_S, CellParameters, SimulationNode

MAX_BYTES = 256
SETTLE_NS = NS_PER_S // 5  # in which the drivers see, and the executor hears, that the robot was carried


@dataclass(frozen=True)
class PlantParameters(CellParameters):
    """What is simulated, and where the emulators find it."""

    rate_hz: float = parameter(125.0, "rate of the exchange with the emulators, Hz")
    preset: str = parameter("motors", "the motors' references come from outside")
    socket: str = parameter("", "path of the Unix datagram socket that the emulators send to")

    def __post_init__(self) -> None:
        if not self.socket:
            raise ValueError("socket: give the path that the emulators are told with --plant")


class PlantSocket:
    """Takes what the emulators' motors are told, and answers the newest sender of each kind."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._senders: dict[type[PlantMessage], bytes | str] = {}
        self.received = 0
        self.refused = 0

    def take(self) -> list[PlantMessage]:
        """What has arrived, oldest first."""
        messages: list[PlantMessage] = []
        while True:
            try:
                datagram, sender = self._socket.recvfrom(MAX_BYTES)
            except BlockingIOError:
                self.received += len(messages)
                return messages
            try:
                message = decode(datagram)
            except PlantMessageError:
                self.refused += 1
                continue
            self._senders[type(message)] = sender
            messages.append(message)

    def answer(self, asked: type[PlantMessage], state: PlantMessage) -> None:
        """Send a state to the sender of the newest message of a type; dropped where that one is gone."""
        sender = self._senders.get(asked)
        if sender is not None:
            with contextlib.suppress(ConnectionRefusedError, FileNotFoundError, BlockingIOError):
                self._socket.sendto(encode(state), sender)

    def close(self) -> None:
        """Give the socket and its path back."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


def apply(cell: Cell, resets: int, message: PlantMessage) -> None:
    """Give a motor reference to the cell, unless it was meant for the robot before the newest reset."""
    match message:
        case ArmTarget() if message.resets == resets:
            cell.set_arm_joints(message.q_rad)
        case HandTarget() if message.resets == resets:
            cell.set_hand_target(message.position)


class PlantNode(SimulationNode):
    """Physics alone: the device topics come from the drivers, which talk to the emulators."""

    def __init__(self) -> None:
        super().__init__("sim_cell", PlantParameters)
        self._resets = 1
        self._acknowledged: dict[type[PlantMessage], int] = {}
        self._reset_ns = 0
        try:
            self._socket = PlantSocket(Path(self.parameters.socket))
        except OSError as error:
            raise UsageError(
                f"sim_cell: parameter socket {self.parameters.socket}: {error.strerror}"
            ) from error
        self.start(self.parameters.rate_hz, niceness=-5, realtime=10)

    def exchange(self) -> None:
        """References in, physics, states out."""
        for message in self._socket.take():
            self._acknowledged[type(message)] = message.resets
            apply(self.cell, self._resets, message)
        self.advance()
        state = self.cell.observe()
        arm = ArmState(self._resets, state.time_s, self.cell.contact_force_n, state.arm_q, state.arm_qd)
        self._socket.answer(ArmTarget, arm)
        self._socket.answer(HandTarget, HandState(self._resets, state.time_s, state.hand, state.hand_force_n))

    def after_reset(self) -> None:
        """The emulators see by the count that the joints were carried."""
        self._resets += 1
        self._reset_ns = time.monotonic_ns()

    def settled(self) -> bool:
        """Whether every emulator has seen it, and those behind them had the time to."""
        seen = all(count == self._resets for count in self._acknowledged.values())
        return seen and time.monotonic_ns() > self._reset_ns + SETTLE_NS

    def report(self) -> Report:
        """OK once an emulator moves it."""
        values: dict[str, object] = {
            "references": self._socket.received,
            "refused_datagrams": self._socket.refused,
            **self.simulation_values(),
        }
        if not self._socket.received:
            return Report(Level.WARN, "waiting for the emulators", values)
        return Report(Level.OK, "running", values)

    def finish(self) -> None:
        """The socket's path goes with the node."""
        self._socket.close()


def main() -> int:
    """Entry point."""
    return run(PlantNode)


if __name__ == "__main__":
    sys.exit(main())
