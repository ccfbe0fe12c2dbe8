"""The simulated cell: arm servo, hand, physics and the task, driven by an explicit time step.

Commands are absolute: `set_arm_target` every control period, `set_hand_target` at any time. As with servoL,
the arm follows the line from the last commanded pose to the new one over one control period and trails it by
the servo lag. Everything is expressed in the arm's `base` frame, which is MuJoCo's world frame.
"""

import copy
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from dexpie_core import se3, ur5
from dexpie_core.se3 import Array
from dexpie_sim.config import SERVO_DAMPING_S, CellConfig
from dexpie_sim.contacts import RobotContacts
from dexpie_sim.model import hand as hand_model
from dexpie_sim.scene import TCP_OFFSET, build_model
from dexpie_sim.servo import FLANGE_FROM_TCP, ArmServo, HandServo, JointServo
from dexpie_sim.tasks import SceneReading, make_task
from dexpie_sim.tasks.base import Sensed

_Q_NEAR: Final = np.array([0.0, -1.5, -2.4, -2.4, -1.55, 0.0])
_FINGER_LEVER_M: Final = 0.07
_STOP_STEPS: Final = 3
_STATE: Final = mujoco.mjtState.mjSTATE_INTEGRATION


@dataclass(frozen=True)
class CellState:
    """Measured: time (s), joints (6,) rad and rad/s, TCP in `base`, hand (6,) in [0, 1] and its forces N."""

    time_s: float
    arm_q: Array
    arm_qd: Array
    tcp_T: Array
    hand: Array
    hand_force_n: Array


@dataclass(frozen=True)
class Snapshot:
    """Everything that `restore` needs: physics, controllers and verdict."""

    physics: Array
    control: "_Control"
    task: Any


@dataclass
class _Control:
    """Mutable state outside MuJoCo. owed_s: simulated time that `advance` still owes.

    peak_force_n: largest force of the robot on table and fixtures during the newest servo period.
    seen: state vectors of the newest physics steps, as many as the cameras are late, the oldest first.
    """

    arm: ArmServo | JointServo
    hand: HandServo
    noise_seed: int
    over_force_steps: int = 0
    peak_force_n: float = 0.0
    owed_s: float = 0.0
    seen: deque[Array] = field(default_factory=deque)


class Cell:
    """One simulated cell. Not thread safe."""

    def __init__(self, config: CellConfig | None = None) -> None:
        self.config = config or CellConfig()
        self.task = make_task(self.config.task)
        self.model = build_model(self.config, self.task)
        self.data = mujoco.MjData(self.model)
        self.task.bind(self.model)
        self._steps_per_servo = round(self.config.servo_period_s / self.config.timestep_s)
        self._feed_forward_s = SERVO_DAMPING_S - self.config.servo_lag_s
        self._find_parts()
        self.reset()

    def reset(self, stage: str = "initial", seed: int = 0) -> None:
        """Start state of an episode; a function of stage and seed only. Time starts at 0."""
        if stage not in self.task.stages:
            raise ValueError(
                f"stage {stage!r} of task {self.task.name} does not exist; "
                f"choose one of {', '.join(self.task.stages)}"
            )
        rng = np.random.default_rng([seed, 20260])
        mujoco.mj_resetData(self.model, self.data)
        self.task.place(self.data, rng, stage, self.config.positions)
        start = self.task.home_tcp.copy()
        start[:3, 3] += rng.uniform(-1.0, 1.0, 3) * self.config.start_jitter_m
        moves = self.task.setup_motion(self.data, stage)
        if moves:
            start, hand = moves[0].tcp_T, moves[0].hand
        else:
            hand = self.task.home_hand
        self._put_robot(start, hand, seed)
        for move in moves:
            self._move(move.tcp_T, move.hand, move.duration_s)
        if moves:
            self.task.restore(type(self.task.save())(stage=stage))
            self.data.time = 0.0
            self._control.hand.queue.clear()
        if self.config.preset == "motors":
            self._control.arm = JointServo.at(self._control.arm.q_ref)
        mujoco.mj_forward(self.model, self.data)
        self._control.seen = deque(maxlen=round(self.config.camera_latency_s / self.config.timestep_s))

    @property
    def protective_stop(self) -> bool:
        """Whether the arm has stopped for a contact force; it holds until `recover` or `reset`."""
        return self._control.arm.stopped

    @property
    def contact_force_n(self) -> float:
        """Largest force (N) of arm or hand on table or fixtures during the newest servo period."""
        return self._control.peak_force_n

    @property
    def ik_failures(self) -> int:
        """Servo periods since the reset whose target was out of reach; the arm held instead."""
        return self._control.arm.ik_failures

    @property
    def qpos(self) -> Array:
        """State vector for `SceneRenderer`: joint positions, then the positions of movable fixtures."""
        return np.concatenate([self.data.qpos, self.data.mocap_pos.ravel()])

    @property
    def camera_qpos(self) -> Array:
        """The state vector that a picture taken now shows: `camera_latency_s` old."""
        return self._control.seen[0] if self._control.seen else self.qpos

    @property
    def looks_seed(self) -> int | None:
        """What the looks of this episode are drawn from; None where they are fixed."""
        return self._control.noise_seed if self.config.looks == "varied" else None

    @property
    def hand_target(self) -> Array:
        """Last hand target (6,) that was set, applied or still under way."""
        return self._control.hand.last_target.copy()

    def set_arm_target(self, T_tcp: ArrayLike) -> None:
        """Absolute TCP target (4, 4) in `base`, reached over the next control period. Ignored in a stop."""
        T = np.asarray(T_tcp, dtype=np.float64)
        if T.shape != (4, 4) or not np.all(np.isfinite(T)):
            raise ValueError("arm target must be a finite (4, 4) transform")
        if not self._arm_servo.stopped:
            self._arm_servo.set_target(T, self.config.control_period_s)

    def set_arm_joints(self, q_rad: ArrayLike) -> None:
        """Joint references (6,) of the arm's motors, rad; with the preset `motors` only."""
        q = np.asarray(q_rad, dtype=np.float64)
        if q.shape != (6,) or not np.all(np.isfinite(q)):
            raise ValueError("joint references must be six finite numbers")
        if not isinstance(self._control.arm, JointServo):
            raise TypeError(f"the preset {self.config.preset!r} takes TCP poses: use set_arm_target")
        self._control.arm.goal_q = q

    def set_hand_target(self, hand: ArrayLike) -> None:
        """Hand targets (6,) in [0, 1], 1 = open; the hand starts to move after its latency."""
        target = np.clip(np.asarray(hand, dtype=np.float64), 0.0, 1.0)
        if target.shape != (6,) or not np.all(np.isfinite(target)):
            raise ValueError("hand target must be six finite numbers")
        self._control.hand.set_target(target, self.data.time, self.config)

    def advance(self, dt_s: float) -> None:
        """Run servo and physics for `dt_s`, in whole servo periods; the rest is carried to the next call."""
        control = self._control
        control.owed_s += dt_s
        periods = round(control.owed_s / self.config.servo_period_s)
        control.owed_s -= periods * self.config.servo_period_s
        for _ in range(periods):
            self._servo_period()
            sensed = Sensed(self._tcp(), self.holds_object(), control.arm.stopped)
            self.task.update(self.data, sensed, self.config.servo_period_s)

    def observe(self) -> CellState:
        """Measured state now, with the configured sensor noise (a function of seed and time only)."""
        data, config = self.data, self.config
        q, qd = data.qpos[:6].copy(), data.qvel[:6].copy()
        hand = hand_model.hand_from_joints(data.qpos[6 + self._drive_order])
        if config.arm_noise_rad or config.hand_noise:
            rng = np.random.default_rng([self._control.noise_seed, round(data.time / config.timestep_s)])
            q += config.arm_noise_rad * rng.standard_normal(6)
            hand = np.clip(hand + config.hand_noise * rng.standard_normal(6), 0.0, 1.0)
        force = data.actuator_force[6:12] / _FINGER_LEVER_M
        return CellState(float(data.time), q, qd, ur5.forward(q, TCP_OFFSET), hand, force.copy())

    def scene(self) -> SceneReading:
        """Object state and verdict."""
        return self.task.reading(self.data, self._tcp())

    def recover(self) -> None:
        """Leave a protective stop; the arm holds where it is."""
        self._hold_here(stopped=False)

    def holds_object(self) -> bool:
        """Whether the hand touches one of the task's objects."""
        return self._contacts.holds_object(self.data)

    def save(self) -> Snapshot:
        """The state, to the last bit."""
        physics = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self.data, physics, _STATE)
        return Snapshot(physics, copy.deepcopy(self._control), self.task.save())

    def restore(self, state: Snapshot) -> None:
        """Go back to a saved state; the same commands then give the same motion."""
        mujoco.mj_setState(self.model, self.data, state.physics, _STATE)
        self._control = copy.deepcopy(state.control)
        self.task.restore(state.task)
        mujoco.mj_forward(self.model, self.data)
        # The forward pass wrote a new warm start; the saved one makes the next step identical.
        mujoco.mj_setState(self.model, self.data, state.physics, _STATE)

    @property
    def _arm_servo(self) -> ArmServo:
        arm = self._control.arm
        if isinstance(arm, JointServo):
            raise TypeError("the preset 'motors' takes joint references: use set_arm_joints")
        return arm

    def _find_parts(self) -> None:
        model = self.model
        self._contacts = RobotContacts(model, self.task)
        self._tcp_site = model.site("tcp").id
        first = [model.joint(name).qposadr[0] for name in hand_model.DRIVE_JOINTS]
        self._drive_order = np.array(first, dtype=int) - 6
        self._hand_qpos = np.array(
            [*first, *(model.joint(name).qposadr[0] for name, _, _ in hand_model.FOLLOWERS)], dtype=int
        )

    def _put_robot(self, T: Array, hand: Array, seed: int) -> None:
        q = ur5.inverse(T @ FLANGE_FROM_TCP, _Q_NEAR)
        if q is None:
            raise ValueError(
                f"start pose {np.round(T[:3, 3], 3).tolist()} of task {self.task.name} is out of reach"
            )
        self.data.qpos[:6] = q
        self.data.qpos[self._hand_qpos] = hand_model.joint_targets(hand)
        self.data.ctrl[:6] = q
        self.data.ctrl[6:] = hand_model.joint_targets(hand)
        self._control = _Control(ArmServo.at(q), HandServo(hand.copy(), hand.copy()), seed)
        mujoco.mj_forward(self.model, self.data)

    def _move(self, T: Array, hand: Array, duration_s: float) -> None:
        """Scripted motion to a pose, by steps of one control period."""
        steps = max(1, round(duration_s / self.config.control_period_s))
        start = self._arm_servo.goal
        self.set_hand_target(hand)
        for k in range(1, steps + 1):
            s = k / steps
            self.set_arm_target(se3.interpolate(start, T, s * s * (3.0 - 2.0 * s)))
            self.advance(self.config.control_period_s)

    def _servo_period(self) -> None:
        """One inverse-kinematics knot; the joint reference runs linearly to it, physics step by step.

        At 0.5 m/s the path between two knots leaves the straight line by less than 0.05 mm.
        """
        config, control, data = self.config, self._control, self.data
        arm, ctrl, period = control.arm, data.ctrl, config.servo_period_s
        control.peak_force_n = 0.0
        start = arm.q_ref
        knot = arm.next_knot(period, config.control_period_s)
        way = knot - start
        lead = self._feed_forward_s / period * way
        steps = self._steps_per_servo
        for k in range(1, steps + 1):
            ctrl[6:] = hand_model.joint_targets(control.hand.step(data.time, config.timestep_s, config))
            if arm.follows:
                arm.q_ref = start + (k / steps) * way
                ctrl[:6] = arm.q_ref + lead
            if control.seen.maxlen:
                control.seen.append(self.qpos)
            mujoco.mj_step(self.model, data)
            self._check_stop()

    def _tcp(self) -> Array:
        site, data = self._tcp_site, self.data
        return se3.make(data.site_xmat[site].reshape(3, 3), data.site_xpos[site])

    def _check_stop(self) -> None:
        control = self._control
        force_n = self._contacts.fixture_force_n(self.data)
        control.peak_force_n = max(control.peak_force_n, force_n)
        over = force_n > self.config.stop_force_n
        control.over_force_steps = control.over_force_steps + 1 if over else 0
        if control.over_force_steps >= _STOP_STEPS and not control.arm.stopped:
            self._hold_here(stopped=True)

    def _hold_here(self, stopped: bool) -> None:
        q = self.data.qpos[:6].copy()
        self._control.arm.hold(q, stopped)
        self._control.over_force_steps = 0
        self.data.ctrl[:6] = q
