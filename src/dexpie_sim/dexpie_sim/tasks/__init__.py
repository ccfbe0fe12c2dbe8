"""The tasks of the simulated cell, by name: what lies on the table, and how a person does it."""

from collections.abc import Callable

import numpy as np

from dexpie_sim.tasks.base import SceneReading, Task
from dexpie_sim.tasks.bottle import BottleTask
from dexpie_sim.tasks.bottle_plan import BottlePlan
from dexpie_sim.tasks.drawer import DrawerTask
from dexpie_sim.tasks.drawer_plan import DrawerPlan
from dexpie_sim.tasks.lid import LidTask
from dexpie_sim.tasks.lid_plan import LidPlan
from dexpie_sim.tasks.plan import Plan

TASKS: dict[str, tuple[type[Task], Callable[[np.random.Generator], Plan]]] = {
    "bottle": (BottleTask, BottlePlan),
    "drawer": (DrawerTask, DrawerPlan),
    "lid": (LidTask, LidPlan),
}

__all__ = ["TASKS", "SceneReading", "Task", "make_plan", "make_task"]


def make_task(name: str) -> Task:
    """A fresh task object. Raises ValueError naming the tasks that exist."""
    return _entry(name)[0]()


def make_plan(name: str, rng: np.random.Generator) -> Plan:
    """A person's plan of one demonstration, with the habits that rng gives; ValueError as make_task."""
    return _entry(name)[1](rng)


def _entry(name: str) -> tuple[type[Task], Callable[[np.random.Generator], Plan]]:
    if name not in TASKS:
        raise ValueError(f"task {name!r} does not exist in simulation; choose one of {', '.join(TASKS)}")
    return TASKS[name]
