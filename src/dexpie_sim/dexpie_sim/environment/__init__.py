"""The lockstep cell as a gymnasium environment, one by one or vectorised over processes.

Importing it adds the ids DexPIE/Bottle-v0, DexPIE/Drawer-v0 and DexPIE/Lid-v0 to gymnasium, so
`gymnasium.make("dexpie_sim.environment:DexPIE/Bottle-v0")` needs no other import.
"""

import os

os.environ.setdefault("MUJOCO_GL", "osmesa")

import gymnasium

from dexpie_sim.environment.cell_environment import CellEnvironment
from dexpie_sim.environment.config import EnvironmentConfig
from dexpie_sim.environment.spaces import prefix_of, to_observation
from dexpie_sim.environment.vector import CellVector, WorkerDied, make_vector
from dexpie_sim.tasks import TASKS

__all__ = [
    "CellEnvironment",
    "CellVector",
    "EnvironmentConfig",
    "WorkerDied",
    "environment_id",
    "make_vector",
    "prefix_of",
    "register_environments",
    "to_observation",
]


def environment_id(task: str) -> str:
    """Gymnasium's id of a task's environment."""
    return f"DexPIE/{task.capitalize()}-v0"


def register_environments() -> None:
    """Make `gymnasium.make("DexPIE/Bottle-v0", ...)` known; calling it again changes nothing."""
    for task in TASKS:
        if environment_id(task) not in gymnasium.registry:
            gymnasium.register(
                environment_id(task),
                entry_point="dexpie_sim.environment:CellEnvironment",
                kwargs={"task": task},
                order_enforce=False,  # the environment says itself when a reset is due
            )


register_environments()
