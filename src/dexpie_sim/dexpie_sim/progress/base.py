"""What a person sees of an attempt: how far it is, and what is going wrong. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dexpie_core.se3 import Array
from dexpie_sim.tasks.base import SceneReading


@dataclass(frozen=True)
class Standing:
    """How an attempt stands at one moment.

    step: index of the step of the task that is being done. part: how much of it is done, 0..1.
    danger: what is going wrong, empty where nothing is. lost: nobody can save the attempt any more.
    """

    step: int
    part: float
    danger: str = ""
    lost: bool = False


@dataclass(frozen=True)
class ProgressRules:
    """How to judge one task.

    steps: names of the steps. standing: the judgement of one moment, from scene, TCP (4, 4) and hand (6,).
    lowest_tcp_m: no demonstration brings the TCP lower.
    """

    steps: tuple[str, ...]
    standing: Callable[[SceneReading, Array, Array], Standing]
    lowest_tcp_m: float


def share(value: float, start: float, end: float) -> float:
    """How much of the way from `start` to `end` is done at `value`, within 0..1."""
    return float(np.clip((value - start) / (end - start), 0.0, 1.0))
