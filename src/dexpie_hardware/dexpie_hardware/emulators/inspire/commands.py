"""The commands of the control channel: what can go wrong with a hand, and what it did since."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from dexpie_hardware.emulators.inspire.mechanics import Obstacle
from dexpie_hardware.emulators.inspire.registers import BLOCKS, CHANNELS
from dexpie_hardware.emulators.inspire.server import HandServer


class HandCommands:
    """Every public method is a command, run on the server's thread. A channel is 0..5, or all if left out."""

    def __init__(self, server: HandServer) -> None:
        self._server = server
        self._model = server.model
        self._line = server.line

    def by_name(self) -> dict[str, Callable[..., Any]]:
        """The commands."""
        names = [name for name in dir(self) if not name.startswith("_") and name != "by_name"]
        return {name: self._server.on_loop(getattr(self, name)) for name in names}

    def set_error(self, bit: int, channel: int | None = None, on: bool = True) -> None:
        """Raise (or drop) error bit 0..4."""
        if bit not in range(5):
            raise ValueError(f"bit {bit} is not in 0..4")
        for number in _channels(channel):
            self._model.set_error(number, bit, on)

    def block(
        self, angle: float, channel: int | None = None, stiffness_g: float = 10.0, jams: bool = False
    ) -> None:
        """Put an obstacle below an angle (counts); with `jams` the force sensor does not feel it."""
        for number in _channels(channel):
            self._model.block(number, Obstacle(float(angle), float(stiffness_g), bool(jams)))

    def unblock(self, channel: int | None = None) -> None:
        """Take the obstacle away."""
        for number in _channels(channel):
            self._model.block(number, None)

    def temperature(self, celsius: int, channel: int | None = None) -> None:
        """Set the temperature."""
        if not 0 <= celsius <= 255:
            raise ValueError(f"celsius {celsius} is not in 0..255")
        for number in _channels(channel):
            self._model.fingers[number].temperature_c = int(celsius)

    def garbage(self, hex_bytes: str) -> None:
        """Send bytes to the host, as noise."""
        self._line.disturb(bytes.fromhex(hex_bytes), time.monotonic())

    def drop(self, answers: int) -> None:
        """Lose the next answers; what was asked is done."""
        self._line.disturbances.drop = int(answers)

    def corrupt(self, answers: int) -> None:
        """Spoil the sum of the next answers."""
        self._line.disturbances.corrupt = int(answers)

    def delay(self, seconds: float) -> None:
        """Answer so much later."""
        self._line.disturbances.delay_s = float(seconds)

    def silence(self, on: bool = True) -> None:
        """Hear and answer nothing, the terminal staying there."""
        self._line.disturbances.silent = bool(on)

    def unplug(self) -> None:
        """Take the terminal away."""
        self._server.unplug()

    def replug(self) -> None:
        """Bring it back."""
        self._server.plug()

    def power_cycle(self) -> None:
        """Start the hand anew; the terminal stays, as that of an adapter with its own supply."""
        self._model.power_on()

    def state(self) -> Mapping[str, Any]:
        """Registers, where the fingers are, how far each has travelled (counts), and what was counted."""
        model = self._model
        return {
            "registers": {name: model.registers.get(name) for name in BLOCKS},
            "position": model.positions,
            "travelled": model.travelled,
            "force_g": model.force_g,
            "plugged": self._server.plugged,
            "counts": {**model.counts, **self._line.counts},
        }


def _channels(channel: int | None) -> range:
    if channel is None:
        return range(CHANNELS)
    if channel not in range(CHANNELS):
        raise ValueError(f"channel {channel} is not in 0..{CHANNELS - 1}")
    return range(channel, channel + 1)
