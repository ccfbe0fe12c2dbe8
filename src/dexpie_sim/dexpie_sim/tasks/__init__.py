"""The tasks of the simulated cell, by name."""

from dexpie_sim.tasks.base import SceneReading, Task
from dexpie_sim.tasks.bottle import BottleTask

TASK_TYPES: dict[str, type[Task]] = {"bottle": BottleTask}

__all__ = ["TASK_TYPES", "SceneReading", "Task", "make_task"]


def make_task(name: str) -> Task:
    """A fresh task object. Raises ValueError naming the tasks that exist."""
    if name not in TASK_TYPES:
        raise ValueError(f"task {name!r} does not exist in simulation; choose one of {', '.join(TASK_TYPES)}")
    return TASK_TYPES[name]()
