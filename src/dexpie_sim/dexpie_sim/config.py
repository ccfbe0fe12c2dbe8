"""Settings of the simulated cell, each with its source; `preset` gives the named sets."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from dexpie_core.episode import Positions

PresetName = Literal["default", "ideal", "motors"]
LooksName = Literal["fixed", "varied"]
PRESETS: tuple[PresetName, ...] = ("default", "ideal", "motors")
LOOKS: tuple[LooksName, ...] = ("fixed", "varied")


@dataclass(frozen=True)
class CellConfig:
    """One simulated cell.

    task: bottle, drawer or lid. positions: which range the objects are placed in (ranges: tasks/<task>.py).
    timestep_s: physics step, and period at which the joint references are renewed (250 Hz; a UR5 takes 125).
    servo_period_s: spacing of the inverse-kinematics knots of the interpolated path.
    control_period_s: a commanded pose is reached by interpolation over this time (25 Hz; the scheme of
        servoL drivers that interpolate 10-25 Hz waypoints, facts/hardware.md 1.7).
    servo_lag_s: time by which the arm trails its interpolated reference. Assumed, of the order of
        servoL's usual lookahead time of 0.1 s (facts/hardware.md 1.7); not measured on a UR5.
    hand_latency_s: command to first motion, p50 of 10 trials (facts/hardware.md 2.3).
    hand_speed_1_s: full travels a second; gives the measured 0.18-0.30 s rise of a full step (2.3).
    hand_noise: standard deviation of the reported hand position, in fractions of travel; a few counts
        of 1000 (2.3).
    arm_noise_rad: standard deviation of the reported joint angles; encoder noise, assumed.
    start_jitter_m: half width of the uniform variation of the TCP's start position.
    stop_force_n: contact force of arm or hand on table or platform that makes the arm stop. Assumed,
        below the 150 N usual in the arm's own safety configuration.
    camera_latency_s: age of what a picture shows: stamped t, it shows the physics step nearest to
        t - camera_latency_s, or the start of the episode. One frame of the cameras' 60 Hz
        (facts/hardware.md 3.4): exposure and read-out, which a stamp on arrival does not know of.
    camera_noise: standard deviation of the pixels' noise, in counts of 255. Assumed: read noise of a small
        colour sensor in indoor light, after its own denoising.
    looks: `fixed`, or `varied`: light, colours and camera poses drawn from the seed (ranges: looks.py).
    """

    task: str = "bottle"
    preset: PresetName = "default"
    positions: Positions = "train"
    timestep_s: float = 0.004
    servo_period_s: float = 0.02
    control_period_s: float = 0.04
    servo_lag_s: float = 0.06
    hand_latency_s: float = 0.066
    hand_speed_1_s: float = 3.3
    hand_noise: float = 0.002
    arm_noise_rad: float = 5e-5
    start_jitter_m: float = 0.015
    stop_force_n: float = 80.0
    camera_latency_s: float = 1.0 / 60.0
    camera_noise: float = 1.0
    looks: LooksName = "fixed"

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"cell.preset {self.preset!r} must be one of {', '.join(PRESETS)}")
        if self.looks not in LOOKS:
            raise ValueError(f"cell.looks {self.looks!r} must be one of {', '.join(LOOKS)}")
        if self.camera_latency_s < 0.0 or self.camera_noise < 0.0:
            raise ValueError("cell.camera_latency_s and cell.camera_noise must not be negative")
        steps = self.servo_period_s / self.timestep_s
        if abs(steps - round(steps)) > 1e-9 or steps < 1:
            raise ValueError("cell.servo_period_s must be a whole multiple of cell.timestep_s")
        if not 0.0 <= self.servo_lag_s <= SERVO_DAMPING_S:
            raise ValueError(f"cell.servo_lag_s {self.servo_lag_s} must be in 0..{SERVO_DAMPING_S}")


SERVO_DAMPING_S = 0.06
"""Damping over stiffness of the arm's joint servos: the lag without feed-forward, and the largest one."""


_CHANGES: dict[PresetName, dict[str, Any]] = {
    "default": {},
    "ideal": {
        "servo_lag_s": 0.0,
        "hand_latency_s": 0.0,
        "hand_speed_1_s": 20.0,
        "hand_noise": 0.0,
        "arm_noise_rad": 0.0,
        "camera_latency_s": 0.0,
        "camera_noise": 0.0,
    },
    "motors": {
        "servo_period_s": 0.008,
        "hand_latency_s": 0.0,
        "hand_speed_1_s": 20.0,
        "hand_noise": 0.0,
        "arm_noise_rad": 0.0,
    },
}


def preset(name: PresetName, **changes: Any) -> CellConfig:
    """The named set of settings.

    `default`; `ideal` without lag, latency and noise; `motors`: the motors' references come from outside at
    125 Hz (`Cell.set_arm_joints`), so latency, speed limits and interpolation are those of what sends them.
    """
    config = CellConfig(preset=name, **changes)
    return replace(config, **{key: value for key, value in _CHANGES[name].items() if key not in changes})
