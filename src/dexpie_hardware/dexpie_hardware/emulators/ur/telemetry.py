"""The values of the output variables, from the controller's state. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from dexpie_core import ur5
from dexpie_core.se3 import Array
from dexpie_hardware.emulators.ur.controller import Controller
from dexpie_hardware.emulators.ur.poses import pose_from_matrix
from dexpie_hardware.emulators.ur.program import RuntimeState
from dexpie_hardware.emulators.ur.protocol import WireType
from dexpie_hardware.emulators.ur.safety import SAFETY_BITS
from dexpie_hardware.emulators.ur.variables import outputs

Numbers = Sequence[float | int] | Array
JOINT_MODE_RUNNING: Final = 253
JOINT_MODE_POWER_OFF: Final = 239


def robot_status_bits(controller: Controller) -> int:
    """Bit 0: power on, bit 1: program running."""
    return int(controller.power.on) | int(controller.program.state == RuntimeState.PLAYING) << 1


class Telemetry:
    """Getters of all variables that a controller of this generation has."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.types: dict[str, WireType] = outputs(controller.model)
        self._poses: dict[str, tuple[bytes, Numbers]] = {}
        self._getters: dict[str, Callable[[], Numbers]] = {**self._state(), **self._joints(), **self._tool()}
        self._getters.update(self._registers())

    def getter(self, name: str) -> Callable[[], Numbers]:
        """A function that returns the variable's numbers; zeros for what is not modelled."""
        zeros = (0,) * self.types[name].count
        return self._getters.get(name, lambda: zeros)

    def _state(self) -> dict[str, Callable[[], Numbers]]:
        c = self._controller
        return {
            "timestamp": lambda: (c.timestamp_s,),
            "robot_mode": lambda: (c.power.mode,),
            "safety_mode": lambda: (c.safety_mode,),
            "runtime_state": lambda: (c.program.state,),
            "robot_status_bits": lambda: (robot_status_bits(c),),
            "safety_status_bits": lambda: (SAFETY_BITS[c.safety_mode],),
            "speed_scaling": lambda: (c.switched.speed_slider,),
            "target_speed_fraction": lambda: (c.switched.speed_slider,),
            "actual_digital_output_bits": lambda: (c.switched.digital_bits,),
            "standard_analog_output0": lambda: (c.switched.analog[0],),
            "standard_analog_output1": lambda: (c.switched.analog[1],),
            "payload": lambda: (c.arm.load.mass_kg,),
            "payload_cog": lambda: c.arm.load.cog_m,
            "payload_inertia": lambda: c.arm.load.inertia_kg_m2,
        }

    def _joints(self) -> dict[str, Callable[[], Numbers]]:
        c = self._controller

        def joint_mode() -> Numbers:
            return (JOINT_MODE_RUNNING if c.power.on else JOINT_MODE_POWER_OFF,) * 6

        return {
            "target_q": lambda: c.arm.q_ref,
            "target_qd": lambda: c.arm.qd_ref,
            "target_qdd": lambda: c.arm.qdd_ref,
            "actual_q": lambda: c.arm.q,
            "actual_qd": lambda: c.arm.qd,
            "joint_mode": joint_mode,
        }

    def _tool(self) -> dict[str, Callable[[], Numbers]]:
        c = self._controller
        return {
            "actual_TCP_pose": lambda: self._pose("actual", c.arm.q),
            "target_TCP_pose": lambda: self._pose("target", c.arm.q_ref),
            "actual_TCP_speed": lambda: self._speed(c.arm.q, c.arm.qd),
            "target_TCP_speed": lambda: self._speed(c.arm.q_ref, c.arm.qd_ref),
            "actual_TCP_force": lambda: (0.0, 0.0, c.arm.contact_force_n, 0.0, 0.0, 0.0),
        }

    def _registers(self) -> dict[str, Callable[[], Numbers]]:
        places = {**self._controller.outputs.places, **self._controller.inputs.places}

        def getter(bank: Sequence[float | int], i: int) -> Callable[[], Numbers]:
            return lambda: (bank[i],)

        return {name: getter(bank, i) for name, (bank, i) in places.items()}

    def _pose(self, which: str, q: Array) -> Numbers:
        offset = self._controller.arm.load.tcp_offset
        key = q.tobytes() + offset.tobytes()
        known = self._poses.get(which)
        if known is None or known[0] != key:
            known = (key, pose_from_matrix(ur5.forward(q, offset)))
            self._poses[which] = known
        return known[1]

    def _speed(self, q: Array, qd: Array) -> Numbers:
        if not np.any(qd):
            return (0.0,) * 6
        velocity: Array = ur5.jacobian(q, self._controller.arm.load.tcp_offset) @ qd
        return velocity
