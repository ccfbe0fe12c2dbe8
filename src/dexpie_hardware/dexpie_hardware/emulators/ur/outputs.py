"""What clients switch besides the registers: speed slider, digital and analogue outputs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# First bit of each group in actual_digital_output_bits.
_DIGITAL: Final = {"standard_digital_output": 0, "configurable_digital_output": 8, "tool_digital_output": 16}


class Outputs:
    """Each is written together with a mask that says which of the bits are meant."""

    def __init__(self) -> None:
        self.speed_slider = 1.0
        self.digital_bits = 0
        self.analog = [0.0, 0.0]

    def write(self, values: Mapping[str, Any]) -> None:
        """Take what a data package holds of them."""
        for name, shift in _DIGITAL.items():
            mask = values.get(f"{name}_mask", 0) << shift
            self.digital_bits = self.digital_bits & ~mask | values.get(name, 0) << shift & mask
        for i in range(2):
            if values.get("standard_analog_output_mask", 0) >> i & 1:
                self.analog[i] = values.get(f"standard_analog_output_{i}", self.analog[i])
        if values.get("speed_slider_mask", 0):
            self.speed_slider = min(1.0, max(0.0, values.get("speed_slider_fraction", 1.0)))
