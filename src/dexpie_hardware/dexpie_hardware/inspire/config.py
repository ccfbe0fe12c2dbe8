"""Settings of the hand driver; every field is a ROS parameter of the same name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dexpie_hardware.inspire.protocol import CHANNELS
from dexpie_hardware.inspire.timing import cycle_s
from dexpie_ros.parameters import parameter

BAUD_RATES = (115200, 57600, 19200)
NEWTONS_PER_GRAM = 0.00980665


@dataclass(frozen=True)
class HandParameters:
    """Raises ValueError that names the field. Lists: six values, little finger first, thumb rotation last.

    force_limits_g stops a finger, but late: at a limit of 500 a real hand peaked at 1556 with speed 1000,
    1246 with 500, 996 with 100, 524 with 25.
    """

    port: str = parameter("", "serial port of the hand, best a path below /dev/serial/by-id")
    hand_id: int = parameter(1, "id of the hand on the line, 1..254")
    baud: int = parameter(115200, "baud rate: 115200, 57600 or 19200")
    rate_hz: float = parameter(25.0, "cycles a second, Hz, 25..50; above 30 only with block_reads")
    block_reads: bool = parameter(
        False, "read everything measured at once (not in the manual); given up where the hand does not answer"
    )
    answer_timeout_s: float = parameter(0.025, "time that an answer may take, s")
    max_missed: int = parameter(3, "missing answers in a row after which the hand counts as away")
    retry_period_s: float = parameter(0.5, "time between attempts to reach a hand that is away, s")
    force_limits_g: tuple[int, ...] = parameter((500,) * CHANNELS, "force that stops a finger, g, 0..1000")
    speed_limits: tuple[int, ...] = parameter(
        (1000,) * CHANNELS, "speed of the fingers, 0..1000; 1000 is full travel in about 0.8 s"
    )
    dead_band_counts: int = parameter(
        2, "a target is sent when it differs by more from what was sent, counts of 1000"
    )
    clear_stalls: bool = parameter(False, "clear stalls without being asked, once a second at most")
    newtons_per_gram: tuple[float, ...] = parameter(
        (NEWTONS_PER_GRAM,) * CHANNELS, "slope of force in N over the hand's reading in g"
    )
    force_offset_n: tuple[float, ...] = parameter((0.0,) * CHANNELS, "force in N at a reading of 0 g")

    def __post_init__(self) -> None:
        if not self.port:
            raise ValueError("port is empty: set it to the hand's path below /dev/serial/by-id")
        if self.baud not in BAUD_RATES:
            raise ValueError(f"baud {self.baud} is not one of {', '.join(map(str, BAUD_RATES))}")
        _check_range("hand_id", self.hand_id, 1, 254)
        _check_range("rate_hz", self.rate_hz, 25, 50)
        _check_range("answer_timeout_s", self.answer_timeout_s, 0.01, 0.2)
        _check_range("max_missed", self.max_missed, 1, 20)
        _check_range("retry_period_s", self.retry_period_s, 0.05, 10)
        _check_range("dead_band_counts", self.dead_band_counts, 0, 50)
        for name in ("force_limits_g", "speed_limits"):
            _check_six(name, getattr(self, name), 0, 1000)
        _check_six("newtons_per_gram", self.newtons_per_gram, 1e-6, 1.0)
        _check_six("force_offset_n", self.force_offset_n, -100.0, 100.0)
        needed_s = cycle_s(self.baud, self.block_reads)
        if needed_s > 1.0 / self.rate_hz:
            raise ValueError(
                f"rate_hz {self.rate_hz:g} is too fast: at {self.baud} baud a cycle takes "
                f"{needed_s * 1e3:.0f} ms; lower it, or set block_reads"
            )


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name} {value:g} must be in {low:g}..{high:g}")


def _check_six(name: str, values: Sequence[float], low: float, high: float) -> None:
    if len(values) != CHANNELS:
        raise ValueError(f"{name} needs {CHANNELS} values, got {len(values)}")
    for value in values:
        _check_range(name, value, low, high)
