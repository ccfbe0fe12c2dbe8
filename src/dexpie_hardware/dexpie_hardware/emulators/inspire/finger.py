"""The firmware of one finger: latency, speed, force stop, stall, faults. Pure, driven by explicit time.

Angles are counts, 1000 = open. Times and speeds after measurements of real hands (maker's manual V1.09
for the full travel; public measurements at a speed of 1000 for latency and overshoot).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

import numpy as np

OPEN: Final = 1000.0
RUN_ON_SPEED: Final = (10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
RUN_ON_COUNTS: Final = (0.0, 2.4, 32.5, 49.6, 57.3, 74.6, 105.6)
"""How far a finger runs on after its force limit, by SPEED_SET.

Measured peaks above a limit of 500 g were 24, 325, 496, 573, 746 and 1056 g at the speeds from 25 on; the
distances are those of a thing that gives way by a count for every 10 g.
"""
BACK_OFF_1_S: Final = 0.3
"""Speed of the return from the run-on, as a share of SPEED_SET 1000."""
RESUME_SHARE: Final = 0.8
"""A finger that had stopped at its limit goes on when the force falls below this share of it."""
STALL_S: Final = 0.5
STALL_COUNTS: Final = 30.0
FELT_G: Final = 100.0
"""A finger that is blocked by less than this stalls: what the sensor does not feel stops no motor in time."""
REACHED_COUNTS: Final = 3.0
HOT_C: Final = 70
COOL_C: Final = 60
"""Over-temperature comes at HOT_C and goes at COOL_C. Assumed: the manual gives no numbers."""
_STOPPED_CURRENT_MA: Final = 1100


class Error(IntFlag):
    """Bits of register ERROR."""

    STALL = 1
    OVER_TEMPERATURE = 2
    OVERCURRENT = 4
    MOTOR = 8
    COMMUNICATION = 16


class Status(IntEnum):
    """Codes of register STATUS; UNTOLD is seen before the first command."""

    RELEASING = 0
    GRASPING = 1
    REACHED = 2
    FORCE_REACHED = 3
    CURRENT_PROTECTION = 5
    STALLED = 6
    FAULT = 7
    UNTOLD = 255


@dataclass(frozen=True)
class FingerConfig:
    """latency_s: command to first motion. travel_s: full travel at speed 1000.

    closed_end: where a finger told to close stops. short_counts: by how much an opening motion falls short.
    runs_on: whether the force overshoots here; with physics joined it does so there.
    """

    latency_s: float = 0.066
    travel_s: float = 0.8
    closed_end: float = 0.0
    short_counts: float = 0.0
    runs_on: bool = True


class Finger:
    """`reference` is where the motor is to be; position and force come from the mechanics each step."""

    def __init__(self, config: FingerConfig, position: float) -> None:
        self.config = config
        self.reference = position
        self.speed = 500
        self.force_limit_g = 500
        self.current_limit_ma = 1500
        self.temperature_c = 40
        self.current_ma = 0
        self.error = Error(0)
        self._commands: deque[tuple[float, float]] = deque()
        self._goal: float | None = None
        self._stopped_at: float | None = None
        self._run_on_to: float | None = None
        self._stuck_s = 0.0
        self._status = Status.UNTOLD

    @property
    def status(self) -> Status:
        """Code of register STATUS."""
        if self.error & Error.STALL:
            return Status.STALLED
        if self.error & Error.OVERCURRENT:
            return Status.CURRENT_PROTECTION
        return Status.FAULT if self.error else self._status

    def command(self, angle: float, now_s: float) -> None:
        """A target; it takes effect after the latency."""
        self._commands.append((now_s + self.config.latency_s, angle))

    def put(self, position: float) -> None:
        """Stay at a position that something else brought the finger to."""
        self._commands.clear()
        self.reference = position
        self._goal = position if self._goal is not None else None
        self._forget_stop()

    def clear_error(self) -> None:
        """Clear what CLEAR_ERROR clears."""
        self.error &= Error.OVER_TEMPERATURE
        self._stuck_s = 0.0

    def step(self, now_s: float, dt_s: float, position: float, force_g: float) -> None:
        """Move the reference for dt_s; position (counts) and force (g) are the measured ones."""
        while self._commands and self._commands[0][0] <= now_s + 1e-9:
            self._goal = self._effective(self._commands.popleft()[1], position)
        self._watch_temperature()
        if self.error or self._goal is None:
            self.current_ma = 0
            if self.error:
                self.reference = position
                self._forget_stop()
            return
        self._watch_force(position, force_g)
        self._move(dt_s)
        self._watch_motion(dt_s, position, force_g)

    def _effective(self, angle: float, position: float) -> float:
        if angle > position + self.config.short_counts:
            angle -= self.config.short_counts
        return max(angle, self.config.closed_end)

    def _watch_temperature(self) -> None:
        if self.temperature_c >= HOT_C:
            self.error |= Error.OVER_TEMPERATURE
        elif self.temperature_c <= COOL_C:
            self.error &= ~Error.OVER_TEMPERATURE

    def _watch_force(self, position: float, force_g: float) -> None:
        assert self._goal is not None
        if self._stopped_at is None:
            if self._goal < self.reference and force_g >= self.force_limit_g:
                if self.config.runs_on:
                    self._stopped_at, self._run_on_to = position, position - self._run_on()
                else:
                    self._stopped_at = self.reference  # joined physics needs it this far in to press so hard
            return
        opens = self._goal >= self._stopped_at
        if opens or (self._run_on_to is None and force_g < RESUME_SHARE * self.force_limit_g):
            self._forget_stop()

    def _run_on(self) -> float:
        return float(np.interp(self.speed, RUN_ON_SPEED, RUN_ON_COUNTS))

    def _forget_stop(self) -> None:
        self._stopped_at = None
        self._run_on_to = None

    def _move(self, dt_s: float) -> None:
        assert self._goal is not None
        full_step = OPEN / self.config.travel_s * dt_s
        step = full_step * self.speed / 1000.0
        goal = self._goal
        if self._run_on_to is not None:
            goal = max(self._run_on_to, self.config.closed_end)
            if self.reference == goal:
                self._run_on_to = None
        if self._stopped_at is not None and self._run_on_to is None:
            goal, step = self._stopped_at, full_step * BACK_OFF_1_S
        self.reference += min(max(goal - self.reference, -step), step)

    def _watch_motion(self, dt_s: float, position: float, force_g: float) -> None:
        assert self._goal is not None
        behind = abs(self.reference - position) > STALL_COUNTS and self.reference == self._goal
        blocked = behind and force_g < FELT_G
        self._stuck_s = self._stuck_s + dt_s if blocked else 0.0
        moving = abs(self._goal - position) > REACHED_COUNTS
        self.current_ma = round(
            _STOPPED_CURRENT_MA if blocked else 60 + 150 * moving + 0.3 * max(force_g, 0.0)
        )
        if self.current_ma > self.current_limit_ma:
            self.error |= Error.OVERCURRENT
        elif self._stuck_s >= STALL_S:
            self.error |= Error.STALL
        if self._stopped_at is not None:
            self._status = Status.FORCE_REACHED
        elif not moving:
            self._status = Status.REACHED
        else:
            self._status = Status.RELEASING if self._goal > position else Status.GRASPING
