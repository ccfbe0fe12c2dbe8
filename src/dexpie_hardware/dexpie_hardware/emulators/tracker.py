"""`tracker_emulator`: a tracker as a bridge sends it to the driver's backend `stream`.

It draws an eight, or follows a file. With --relay it hears /emulated/tracker_pose and passes that on.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

from dexpie_core import messages, se3, topics
from dexpie_core.errors import UsageError
from dexpie_core.topics import TopicSpec
from dexpie_hardware.emulators.control import ControlServer
from dexpie_hardware.emulators.ros_program import run_emulator
from dexpie_hardware.emulators.tracker_motion import (
    EmulatedTracker,
    Faults,
    Trajectory,
    figure_eight,
    recorded,
    still,
)
from dexpie_hardware.tracker_sample import Tracking, encode, parse_address
from dexpie_ros.looped import LoopNode, Report

RELAY: Final = TopicSpec("/emulated/tracker_pose", topics.TRACKER_POSE.type, topics.TRACKER_POSE.qos)
BUILT_IN: Final[dict[str, Trajectory]] = {"figure_eight": figure_eight, "still": still}
RELAY_POLL_HZ: Final = 200.0


class TrackerEmulator(LoopNode):
    """Sends at its rate, or passes the relay's on as it comes."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__("tracker_emulator")
        try:
            self._trajectory = _trajectory(options.trajectory)
            family, self._to = parse_address(options.to)
        except ValueError as error:
            raise UsageError(f"tracker_emulator: {error}") from error
        self._tracker = EmulatedTracker(options.name, 0.0 if options.relay else options.tremor_mm * 1e-3)
        self._relay = self.poll(RELAY) if options.relay else None
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._begun_s = time.monotonic()
        self._delay_s = 0.0
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._sent = 0
        self._control = ControlServer(options.control, self._commands()) if options.control else None
        self.start(RELAY_POLL_HZ if options.relay else options.rate_hz)
        print(f"ready: tracker {options.name} to {options.to}", flush=True)

    def step(self) -> None:
        """One sample, if it is time and the tracker speaks; what is delayed waits."""
        now_s = time.monotonic()
        sample = None
        if self._relay is None:
            time_s = now_s - self._begun_s
            sample = self._tracker.sample(time_s, self._trajectory(time_s))
        elif (heard := self._relay.newest()) is not None:
            measured_s = now_s - self._begun_s - (time.time_ns() - messages.stamp_ns(heard.message)) * 1e-9
            sample = self._tracker.sample(measured_s, messages.pose_T(heard.message.pose))
        if sample is not None:
            self._waiting.append((now_s + self._delay_s, encode(sample)))
        while self._waiting and self._waiting[0][0] <= now_s:
            # Nobody listens before the driver is there.
            with contextlib.suppress(ConnectionRefusedError, FileNotFoundError, BlockingIOError):
                self._socket.sendto(self._waiting.popleft()[1], self._to)
                self._sent += 1

    def _commands(self) -> dict[str, Any]:
        return {
            "silence": lambda on=True: self._set(silent=bool(on)),
            "freeze": lambda on=True: self._set(frozen=bool(on)),
            "rotation_only": lambda on=True, admits=False: self._set(
                rotation_only=bool(on), admits=bool(admits)
            ),
            "nan": lambda on=True: self._set(nan=bool(on)),
            "tracking": lambda says: self._set(tracking=Tracking(says)),
            "jump": self._take_jump,
            "delay": self._take_delay,
            "restart": self._take_restart,
            "trajectory": self._take_trajectory,
            "clear": self._take_clear,
            "status": lambda: {"sent": self._sent},
        }

    def _set(self, **faults: Any) -> None:
        with self.lock:
            for name, value in faults.items():
                setattr(self._tracker.faults, name, value)

    def _take_jump(
        self, position_m: tuple[float, ...] = (0.0, 0.0, 0.0), rotvec_rad: tuple[float, ...] = (0.0, 0.0, 0.0)
    ) -> None:
        """From now on it believes to be somewhere else."""
        jump = se3.make(se3.rotation_from_rotvec(rotvec_rad), position_m)
        with self.lock:
            self._tracker.faults.offset = jump @ self._tracker.faults.offset

    def _take_delay(self, delay_s: float) -> None:
        """Samples come later than they are measured."""
        with self.lock:
            self._delay_s = float(delay_s)

    def _take_restart(self) -> None:
        """Its clock starts again."""
        with self.lock:
            self._tracker.clock_s = self._begun_s - time.monotonic()

    def _take_trajectory(self, name: str) -> None:
        """Another path: figure_eight, still, or a file."""
        with self.lock:
            self._trajectory = _trajectory(name)

    def _take_clear(self) -> None:
        """Nothing is wrong any more."""
        with self.lock:
            self._tracker.faults = Faults()
            self._delay_s = 0.0

    def report(self) -> Report:
        """Always OK: what is wrong is wrong on purpose."""
        return Report(values={"sent": self._sent, **self.timing_values()})

    def finish(self) -> None:
        """Close the sockets."""
        if self._control is not None:
            self._control.close()
        self._socket.close()


def _trajectory(name: str) -> Trajectory:
    return BUILT_IN[name] if name in BUILT_IN else recorded(Path(name))


def main(argv: list[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="tracker_emulator", description=__doc__)
    parser.add_argument(
        "--to", default="udp://127.0.0.1:47800", help="where the driver listens (stream_address)"
    )
    parser.add_argument("--name", default="emulated", help="name of the tracker")
    parser.add_argument("--rate-hz", type=float, default=100.0, help="samples a second (default 100)")
    parser.add_argument("--tremor-mm", type=float, default=0.3, help="amplitude of the tremor (default 0.3)")
    parser.add_argument("--trajectory", default="figure_eight", help="figure_eight, still, or a JSON file")
    parser.add_argument("--relay", action="store_true", help=f"pass on what {RELAY.name} says")
    parser.add_argument("--control", type=Path, help="socket of the control channel")
    return run_emulator(parser, TrackerEmulator, argv)


if __name__ == "__main__":
    sys.exit(main())
