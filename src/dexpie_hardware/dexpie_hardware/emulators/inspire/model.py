"""The hand as its line sees it: registers, six fingers, faults, answers. Pure, driven by explicit time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from dexpie_hardware.emulators.inspire import frames
from dexpie_hardware.emulators.inspire.finger import COOL_C, HOT_C, OPEN, Error, Finger, FingerConfig
from dexpie_hardware.emulators.inspire.frames import READ, WRITE, Request
from dexpie_hardware.emulators.inspire.mechanics import FingerMechanics, Obstacle
from dexpie_hardware.emulators.inspire.registers import (
    CHANNELS,
    FACTORY,
    HOLD,
    SAVED,
    RegisterFile,
    Written,
)

MAX_STEP_S: Final = 0.005
SAVE_S: Final = 1.0
CALIBRATION_S: Final = 6.0
CALIBRATION_CLOSED: Final = 300.0
REST_FORCE_G: Final = (-12, 5, -33, 15, -7, 3)
"""What the force sensors read at rest before GESTURE_FORCE_CLB."""
VOLTAGE: Final = 560
MAX_FORCE_G: Final = 32767
ACCEPTED, REFUSED, SAVED_OK = b"\x01", b"\x00", b"\x00"
CLOSED_END: Final = (46.0, 46.0, 46.0, 46.0, 46.0, 0.0)
"""Where a real hand's fingers stopped when told to close."""
SHORT_COUNTS: Final = (0.0, 0.0, 0.0, 0.0, 0.0, 14.0)
"""By how much a real hand's thumb rotation fell short."""


class HandModel:
    """`step` brings it to a time, `answer` gives what it says to a request.

    `travelled` is how far each finger has moved in all, counts. With `joined`, positions and forces come from
    outside through `measure`.
    """

    def __init__(self, hand_id: int = 1, travel_s: float = 0.8, *, joined: bool = False) -> None:
        self._saved = {**FACTORY, "HAND_ID": (hand_id,)}
        self._joined = joined
        self._configs = [
            FingerConfig(travel_s=travel_s, runs_on=False)
            if joined
            else FingerConfig(travel_s=travel_s, closed_end=end, short_counts=short)
            for end, short in zip(CLOSED_END, SHORT_COUNTS, strict=True)
        ]
        self.mechanics = [FingerMechanics(OPEN) for _ in range(CHANNELS)]
        self.force_g = [0.0] * CHANNELS
        self.rest_force_g = list(REST_FORCE_G)
        self.travelled = [0.0] * CHANNELS
        self.counts: Counter[str] = Counter()
        self.answers_across_gaps = True
        self._now_s: float | None = None
        self._calibrates_since_s: float | None = None
        self.fingers: list[Finger] = []
        self.power_on()

    def power_on(self) -> None:
        """Start anew where the fingers are: saved settings, no target, no clearable error."""
        warm = [finger.temperature_c for finger in self.fingers]
        self.registers = RegisterFile()
        for name, values in self._saved.items():
            self.registers.set(name, values)
        self.registers.set("SPEED_SET", self._saved["DEFAULT_SPEED_SET"])
        self.registers.set("FORCE_SET", self._saved["DEFAULT_FORCE_SET"])
        self.registers.set("VOLTAGE", (VOLTAGE,))
        for name in ("ANGLE_SET", "POS_SET"):
            self.registers.set(name, (HOLD,) * CHANNELS)
        self.fingers = [
            Finger(config, mechanics.position)
            for config, mechanics in zip(self._configs, self.mechanics, strict=True)
        ]
        for finger, temperature_c in zip(self.fingers, warm, strict=False):
            finger.temperature_c = temperature_c
        self._calibrates_since_s = None
        self._apply_limits()
        self._publish()

    @property
    def hand_id(self) -> int:
        """The id that it answers to."""
        return self.registers.get("HAND_ID")[0]

    @property
    def baud_code(self) -> int:
        """Value of register BAUD_RATE."""
        return self.registers.get("BAUD_RATE")[0]

    @property
    def positions(self) -> list[float]:
        """Where the fingers are, counts."""
        return [mechanics.position for mechanics in self.mechanics]

    @property
    def references(self) -> list[float]:
        """Where the motors are to be, counts."""
        return [finger.reference for finger in self.fingers]

    def step(self, now_s: float) -> None:
        """Bring the fingers to a time."""
        if self._now_s is None:
            self._now_s = now_s
        while now_s - self._now_s > 1e-9:
            dt_s = min(now_s - self._now_s, MAX_STEP_S)
            self._now_s += dt_s
            self._step_calibration()
            for channel, finger in enumerate(self.fingers):
                self._step_finger(channel, finger, dt_s)
        self._publish()

    def _step_finger(self, channel: int, finger: Finger, dt_s: float) -> None:
        assert self._now_s is not None
        mechanics = self.mechanics[channel]
        if not self._joined:
            before = mechanics.position
            mechanics.step(dt_s, finger.reference)
            self.force_g[channel] = mechanics.force_g
            self.travelled[channel] += abs(mechanics.position - before)
        finger.step(self._now_s, dt_s, mechanics.position, self.force_g[channel])

    def measure(self, positions: Sequence[float], forces_g: Sequence[float], *, carried: bool) -> None:
        """What the joined physics measured; `carried` if it put the hand there, so that it is to stay."""
        for channel, (position, force_g) in enumerate(zip(positions, forces_g, strict=True)):
            mechanics = self.mechanics[channel]
            if carried:
                self.fingers[channel].put(position)
            else:
                self.travelled[channel] += abs(position - mechanics.position)
            mechanics.position = position
            self.force_g[channel] = force_g

    def answer(self, request: Request, now_s: float) -> list[tuple[float, bytes]]:
        """Answers to a request as (delay in s, frame); none for another id or an unknown address."""
        self.step(now_s)
        if request.hand_id != self.hand_id:
            self.counts["for_others"] += 1
            return []
        self.counts["requests"] += 1
        if request.command == READ and len(request.data) == 1:
            self.counts["reads"] += 1
            data = self.registers.read(request.address, request.data[0], across_gaps=self.answers_across_gaps)
            return [] if data is None else [(0.0, frames.answer(request, data))]
        if request.command == WRITE:
            return self._answer_write(request, now_s)
        self.counts["unknown_commands"] += 1
        return []

    def _answer_write(self, request: Request, now_s: float) -> list[tuple[float, bytes]]:
        self.counts["writes"] += 1
        written = self.registers.write(request.address, request.data)
        if written is None:
            self.counts["refused_writes"] += 1
            return [(0.0, frames.answer(request, REFUSED))]
        answers = [(0.0, frames.answer(request, ACCEPTED))]
        if written.name == "SAVE" and written.values == (1,):
            self._saved = {name: self.registers.get(name) for name in SAVED}
            answers.append((SAVE_S, frames.answer(request, SAVED_OK)))
        self._obey(written, now_s)
        return answers

    def _obey(self, written: Written, now_s: float) -> None:
        match written.name, written.values:
            case (("ANGLE_SET" | "POS_SET"), _):
                self._obey_targets(written, now_s)
            case (("FORCE_SET" | "SPEED_SET" | "CURRENT_LIMIT"), _):
                self._apply_limits()
            case "CLEAR_ERROR", (1,):
                self.counts["clears"] += 1
                for finger in self.fingers:
                    finger.clear_error()
            case "RESET_PARA", (1,):
                for name, values in FACTORY.items():
                    self.registers.set(name, values)
                self._apply_limits()
            case "GESTURE_FORCE_CLB", (1,):
                self._calibrates_since_s = now_s
        for name in ("CLEAR_ERROR", "SAVE", "RESET_PARA"):
            self.registers.set(name, (0,))

    def _obey_targets(self, written: Written, now_s: float) -> None:
        self.counts["target_writes"] += 1
        for channel, value in enumerate(written.values, start=written.first):
            if value == HOLD or self._calibrates_since_s is not None:
                continue
            angle = float(value) if written.name == "ANGLE_SET" else OPEN - value / 2.0
            self.fingers[channel].command(angle, now_s)

    def _apply_limits(self) -> None:
        names = ("SPEED_SET", "FORCE_SET", "CURRENT_LIMIT")
        columns = zip(*(self.registers.get(name) for name in names), strict=True)
        for finger, (speed, force_g, current_ma) in zip(self.fingers, columns, strict=True):
            finger.speed, finger.force_limit_g, finger.current_limit_ma = speed, force_g, current_ma

    def _step_calibration(self) -> None:
        """GESTURE_FORCE_CLB closes and opens the hand by itself, then reads zero at rest."""
        if self._calibrates_since_s is None or self._now_s is None:
            return
        elapsed_s = self._now_s - self._calibrates_since_s
        if elapsed_s >= CALIBRATION_S:
            self.rest_force_g = [0] * CHANNELS
            self._calibrates_since_s = None
            self.registers.set("GESTURE_FORCE_CLB", (0,))
            return
        angle = CALIBRATION_CLOSED if elapsed_s < CALIBRATION_S / 2 else OPEN
        for finger in self.fingers:
            finger.command(angle, self._now_s - finger.config.latency_s)

    def set_error(self, channel: int, bit: int, on: bool = True) -> None:
        """Raise or drop an error bit (0..4) of a channel; over-temperature by way of the temperature."""
        finger, error = self.fingers[channel], Error(1 << bit)
        if error is Error.OVER_TEMPERATURE:
            finger.temperature_c = HOT_C + 5 if on else COOL_C - 15
        elif on:
            finger.error |= error
        else:
            finger.error &= ~error

    def block(self, channel: int, obstacle: Obstacle | None) -> None:
        """Put an obstacle into a finger's way, or take it away."""
        self.mechanics[channel].obstacle = obstacle

    def _publish(self) -> None:
        """Show the fingers in the registers."""
        angles = [round(position) for position in self.positions]
        self.registers.set("ANGLE_ACT", angles)
        self.registers.set("POS_ACT", [round(2.0 * (OPEN - position)) for position in self.positions])
        forces = zip(self.force_g, self.rest_force_g, strict=True)
        read_g = [min(round(felt_g + rest_g), MAX_FORCE_G) for felt_g, rest_g in forces]
        self.registers.set("FORCE_ACT", read_g)
        self.registers.set("CURRENT", [finger.current_ma for finger in self.fingers])
        self.registers.set("ERROR", [int(finger.error) for finger in self.fingers])
        self.registers.set("STATUS", [int(finger.status) for finger in self.fingers])
        self.registers.set("TEMP", [finger.temperature_c for finger in self.fingers])
