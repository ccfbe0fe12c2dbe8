"""A controller driven cycle by cycle in simulated time, and a client's way of writing its registers."""

from __future__ import annotations

import numpy as np

from dexpie_hardware.emulators.ur.controller import Controller, Settings
from dexpie_hardware.emulators.ur.program import RuntimeState
from dexpie_hardware.emulators.ur.variables import MODELS

HOME = np.array([0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0])
SERVO_REST = (0.5, 0.5, 0.008, 0.1, 300.0)


class Robot:
    """A controller without wire; `now` moves with the cycles only."""

    def __init__(self, model: str = "cb3", **settings: object) -> None:
        self.now = 100.0
        self.controller = Controller(
            MODELS[model], Settings(**{"program_start_s": 0.0, **settings}), self.now
        )

    @property
    def arm(self):
        return self.controller.arm

    @property
    def answer(self) -> int:
        """output_int_register_0."""
        return self.controller.outputs.ints[0]

    @property
    def result(self) -> list[float]:
        """output_double_register_0 to 5."""
        return self.controller.outputs.doubles[:6]

    def cycles(self, count: int = 1, measured=None) -> None:
        """Run this many cycles, one by one."""
        for _ in range(count):
            self.now = self.controller.next_cycle_s + 1e-6
            self.controller.advance(self.now, measured)

    def seconds(self, duration_s: float) -> None:
        """Run for a time."""
        self.cycles(round(duration_s * self.controller.model.cycle_hz))

    def send(self, code: int, *doubles: float, i1: int | None = None) -> None:
        """Write a command and its arguments, as one data package does."""
        values = {"input_int_register_0": code}
        values.update({f"input_double_register_{i}": number for i, number in enumerate(doubles)})
        if i1 is not None:
            values["input_int_register_1"] = i1
        self.controller.write_inputs(values, self.now)

    def start(self) -> Robot:
        """Have the control program play."""
        self.send(0)
        self.controller.upload()
        self.cycles(2)
        assert self.controller.program.state == RuntimeState.PLAYING
        return self

    def command(self, code: int, *doubles: float, i1: int | None = None) -> None:
        """A command that is done: sent, awaited, cleared."""
        self.send(code, *doubles, i1=i1)
        for _ in range(2000):
            self.cycles()
            if self.answer == 2 or self.controller.program.state != RuntimeState.PLAYING:
                break
        else:
            raise AssertionError(f"command {code} was never done")
        self.send(0)
        self.cycles()
