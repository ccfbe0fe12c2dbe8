"""A policy that does not fit is refused with the one reason."""

from dataclasses import dataclass, replace

import pytest

from dexpie_core.chunk_schedule import ScheduleConfig
from dexpie_policy.fit import Cell, misfit


@dataclass(frozen=True)
class Needs:
    """A policy that fits the default cell."""

    task: str = "bottle"
    rate_hz: float = 25.0
    horizon: int = 24
    max_delay: int = 4
    cameras: tuple[str, ...] = ("front", "wrist")
    state_names: tuple[str, ...] = ()


@pytest.mark.parametrize("cell", [Cell(), Cell(task="bottle"), Cell(ScheduleConfig(synchronous=True))])
def test_what_fits_has_no_reason(cell):
    assert misfit(Needs(), cell) == ""


@pytest.mark.parametrize(
    ("change", "cell", "reason"),
    [
        ({"task": "lid"}, Cell(task="drawer"), "trained on task lid, this cell runs drawer"),
        ({"rate_hz": 30.0}, Cell(), "trained at 30 Hz, this cell runs at 25 Hz"),
        ({"horizon": 16}, Cell(), "predicts 16 steps, the executor's horizon is 24"),
        ({"max_delay": 2}, Cell(), "prefixes of up to 2 steps, the executor's max_delay is 4"),
        ({"cameras": ("side",)}, Cell(), "looks at camera side, this cell has front, wrist"),
        ({"cameras": ("front",)}, Cell(cameras=()), "looks at camera front, this cell has none"),
    ],
)
def test_what_does_not_fit_is_named(change, cell, reason):
    assert reason in misfit(replace(Needs(), **change), cell)


def test_a_synchronous_executor_gives_no_prefix_that_a_policy_could_lack():
    assert misfit(Needs(max_delay=2), Cell(ScheduleConfig(synchronous=True))) == ""
