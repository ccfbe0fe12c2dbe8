"""What the robot touches: which contacts of the present state are its own, and how hard they press."""

import mujoco
import numpy as np

from dexpie_sim.tasks.base import Task


class RobotContacts:
    """Contacts of arm and hand with the table and the task's fixtures, and with its objects."""

    def __init__(self, model: mujoco.MjModel, task: Task) -> None:
        self._model = model
        names = [model.body(i).name for i in range(model.nbody)]
        robot = np.array([name.startswith(("arm_", "hand", "flange")) for name in names])
        fixtures, objects = task.fixture_bodies(), task.object_bodies()
        fixture = np.array([name == "world" or i in fixtures for i, name in enumerate(names)])
        self._presses = self._geom_pairs(robot, fixture)
        self._grasps = self._geom_pairs(robot, np.array([i in objects for i in range(model.nbody)]))

    def fixture_force_n(self, data: mujoco.MjData) -> float:
        """Sum of the contact forces' magnitudes (N) on table and fixtures."""
        total, wrench = 0.0, np.empty(6)
        for index in _contacts(data, self._presses):
            mujoco.mj_contactForce(self._model, data, int(index), wrench)
            total += float(np.linalg.norm(wrench[:3]))
        return total

    def holds_object(self, data: mujoco.MjData) -> bool:
        """Whether the robot touches one of the objects."""
        return bool(len(_contacts(data, self._grasps)))

    def _geom_pairs(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Whether a contact of geom i and geom j (ngeom, ngeom) is one of a body of each set (nbody,)."""
        of_one, of_other = one[self._model.geom_bodyid], other[self._model.geom_bodyid]
        pairs: np.ndarray = np.outer(of_one, of_other) | np.outer(of_other, of_one)
        return pairs


def _contacts(data: mujoco.MjData, pairs: np.ndarray) -> np.ndarray:
    """Indices of the present contacts between two geoms of the given pairs (ngeom, ngeom)."""
    geoms = data.contact.geom
    indices: np.ndarray = pairs[geoms[:, 0], geoms[:, 1]].nonzero()[0]
    return indices
