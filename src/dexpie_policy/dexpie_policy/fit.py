"""Whether a policy fits the cell that it is to drive, and why not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dexpie_core.action_space import RATE_HZ
from dexpie_core.chunk_schedule import ScheduleConfig
from dexpie_core.topics import CAMERAS


class PolicyNeeds(Protocol):
    """What a policy says of itself (dexpie_training.policy.PolicyInfo)."""

    @property
    def task(self) -> str:
        """Task that it was trained on."""

    @property
    def rate_hz(self) -> float:
        """Rate of its steps."""

    @property
    def horizon(self) -> int:
        """Steps of a chunk."""

    @property
    def max_delay(self) -> int:
        """Longest prefix that it was trained with, steps."""

    @property
    def cameras(self) -> Sequence[str]:
        """Cameras that it looks at."""

    @property
    def state_names(self) -> Sequence[str]:
        """Quantities of the simulated scene that it looks at."""


@dataclass(frozen=True)
class Cell:
    """What a cell gives and asks for. An empty task accepts every one."""

    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    task: str = ""
    rate_hz: float = RATE_HZ
    cameras: Sequence[str] = CAMERAS


def misfit(needs: PolicyNeeds, cell: Cell) -> str:
    """The first reason why the policy cannot drive the cell, empty where it can."""
    schedule = cell.schedule
    missing = [camera for camera in needs.cameras if camera not in cell.cameras]
    if cell.task and needs.task != cell.task:
        return f"trained on task {needs.task}, this cell runs {cell.task}"
    if not math.isclose(needs.rate_hz, cell.rate_hz, rel_tol=1e-6):
        return f"trained at {needs.rate_hz:g} Hz, this cell runs at {cell.rate_hz:g} Hz"
    if needs.horizon != schedule.horizon:
        return f"predicts {needs.horizon} steps, the executor's horizon is {schedule.horizon}"
    if schedule.prefix_length > needs.max_delay:
        return (
            f"trained for prefixes of up to {needs.max_delay} steps, "
            f"the executor's max_delay is {schedule.max_delay}"
        )
    if missing:
        return f"looks at camera {missing[0]}, this cell has {', '.join(cell.cameras) or 'none'}"
    return ""
