"""A robot in memory for the servo loop's tests: what it is told is written down, what it says is set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from dexpie_core import se3, ur5
from dexpie_core.se3 import Array
from dexpie_hardware.ur5.controller import ControllerState, matrix_from_pose6, pose6_from_matrix
from dexpie_hardware.ur5.errors import LinkError, RegistersTaken
from dexpie_hardware.ur5.parameters import Ur5Parameters
from dexpie_hardware.ur5.servo import ServoLoop
from dexpie_hardware.ur5.supervision import State
from dexpie_hardware.ur5.wire import Measured, Recover, Report, Request, Status, Target

HOME_Q = np.array([0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0])
NORMAL, PROTECTIVE, EMERGENCY, SAFEGUARD, VIOLATION = 1, 1 << 2, 1 << 6 | 1 << 7, 1 << 4, 1 << 8
STOPPED, PLAYING = 1, 2
POWER_OFF, IDLE, RUNNING = 3, 5, 7


class FakeRobot:
    """Follows servo commands at once. `calls` is what it was told, `sent` what was streamed."""

    def __init__(self) -> None:
        self.state = ControllerState(
            0.0, tuple(HOME_Q), (0.0,) * 6, tuple(pose6_from_matrix(ur5.forward(HOME_Q))), NORMAL, 1, RUNNING,
            STOPPED, 1.0,
        )  # fmt: skip
        self.calls: list[Any] = []
        self.sent: list[tuple[float, ...]] = []
        self.connected = True
        self.silent = False
        self.follows = True
        self.takes_commands = True
        self.version_is = (3, 15, 8)
        self.remote = True
        self.registers_taken = 0
        self.fails: set[str] = set()

    def tick(self, period_s: float) -> None:
        """The controller's next cycle."""
        if not self.silent:
            self.state = replace(self.state, timestamp_s=self.state.timestamp_s + period_s)

    def set(self, **fields: Any) -> None:
        """Change what it says."""
        self.state = replace(self.state, **fields)

    def timestamp_s(self) -> float:
        return self.state.timestamp_s

    def read(self) -> ControllerState:
        return self.state

    def servo_pose(self, pose: list[float]) -> bool:
        self.sent.append(tuple(pose))
        if self.follows:
            self.set(tcp=tuple(pose))
        return self.takes_commands

    def servo_joints(self, q_rad: list[float]) -> bool:
        self.sent.append(tuple(q_rad))
        if self.follows:
            self.set(q_rad=tuple(q_rad), tcp=tuple(pose6_from_matrix(ur5.forward(q_rad))))
        return self.takes_commands

    def kick(self) -> bool:
        if not self.calls or self.calls[-1] != "kick":
            self.calls.append("kick")
        return True

    def servo_stop(self) -> bool:
        self.calls.append("servo_stop")
        return True

    def version(self) -> tuple[int, ...]:
        return self.version_is

    def in_remote_control(self) -> bool:
        return self.remote

    def start_program(self) -> None:
        if self.registers_taken:
            self.registers_taken -= 1
            raise RegistersTaken("another client")
        self._do("start_program", runtime_state=PLAYING)

    def program_running(self) -> bool:
        return self.state.runtime_state == PLAYING

    def set_tcp(self, offset: tuple[float, ...]) -> None:
        T = ur5.forward(self.state.q_rad, se3.make(se3.rotation_from_rotvec(offset[3:]), offset[:3]))
        self._do("set_tcp", tcp=tuple(pose6_from_matrix(T)))

    def set_payload(self, mass_kg: float, cog_m: tuple[float, ...]) -> None:
        self._do(("set_payload", mass_kg, cog_m))

    def set_watchdog(self, min_frequency_hz: float) -> None:
        self._do(("set_watchdog", min_frequency_hz))

    def stop_any_program(self) -> None:
        self._do("stop_any_program", runtime_state=STOPPED)

    def close_popups(self) -> None:
        self._do("close_popups")

    def unlock_protective_stop(self) -> None:
        self._do("unlock_protective_stop", safety_bits=NORMAL, safety_mode=1)

    def restart_safety(self) -> None:
        self._do("restart_safety", safety_bits=NORMAL, safety_mode=1, robot_mode=POWER_OFF)

    def power_on(self) -> None:
        self._do("power_on", robot_mode=IDLE)

    def release_brakes(self) -> None:
        self._do("release_brakes", robot_mode=RUNNING)

    def _do(self, call: Any, **fields: Any) -> None:
        self.calls.append(call)
        name = call if isinstance(call, str) else call[0]
        if name in self.fails:
            raise LinkError(f"{name} failed")
        self.set(**fields)


class Bench:
    """A servo loop with a fake robot and a clock that the test moves."""

    def __init__(self, autostart: bool = True, **parameters: Any) -> None:
        self.p = Ur5Parameters(host="192.168.1.10", **parameters)
        self.robot = FakeRobot()
        self.reports: list[Report] = []
        self.loop = ServoLoop(self.p, self.robot, self.reports.append, autostart)
        self.now_s = 100.0

    def cycles(self, count: int = 1, requests: Iterable[Request] = ()) -> None:
        """Run servo cycles; the requests come with the first."""
        pending = list(requests)
        for _ in range(count):
            self.now_s += self.p.period_s
            self.robot.tick(self.p.period_s)
            self.loop.cycle(self.now_s, round(self.now_s * 1e9), pending)
            pending = []

    def seconds(self, duration_s: float) -> None:
        """Run for a time."""
        self.cycles(round(duration_s * self.p.servo_rate_hz))

    def target(self, T: Array, ahead_s: float = 0.04) -> Target:
        """A command that is stamped and arrives now."""
        quaternion = se3.quat_from_matrix(T)
        now_ns = round(self.now_s * 1e9)
        return Target((*T[:3, 3], *quaternion), now_ns, now_ns + round(ahead_s * 1e9), now_ns)

    def command(self, T: Array, ahead_s: float = 0.04) -> None:
        """One cycle with a command."""
        self.cycles(1, [self.target(T, ahead_s)])

    def stream(self, targets: Iterable[Array]) -> None:
        """Commands at 25 Hz."""
        for T in targets:
            self.command(T)
            self.cycles(round(self.p.servo_rate_hz / 25) - 1)

    def recover(self) -> None:
        """Call /arm/recover."""
        self.cycles(1, [Recover()])

    @property
    def here(self) -> Array:
        """Measured TCP pose (4, 4)."""
        return self.robot.state.tcp_T

    @property
    def statuses(self) -> list[Status]:
        """All that was told."""
        return [report for report in self.reports if isinstance(report, Status)]

    @property
    def status(self) -> Status:
        """The newest that was told."""
        return self.statuses[-1]

    @property
    def answer(self) -> Status:
        """The newest answer to /arm/recover."""
        return [status for status in self.statuses if status.recovered is not None][-1]

    @property
    def measured(self) -> list[Measured]:
        """All packages that were told."""
        return [report for report in self.reports if isinstance(report, Measured)]


def shifted(T: Array, x: float = 0.0, z: float = 0.0) -> Array:
    """A pose (4, 4) moved along the base's axes."""
    moved = T.copy()
    moved[:3, 3] += [x, 0.0, z]
    return moved


def positions(sent: Iterable[tuple[float, ...]]) -> Array:
    """Positions (n, 3) of streamed poses."""
    return np.array([matrix_from_pose6(pose)[:3, 3] for pose in sent])


ARMING = ["start_program", "set_tcp", ("set_payload", 0.8, (0.0, 0.0, 0.06)), ("set_watchdog", 10.0)]


def ready(**parameters: Any) -> Bench:
    """A bench whose arm is ready; what it was told until then is forgotten."""
    bench = Bench(**parameters)
    bench.seconds(0.2)
    assert bench.loop.state is State.READY, bench.status
    bench.robot.calls.clear()
    return bench


def following(**parameters: Any) -> Bench:
    """A bench whose arm follows commands."""
    bench = ready(**parameters)
    start = bench.here
    bench.stream(shifted(start, z=0.005 * k) for k in range(1, 6))
    assert bench.loop.state is State.FOLLOWING
    return bench
