"""The driver node as a process, the emulated controller that it drives, and the test as its executor."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from ur_emulator_for_tests import UrEmulator, ur_emulator

from dexpie_core import messages, se3, topics
from dexpie_core.se3 import Array
from dexpie_ros.factory import make
from dexpie_ros.testing import NodeProcess, Peer, Repeating, await_true

MODULE = "dexpie_hardware.ur5.driver_node"
# The controller's stand-in is no real-time system: only the test of the freeze takes 40 ms for silence.
PATIENT = {"stale_periods": 60, "watchdog_hz": 2.0}
RATE_HZ = 25.0


class Ur5Cell:
    """What a test sees and does: statuses, the arm's pose, commands, /arm/recover."""

    def __init__(self, emulator: UrEmulator, node: NodeProcess, peer: Peer) -> None:
        self.emulator = emulator
        self.node = node
        self._peer = peer
        self._status = peer.listen(topics.ARM_STATUS)
        self._tcp = peer.listen(topics.TCP_POSE)
        self._joints = peer.listen(topics.JOINT_STATES)
        self._diagnostics = peer.listen(topics.DIAGNOSTICS)
        self._command = peer.advertise(topics.ARM_COMMAND)
        self.statuses: list[Any] = []

    def await_status(self, wanted: Callable[[Any], bool], what: str, timeout_s: float = 30.0) -> Any:
        """The first status from now on, the newest one included, that is as wanted."""
        seen = max(0, len(self.statuses) - 1)

        def found() -> bool:
            self.statuses.extend(taken.message for taken in self._status.take())
            return any(wanted(status) for status in self.statuses[seen:])

        await_true(found, what, timeout_s)
        return next(status for status in self.statuses[seen:] if wanted(status))

    def await_ready(self) -> None:
        """Wait until the arm is ready."""
        self.await_status(lambda s: s.ready, "a ready arm")

    def await_words(self, words: str) -> Any:
        """Wait for a status that is not ready and says these words."""
        return self.await_status(lambda s: not s.ready and words in s.detail, f"the words '{words}'")

    def tcp_T(self) -> Array:
        """The next TCP pose (4, 4) that is published."""
        for _ in self._tcp.take():
            pass
        return messages.pose_T(self._peer.collect(self._tcp, lambda found: len(found) >= 2)[-1].pose)

    def tcp_path(self) -> list[Any]:
        """TCP poses that have come since the last call."""
        return [taken.message for taken in self._tcp.take()]

    def joints(self) -> Any:
        """The next joint states."""
        for _ in self._joints.take():
            pass
        return self._peer.collect(self._joints, bool)[-1]

    def diagnosis(self, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Values of the first diagnostics that are as wanted."""
        found: list[dict[str, str]] = []

        def holds() -> bool:
            for taken in self._diagnostics.take():
                found.extend({v.key: v.value for v in status.values} for status in taken.message.status)
            return any(wanted(values) for values in found)

        await_true(holds, "the diagnostics")
        return next(values for values in found if wanted(values))

    def send(self, T: Array, tick: int = 0, ahead_s: float = 0.04) -> None:
        """One command (4, 4), due `ahead_s` from now."""
        pose = messages.pose(make, T)
        self.send_pose(pose, tick, ahead_s)

    def send_pose(self, pose: Any, tick: int = 0, ahead_s: float = 0.04) -> None:
        """One command of a geometry_msgs/Pose."""
        now_ns = time.time_ns()
        due = messages.time(make, now_ns + round(ahead_s * 1e9))
        header = messages.header(make, now_ns)
        self._command.publish(
            make("dexpie_msgs/msg/ArmCommand", header=header, pose=pose, due=due, epoch=1, tick=tick)
        )

    def recover(self) -> Any:
        """Call /arm/recover."""
        return self._peer.call(topics.ARM_RECOVER_SERVICE, "std_srvs/srv/Trigger")

    def servo_process(self) -> int:
        """Process id of the node's servo process."""
        children = Path(f"/proc/{self.node.process.pid}/task").glob("*/children")
        (pid,) = [int(pid) for path in children for pid in path.read_text().split()]
        return pid

    def servo_targets(self) -> Array:
        """What was streamed (n, 8): arrival s, code, six numbers."""
        return np.array(self.emulator.command("servo_log", newest=20_000)["targets"]).reshape(-1, 8)

    def servos(self) -> list[str]:
        """Names of the commands that the control program has carried out."""
        return [entry[2] for entry in self.emulator.state()["script_log"]]


class Walk:
    """Commands the poses of a function of time (s) at 25 Hz, as the executor does; a context manager."""

    def __init__(self, cell: Ur5Cell, pose_at: Callable[[float], Array]) -> None:
        self._cell = cell
        self._pose_at = pose_at
        self._begun_s = time.monotonic()
        self._lock = threading.Lock()
        self.sent = 0
        self._repeating = Repeating(RATE_HZ, self._send)

    def _send(self) -> None:
        self._cell.send(self._pose_at(time.monotonic() - self._begun_s), self.sent)
        self.sent += 1

    def __enter__(self) -> Self:
        self._repeating.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._repeating.__exit__(*exception)


@contextlib.contextmanager
def ur5_cell(log_dir: Path, *options: str, **parameters: object) -> Iterator[Ur5Cell]:
    """Emulator (its command line's options) and node (its parameters), both gone at the end."""
    with ur_emulator(*options) as emulator, Peer() as peer:
        values = {"host": emulator.host, **PATIENT, **parameters}
        with NodeProcess(MODULE, log_dir / "ur5_driver.log", values) as node:
            yield Ur5Cell(emulator, node, peer)


def runs(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def circle(start: Array, radius_m: float, period_s: float) -> Callable[[float], Array]:
    """A circle in y and z of the base that begins at a pose (4, 4), with a slow turn of the hand."""

    def pose_at(time_s: float) -> Array:
        angle = 2 * np.pi * time_s / period_s
        T = start.copy()
        T[:3, 3] += radius_m * np.array([0.0, np.sin(angle), 1.0 - np.cos(angle)])
        T[:3, :3] = se3.rotation_from_rotvec([0.0, 0.0, 0.2 * np.sin(angle)]) @ T[:3, :3]
        return T

    return pose_at
