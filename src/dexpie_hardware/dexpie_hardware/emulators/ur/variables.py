"""Names and types of the RTDE variables, by controller generation (Universal Robots' RTDE guide). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dexpie_hardware.emulators.ur.protocol import (
    BOOL,
    DOUBLE,
    INT32,
    UINT8,
    UINT32,
    UINT64,
    VECTOR3D,
    VECTOR6D,
    VECTOR6INT32,
    WireType,
)

REGISTERS: Final = 48


@dataclass(frozen=True)
class RobotModel:
    """One generation of controller: its version, its cycle, what it tells on the dashboard."""

    name: str
    version: tuple[int, int, int, int]
    cycle_hz: float
    polyscope: str
    robot_model: str
    serial_number: str

    @property
    def e_series(self) -> bool:
        """Whether this is a controller of PolyScope 5."""
        return self.version[0] >= 5

    @property
    def cycle_s(self) -> float:
        """Length of a control cycle."""
        return 1.0 / self.cycle_hz


MODELS: Final = {
    "cb3": RobotModel(
        "cb3", (3, 15, 8, 106339), 125.0, "URSoftware 3.15.8.106339 (Mar 17 2021)", "UR5", "2015350001"
    ),
    "e-series": RobotModel(
        "e-series", (5, 11, 6, 1010), 500.0, "URSoftware 5.11.6.1010 (Aug 27 2021)", "UR5", "20195500001"
    ),
}

_OUTPUTS: Final[dict[str, WireType]] = {
    "timestamp": DOUBLE,
    **dict.fromkeys(("target_q", "target_qd", "target_qdd", "target_current", "target_moment"), VECTOR6D),
    **dict.fromkeys(("actual_q", "actual_qd", "actual_current", "joint_control_output"), VECTOR6D),
    **dict.fromkeys(("actual_TCP_pose", "actual_TCP_speed", "actual_TCP_force"), VECTOR6D),
    **dict.fromkeys(("target_TCP_pose", "target_TCP_speed"), VECTOR6D),
    "actual_digital_input_bits": UINT64,
    "joint_temperatures": VECTOR6D,
    "actual_execution_time": DOUBLE,
    "robot_mode": INT32,
    "joint_mode": VECTOR6INT32,
    "safety_mode": INT32,
    "actual_tool_accelerometer": VECTOR3D,
    **dict.fromkeys(("speed_scaling", "target_speed_fraction", "actual_momentum"), DOUBLE),
    **dict.fromkeys(("actual_main_voltage", "actual_robot_voltage", "actual_robot_current"), DOUBLE),
    "actual_joint_voltage": VECTOR6D,
    "actual_digital_output_bits": UINT64,
    "runtime_state": UINT32,
    "elbow_position": VECTOR3D,
    "elbow_velocity": VECTOR3D,
    "robot_status_bits": UINT32,
    "safety_status_bits": UINT32,
    "analog_io_types": UINT32,
    **dict.fromkeys(("standard_analog_input0", "standard_analog_input1"), DOUBLE),
    **dict.fromkeys(("standard_analog_output0", "standard_analog_output1"), DOUBLE),
    "io_current": DOUBLE,
    "tool_mode": UINT32,
    "tool_output_voltage": INT32,
    "tool_output_current": DOUBLE,
    "tool_temperature": DOUBLE,
    "payload": DOUBLE,
    "payload_cog": VECTOR3D,
    "payload_inertia": VECTOR6D,
    **{f"{way}_int_register_{i}": INT32 for way in ("output", "input") for i in range(REGISTERS)},
    **{f"{way}_double_register_{i}": DOUBLE for way in ("output", "input") for i in range(REGISTERS)},
    **{f"{way}_bit_register_{i}": BOOL for way in ("output", "input") for i in range(64, 128)},
}
_E_SERIES_OUTPUTS: Final[dict[str, WireType]] = {"ft_raw_wrench": VECTOR6D}

INPUTS: Final[dict[str, WireType]] = {
    "speed_slider_mask": UINT32,
    "speed_slider_fraction": DOUBLE,
    **dict.fromkeys(("standard_digital_output_mask", "standard_digital_output"), UINT8),
    **dict.fromkeys(("configurable_digital_output_mask", "configurable_digital_output"), UINT8),
    **dict.fromkeys(("tool_digital_output_mask", "tool_digital_output"), UINT8),
    **dict.fromkeys(("standard_analog_output_mask", "standard_analog_output_type"), UINT8),
    **dict.fromkeys(("standard_analog_output_0", "standard_analog_output_1"), DOUBLE),
    "external_force_torque": VECTOR6D,
    **{f"input_int_register_{i}": INT32 for i in range(REGISTERS)},
    **{f"input_double_register_{i}": DOUBLE for i in range(REGISTERS)},
    **{f"input_bit_register_{i}": BOOL for i in range(64, 128)},
}


def outputs(model: RobotModel) -> dict[str, WireType]:
    """What a controller of this generation can be asked for."""
    return {**_OUTPUTS, **_E_SERIES_OUTPUTS} if model.e_series else _OUTPUTS
