"""Commands of the control channel: what a test does to the robot and what it can see of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dexpie_hardware.emulators.control import Handler
from dexpie_hardware.emulators.ur.poses import joints_within_limits, pose_from_matrix
from dexpie_hardware.emulators.ur.safety import SafetyEvent
from dexpie_hardware.emulators.ur.server import Server


class Faults:
    """The commands; each runs on the serving thread, between two cycles."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._controller = server.controller

    def commands(self) -> Mapping[str, Handler]:
        """Handlers by name, for ControlServer."""
        handlers: list[Callable[..., Any]] = [
            self.state,
            self.servo_log,
            self.protective_stop,
            self.emergency_stop,
            self.safeguard,
            self.violation,
            self.fault,
            self.freeze,
            self.unfreeze,
            self.drop_connections,
            self.speed_slider,
            self.remote_control,
            self.ignore_programs,
            self.stop_program,
            self.contact_force,
            self.move_by_hand,
        ]
        return {handler.__name__: self._on_server(handler) for handler in handlers}

    def _on_server(self, handler: Callable[..., Any]) -> Handler:
        return lambda **arguments: self._server.call(lambda: handler(**arguments))

    def protective_stop(self) -> None:
        """As after a collision; unlocked over the dashboard."""
        self._controller.protective_stop("asked for over the control channel")

    def emergency_stop(self, pressed: bool, system: bool = False) -> None:
        """Press or release the robot's button, or that of the system around it."""
        press = SafetyEvent.SYSTEM_EMERGENCY if system else SafetyEvent.ROBOT_EMERGENCY
        self._controller.safety_event(press if pressed else SafetyEvent.EMERGENCY_RELEASED)

    def safeguard(self, opened: bool) -> None:
        """Open or close the safeguard; a paused program goes on with `play` only."""
        event = SafetyEvent.SAFEGUARD_OPENED if opened else SafetyEvent.SAFEGUARD_CLOSED
        self._controller.safety_event(event)

    def violation(self) -> None:
        """A safety violation; ended by `restart safety`."""
        self._controller.safety_event(SafetyEvent.VIOLATION, "safety violation")

    def fault(self) -> None:
        """A fault of the safety system; ended by `restart safety`."""
        self._controller.safety_event(SafetyEvent.FAULT, "safety fault")

    def freeze(self, duration_s: float | None = None, link_only: bool = False) -> None:
        """Sockets stay open, nothing is sent or taken; with `link_only` the robot itself goes on."""
        until_s = math.inf if duration_s is None else time.monotonic() + duration_s
        if link_only:
            self._server.silent_until_s = until_s
        else:
            self._server.hung_until_s = until_s

    def unfreeze(self) -> None:
        """End `freeze`."""
        self._server.silent_until_s = self._server.hung_until_s = 0.0

    def drop_connections(self, port: int | None = None) -> dict[str, int]:
        """Close the connections of a port, or all; clients can connect again."""
        chosen = [client for client in self._server.clients if port in (None, client.port)]
        for client in chosen:
            self._server.drop(client)
        return {"dropped": len(chosen)}

    def speed_slider(self, fraction: float) -> None:
        """Move the speed slider of the pendant."""
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"fraction {fraction} must be in [0, 1]")
        self._controller.switched.speed_slider = float(fraction)

    def remote_control(self, enabled: bool) -> None:
        """Switch between remote and local control (PolyScope 5)."""
        self._controller.remote_control = bool(enabled)

    def ignore_programs(self, enabled: bool) -> None:
        """Take programs and do not run them."""
        self._server.ignore_programs = bool(enabled)

    def stop_program(self) -> None:
        """Press stop on the pendant."""
        self._controller.stop_program("stopped on the pendant")

    def contact_force(self, newton: float) -> None:
        """Press on the arm; with physics outside, until its next state."""
        self._controller.arm.contact_force_n = float(newton)

    def move_by_hand(self, q: list[float]) -> None:
        """Carry the joints to q (6,) rad; the program ends."""
        joints = np.array(q, dtype=np.float64)
        if joints.shape != (6,) or not joints_within_limits(joints):
            raise ValueError("q must be six joint angles within +-2 pi rad")
        self._controller.carry(joints)

    def servo_log(self, newest: int = 1000) -> dict[str, Any]:
        """The newest servo targets that came: s since start, code (11: joints, 24: pose), six numbers."""
        return {"targets": [list(entry) for entry in self._controller.servo_log][-newest:]}

    def state(self) -> dict[str, Any]:
        """What is inside."""
        c = self._controller
        return {
            "timestamp_s": c.timestamp_s,
            "cycles": c.cycle,
            "skipped_cycles": c.skipped_cycles,
            "q": c.arm.q.tolist(),
            "qd": c.arm.qd.tolist(),
            "target_q": c.arm.q_ref.tolist(),
            "motion": type(c.arm.motion).__name__,
            "robot_mode": c.power.mode.name,
            "safety_mode": c.safety_mode.name,
            "runtime_state": c.program.state.name,
            "watchdog_hz": None if c.program.watchdog is None else c.program.watchdog.min_frequency_hz,
            "tcp_offset": pose_from_matrix(c.arm.load.tcp_offset),
            "payload_kg": c.arm.load.mass_kg,
            "payload_cog_m": c.arm.load.cog_m.tolist(),
            "contact_force_n": c.arm.contact_force_n,
            "speed_slider": c.switched.speed_slider,
            "input_ints": list(c.inputs.ints),
            "input_doubles": list(c.inputs.doubles),
            "output_ints": list(c.outputs.ints),
            "output_doubles": list(c.outputs.doubles),
            "commands_received": c.commands_received,
            "programs_received": self._server.programs_received,
            "script_log": [list(entry) for entry in c.script_log],
            "messages": list(c.message_log),
            "dashboard_log": list(self._server.dashboard.log),
            "popup": self._server.dashboard.popup,
            "clients": [client.summary() for client in self._server.clients],
        }
