"""Parameters of the driver, with unit and range; the same for the node and for its servo process. Pure."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from dexpie_core import se3
from dexpie_core.limits import MotionLimits
from dexpie_core.se3 import Array
from dexpie_hardware.ur5.interpolator import MotionBounds

CB3_RATE_HZ = 125.0
_BOX = MotionLimits()
_LENGTHS = {"workspace_min_m": 3, "workspace_max_m": 3, "tcp_offset": 6, "payload_cog_m": 3}


def _parameter(default: Any, description: str, low: float = -np.inf, high: float = np.inf) -> Any:
    """A field with a description and the range of its value, or of each of its values."""
    if np.isfinite(low):
        description += f"; {low:g} to {high:g}"
    return dataclasses.field(default=default, metadata={"description": description, "low": low, "high": high})


@dataclass(frozen=True)
class Ur5Parameters:
    """Every number that a user may change."""

    host: str = _parameter("", "address of the controller")
    rate_hz: float = _parameter(125.0, "rate of joint states and TCP pose, Hz", 1.0, 500.0)
    servo_rate_hz: float = _parameter(CB3_RATE_HZ, "servo rate, Hz: 125 on CB3, 500 on e-Series", 25.0, 500.0)
    servo: str = _parameter("pose", "what is streamed: pose (servoL) or joints (servoJ, own kinematics)")
    kinematics: str = _parameter(
        "ur5", "model for the checks before sending: ur5, or none for another arm (workspace box only)"
    )
    lookahead_s: float = _parameter(0.1, "servo lookahead: longer is smoother and later, s", 0.03, 0.2)
    gain: float = _parameter(300.0, "proportional gain of the servo", 100.0, 2000.0)
    follow_delay_s: float = _parameter(
        0.03, "time from due to reached, s; within it the next target must come for an even motion", 0.0, 0.2
    )
    max_linear_speed_m_s: float = _parameter(0.6, "bound of the streamed TCP speed, m/s", 0.01, 3.0)
    max_angular_speed_rad_s: float = _parameter(1.8, "bound of the streamed TCP rotation, rad/s", 0.01, 6.0)
    max_linear_acceleration_m_s2: float = _parameter(15.0, "bound of the TCP acceleration, m/s^2", 0.1, 150.0)
    max_angular_acceleration_rad_s2: float = _parameter(
        45.0, "bound of the angular acceleration, rad/s^2", 0.1, 450.0
    )
    max_joint_speed_rad_s: float = _parameter(3.0, "bound of the joint speeds, rad/s", 0.1, 3.15)
    workspace_min_m: tuple[float, ...] = _parameter(
        _BOX.workspace_min_m, "lower corner of the workspace in base, m"
    )
    workspace_max_m: tuple[float, ...] = _parameter(
        _BOX.workspace_max_m, "upper corner of the workspace in base, m"
    )
    max_step_m: float = _parameter(0.05, "largest distance between two commands, m", 0.001, 0.5)
    max_step_rad: float = _parameter(0.2, "largest rotation between two commands, rad", 0.001, 1.5)
    max_lag_m: float = _parameter(0.15, "largest distance of arm and streamed pose, m", 0.01, 1.0)
    max_lag_rad: float = _parameter(0.6, "largest rotation between them, rad", 0.05, 3.0)
    late_command_s: float = _parameter(0.1, "age of its due time at which a command is refused, s", 0.0, 1.0)
    command_timeout_s: float = _parameter(0.2, "silence of commands after which the arm holds, s", 0.04, 2.0)
    hold_s: float = _parameter(1.0, "silence of commands after which the servo stops, s", 0.1, 60.0)
    stop_deceleration_m_s2: float = _parameter(10.0, "deceleration of a servo stop, m/s^2", 0.1, 40.0)
    settle_s: float = _parameter(0.3, "time that the executor has to take up the measured pose, s", 0.1, 5.0)
    stale_periods: int = _parameter(
        5, "missed periods after which the controller is silent; take 20 at 500 Hz", 2, 250
    )
    lost_after_s: float = _parameter(1.0, "silence after which the connection is made anew, s", 0.2, 10.0)
    reconnect_period_s: float = _parameter(0.5, "time between attempts to connect, s", 0.1, 60.0)
    watchdog_hz: float = _parameter(
        10.0,
        "rarer commands let the controller stop the program, Hz; at most half the servo rate",
        1.0,
        250.0,
    )
    tcp_offset: tuple[float, ...] = _parameter(
        (0.0,) * 6, "flange to TCP: x y z, m, and rotation vector, rad"
    )
    payload_kg: float = _parameter(0.8, "mass of all that the flange carries: weigh it, kg", 0.0, 5.0)
    payload_cog_m: tuple[float, ...] = _parameter(
        (0.0, 0.0, 0.06), "its centre of gravity seen from the flange, m"
    )
    tcp_tolerance_m: float = _parameter(
        0.02, "largest distance between the controller's TCP and the kinematics' at start, m", 0.001, 0.1
    )
    tcp_tolerance_rad: float = _parameter(0.05, "the same for the rotation, rad", 0.001, 0.5)
    realtime_priority: int = _parameter(80, "SCHED_FIFO priority of the servo process, 0 for none", 0, 99)

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("host: give the address of the controller, e.g. 192.168.1.10")
        for item in dataclasses.fields(self):
            _check_range(item.name, getattr(self, item.name), item.metadata["low"], item.metadata["high"])
        for name, length in _LENGTHS.items():
            if len(getattr(self, name)) != length:
                raise ValueError(f"{name} needs {length} numbers, got {len(getattr(self, name))}")
        if self.servo not in ("pose", "joints"):
            raise ValueError(f"servo '{self.servo}' is not one of pose, joints")
        if self.kinematics not in ("ur5", "none"):
            raise ValueError(f"kinematics '{self.kinematics}' is not one of ur5, none")
        if self.servo == "joints" and self.kinematics == "none":
            raise ValueError("servo 'joints' needs a model of the arm: kinematics must not be 'none'")
        if any(low >= high for low, high in zip(self.workspace_min_m, self.workspace_max_m, strict=True)):
            raise ValueError("workspace_min_m must be below workspace_max_m in every axis")
        if self.watchdog_hz > self.servo_rate_hz / 2:
            raise ValueError(
                f"watchdog_hz {self.watchdog_hz:g} is more than half of servo_rate_hz {self.servo_rate_hz:g}"
            )
        if self.hold_s <= self.command_timeout_s:
            raise ValueError(
                f"hold_s {self.hold_s:g} is not longer than command_timeout_s {self.command_timeout_s:g}"
            )

    def to_json(self) -> str:
        """For the servo process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Ur5Parameters:
        """What `to_json` wrote."""
        values = json.loads(text)
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    @property
    def period_s(self) -> float:
        """Length of a servo cycle."""
        return 1.0 / self.servo_rate_hz

    @property
    def tcp_offset_T(self) -> Array:
        """Transform (4, 4) flange -> TCP."""
        return se3.make(se3.rotation_from_rotvec(self.tcp_offset[3:]), self.tcp_offset[:3])

    @property
    def bounds(self) -> MotionBounds:
        """Bounds of the streamed motion."""
        return MotionBounds(
            self.max_linear_speed_m_s,
            self.max_angular_speed_rad_s,
            self.max_linear_acceleration_m_s2,
            self.max_angular_acceleration_rad_s2,
        )


def _check_range(name: str, value: Any, low: float, high: float) -> None:
    numbers = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        if isinstance(number, str):
            continue
        if not np.isfinite(number):
            raise ValueError(f"{name} {value} is not finite")
        if not low <= number <= high:
            raise ValueError(f"{name} {number:g} is not in {low:g} to {high:g}")
