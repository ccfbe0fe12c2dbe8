"""What a task adds to the cell: objects, start states, and the judgement of success and failure."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexpie_core.episode import Positions
from dexpie_core.se3 import Array


@dataclass(frozen=True)
class SceneReading:
    """State of the task's objects in `base`, and the task's verdict so far.

    names and values (k,) belong together; lengths in metres, axes are unit vectors.
    """

    names: tuple[str, ...]
    values: Array
    success: bool
    failure: bool
    reason: str
    stage: str

    def group(self, prefix: str) -> Array:
        """Values whose names start with `prefix`, in order, for example all of "bottle."."""
        return self.values[_indices(self.names, prefix)]


@lru_cache
def _indices(names: tuple[str, ...], prefix: str) -> NDArray[np.int_]:
    return np.array([i for i, name in enumerate(names) if name.startswith(prefix)], dtype=int)


@dataclass(frozen=True)
class Sensed:
    """What the cell tells the task after each servo period."""

    tcp_T: Array
    holds_object: bool
    protective_stop: bool


@dataclass(frozen=True)
class Move:
    """One step of a scripted set-up motion: go to a TCP pose and hand target, and take `duration_s`."""

    tcp_T: Array
    hand: Array
    duration_s: float


class Task(ABC):
    """One task: its objects, its start states, and its verdict, which stays until the next reset."""

    name: str
    stages: tuple[str, ...]
    names: tuple[str, ...]
    max_steps: int
    home_tcp: Array
    home_hand: Array

    @abstractmethod
    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Add the task's bodies to the model."""

    @abstractmethod
    def bind(self, model: mujoco.MjModel) -> None:
        """Look up ids once the model is compiled."""

    @abstractmethod
    def place(self, data: mujoco.MjData, rng: np.random.Generator, stage: str, positions: Positions) -> None:
        """Put the objects where an episode from `stage` starts and forget the verdict."""

    @abstractmethod
    def setup_motion(self, data: mujoco.MjData, stage: str) -> list[Move]:
        """Motion that leads from the placed objects to the stage's start state; empty for `initial`."""

    @abstractmethod
    def update(self, data: mujoco.MjData, sensed: Sensed, dt_s: float) -> None:
        """Advance the verdict by one servo period."""

    @abstractmethod
    def reading(self, data: mujoco.MjData, tcp_T: Array) -> SceneReading:
        """Object state and verdict now."""

    @abstractmethod
    def object_bodies(self) -> frozenset[int]:
        """Ids of the bodies that the hand manipulates."""

    def fixture_bodies(self) -> frozenset[int]:
        """Ids of bodies that, like the table, make the arm stop when it presses on them."""
        return frozenset()

    @abstractmethod
    def save(self) -> Any:
        """The verdict's memory, to be given back to `restore`."""

    @abstractmethod
    def restore(self, state: Any) -> None:
        """Undo what happened to the verdict since `save`."""
