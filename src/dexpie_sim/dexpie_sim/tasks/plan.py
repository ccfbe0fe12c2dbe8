"""What a person's plan of a task looks like to the virtual operator: what is seen, what is wanted next."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from dexpie_core.se3 import Array
from dexpie_sim.tasks.base import SceneReading


@dataclass(frozen=True)
class Intent:
    """What the operator wants now: TCP goal (4, 4), hand (6,), fraction of the usual speed."""

    goal: Array
    hand: Array
    speed: float = 1.0


@dataclass(frozen=True)
class View:
    """What the operator sees: objects, TCP, hand, time since the phase began, time left of the reach."""

    scene: SceneReading
    tcp_T: Array
    hand: Array
    phase_s: float
    remaining_s: float


class Plan(Protocol):
    """The steps of one demonstration. The phase whose value is "done" ends it."""

    phase: Enum

    def first_phase(self, view: View) -> None:
        """Enter the plan where the scene stands, from whatever state."""

    def step(self, view: View) -> tuple[Intent, bool]:
        """The intent now, and whether a new phase has begun with it."""


def shifted(T: Array, offset: Array | list[float]) -> Array:
    """The pose (4, 4) moved by an offset (3,) in `base`, m."""
    out = T.copy()
    out[:3, 3] += offset
    return out
