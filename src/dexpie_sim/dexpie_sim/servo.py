"""The controllers of the simulated devices: the arm's pose servo and the hand's latency and speed."""

from dataclasses import dataclass, field
from typing import Final

import mujoco
import numpy as np

from dexpie_core import se3, ur5
from dexpie_core.se3 import Array
from dexpie_sim.config import CellConfig
from dexpie_sim.scene import TCP_OFFSET

FLANGE_FROM_TCP: Final = se3.invert(TCP_OFFSET)


@dataclass
class ArmServo:
    """Follows the line between consecutive TCP targets, as servoL does. Quaternions are MuJoCo's wxyz.

    q_ref (6,) rad is the present joint reference; `goal_p` and `goal_quat` are the last commanded pose.
    """

    q_ref: Array
    goal_p: Array
    goal_quat: Array
    start_p: Array
    start_quat: Array
    rotation: Array = field(default_factory=lambda: np.zeros(3))
    elapsed_s: float = 0.0
    stopped: bool = False
    ik_failures: int = 0

    @classmethod
    def at(cls, q: Array) -> "ArmServo":
        """A servo that holds the joint angles (6,)."""
        T = ur5.forward(q, TCP_OFFSET)
        p, quat = T[:3, 3].copy(), _quat(T[:3, :3])
        return cls(q.copy(), p, quat, p, quat)

    @property
    def follows(self) -> bool:
        """Whether the joints run to the next knot."""
        return not self.stopped

    @property
    def goal(self) -> Array:
        """Last commanded TCP pose (4, 4)."""
        return _transform(self.goal_p, self.goal_quat)

    def set_target(self, T: Array, control_period_s: float) -> None:
        """New target (4, 4); the path starts where the reference is now."""
        self.start_p, self.start_quat = self._reference(control_period_s)
        self.goal_p, self.goal_quat = T[:3, 3].copy(), _quat(T[:3, :3])
        self.rotation = np.empty(3)
        mujoco.mju_subQuat(self.rotation, self.goal_quat, self.start_quat)
        self.elapsed_s = 0.0

    def next_knot(self, dt_s: float, control_period_s: float) -> Array:
        """Joint angles (6,) of the path `dt_s` later; the present ones where that is out of reach."""
        self.elapsed_s += dt_s
        if self.stopped:
            return self.q_ref
        T = _transform(*self._reference(control_period_s))
        q = ur5.inverse(T @ FLANGE_FROM_TCP, self.q_ref)
        if q is None or np.max(np.abs(q - self.q_ref)) > 2 * ur5.MAX_JOINT_SPEED_RAD_S * dt_s:
            self.ik_failures += 1
            return self.q_ref
        return q

    def hold(self, q: Array, stopped: bool) -> None:
        """Stay at the joint angles (6,)."""
        here = ArmServo.at(q)
        self.q_ref, self.goal_p, self.goal_quat = here.q_ref, here.goal_p, here.goal_quat
        self.start_p, self.start_quat, self.rotation = here.start_p, here.start_quat, here.rotation
        self.stopped = stopped

    def _reference(self, control_period_s: float) -> tuple[Array, Array]:
        s = min(self.elapsed_s / control_period_s, 1.0)
        quat = self.start_quat.copy()
        mujoco.mju_quatIntegrate(quat, self.rotation, s)
        return (1.0 - s) * self.start_p + s * self.goal_p, quat


@dataclass
class JointServo:
    """Takes joint references (6,) rad from outside. `stopped` only tells that the force limit was passed."""

    q_ref: Array
    goal_q: Array
    stopped: bool = False
    ik_failures: int = 0
    follows: bool = True

    @classmethod
    def at(cls, q: Array) -> "JointServo":
        """A servo that holds the joint angles (6,)."""
        return cls(q.copy(), q.copy())

    def next_knot(self, dt_s: float, control_period_s: float) -> Array:
        """The reference, as far as the joints' speed reaches within `dt_s`."""
        reach = ur5.MAX_JOINT_SPEED_RAD_S * dt_s
        return self.q_ref + np.clip(self.goal_q - self.q_ref, -reach, reach)

    def hold(self, q: Array, stopped: bool) -> None:
        """Stay at the joint angles (6,) until the next reference."""
        self.q_ref, self.goal_q, self.stopped = q.copy(), q.copy(), stopped


@dataclass
class HandServo:
    """Starts to move towards a target after the latency, at limited speed. Values (6,) in [0, 1]."""

    goal: Array
    reference: Array
    queue: list[tuple[float, Array]] = field(default_factory=list)

    @property
    def last_target(self) -> Array:
        """The newest target, applied or still under way."""
        return self.queue[-1][1] if self.queue else self.goal

    def set_target(self, hand: Array, now_s: float, config: CellConfig) -> None:
        """Queue a target."""
        self.queue.append((now_s + config.hand_latency_s, hand))

    def step(self, now_s: float, dt_s: float, config: CellConfig) -> Array:
        """Reference (6,) after `dt_s`."""
        while self.queue and self.queue[0][0] <= now_s + 1e-9:
            self.goal = self.queue.pop(0)[1]
        step = config.hand_speed_1_s * dt_s
        # np.clip costs five times as much, 250 times a second.
        self.reference = self.reference + np.minimum(np.maximum(self.goal - self.reference, -step), step)
        return self.reference


def _quat(R: Array) -> Array:
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(R, dtype=np.float64).reshape(9))
    return quat


def _transform(p: Array, quat: Array) -> Array:
    R = np.empty(9)
    mujoco.mju_quat2Mat(R, quat)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R.reshape(3, 3), p
    return T
