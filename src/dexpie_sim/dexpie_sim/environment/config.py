"""Settings of the gymnasium environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from dexpie_core.episode import POSITIONS, Positions
from dexpie_core.executor import ExecutorConfig
from dexpie_sim.config import CellConfig, PresetName, preset
from dexpie_sim.lockstep import LockstepConfig, with_inference
from dexpie_sim.tasks import TASKS

_CHOICES = {
    "task": tuple(TASKS),
    "preset": ("default", "ideal"),
    "positions": POSITIONS,
    "action": ("step", "chunk"),
    "frame": ("tcp", "base"),
    "inference": ("asynchronous", "holding"),
    "reward": ("sparse", "time"),
}


@dataclass(frozen=True)
class EnvironmentConfig:
    """One environment.

    preset, positions: see `CellConfig`; cell: further fields of it, by name. stage: where episodes start.
    action: `step`, one absolute action (15,) for one tick; `chunk`, (H, 15) for one inference.
    frame of a chunk: `tcp`, relative to the observed TCP (spec: learning.md 1); `base`, absolute targets as
        `Policy.infer` returns them.
    inference, latency_ticks: of chunks. `asynchronous`: a chunk arrives latency_ticks after its observation,
        the previous one being executed meanwhile; `holding`: the robot holds for that time.
    reward: `sparse`, 1 on success; `time`, -1 a tick, and -L more at failure or time-out, L being the task's
        longest episode (learning.md 2, gamma = 1).
    objects, images: observe the objects' state; pictures of both cameras, image_size pixels square.
    max_steps: ticks after which an episode is cut off; None: the task's longest episode.
    """

    task: str = "bottle"
    preset: PresetName = "default"
    positions: Positions = "train"
    stage: str = "initial"
    action: Literal["step", "chunk"] = "step"
    frame: Literal["tcp", "base"] = "tcp"
    inference: Literal["asynchronous", "holding"] = "asynchronous"
    latency_ticks: int = 3
    reward: Literal["sparse", "time"] = "sparse"
    objects: bool = True
    images: bool = False
    image_size: int = 224
    max_steps: int | None = None
    cell: Mapping[str, Any] = field(default_factory=dict)
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        check_choice("stage", self.stage, TASKS[self.task][0].stages)
        for name in ("image_size", "max_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"environment {name} {value} must be at least 1")
        known = {f.name for f in fields(CellConfig)} - {"task", "preset", "positions"}
        for name in self.cell:
            check_choice("cell", name, tuple(sorted(known)))

    @property
    def prefix_length(self) -> int:
        """Commanded steps that an observation brings along: 0 for single steps and while the robot holds."""
        if self.action == "step" or self.inference == "holding":
            return 0
        return self.executor.schedule.max_delay

    def lockstep(self) -> LockstepConfig:
        """The same settings for the parts of the lockstep cell."""
        cell = preset(self.preset, task=self.task, positions=self.positions, **self.cell)
        parts = LockstepConfig(
            cell=cell, executor=self.executor, image_width=self.image_size, image_height=self.image_size
        )
        return with_inference(parts, self.latency_ticks, synchronous=self.inference == "holding")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """ValueError naming the setting and its choices where `value` is none of them."""
    if value not in choices:
        raise ValueError(f"environment {name} {value!r} must be one of {', '.join(choices)}")
