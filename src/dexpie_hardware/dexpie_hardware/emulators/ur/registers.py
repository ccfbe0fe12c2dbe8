"""The general purpose registers of one direction. Pure."""

from __future__ import annotations

from dexpie_hardware.emulators.ur.variables import REGISTERS


class Registers:
    """Integer and double registers, and where a variable of a given name lies."""

    def __init__(self, direction: str) -> None:
        self.ints = [0] * REGISTERS
        self.doubles = [0.0] * REGISTERS
        self.places: dict[str, tuple[list[int] | list[float], int]] = {}
        for i in range(REGISTERS):
            self.places[f"{direction}_int_register_{i}"] = (self.ints, i)
            self.places[f"{direction}_double_register_{i}"] = (self.doubles, i)
