"""A virtual operator that demonstrates through the front door: tracker pose, glove angles, key presses.

It plans in TCP space and expresses the motion it wants as motion of its own tracker, in the tracker's own
world; follower, retargeting and executor do the rest. It sees what a person sees: the scene, the robot's
pose, the mode. It learns of its influence only through them.
"""

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from dexpie_core import se3
from dexpie_core.action_space import unpack
from dexpie_core.follower import FollowerConfig
from dexpie_core.modes import Mode, ModeEvent
from dexpie_core.retargeting import RetargetConfig, glove_from_hand
from dexpie_core.se3 import Array
from dexpie_sim.cell import CellState
from dexpie_sim.motion import Reacher, ReachLimits, Tremor, TremorConfig
from dexpie_sim.tasks import SceneReading, make_plan
from dexpie_sim.tasks.plan import Intent, View

DEFAULT_FOLLOWER = FollowerConfig(
    tracker_to_wrist_rotvec_rad=(0.35, -1.2, 0.6), world_to_base_rotvec_rad=(0.0, 0.0, 2.1)
)
"""A tracker strapped on at some angle, and a tracker world turned against the arm's base."""


@dataclass(frozen=True)
class OperatorConfig:
    """Skill and habits of the operator.

    follower: calibration of the tracker; must be the follower node's. reaction_s: age of what it acts on.
    ready_s: time it takes to get ready before it takes over. misalignment_rad: how far the wrist is from
    the robot's at the takeover. speed_spread: relative difference of speed between episodes.
    """

    follower: FollowerConfig = field(default_factory=lambda: DEFAULT_FOLLOWER)
    retargeting: RetargetConfig = field(default_factory=RetargetConfig)
    reach: ReachLimits = field(default_factory=ReachLimits)
    tremor: TremorConfig = field(default_factory=TremorConfig)
    reaction_s: float = 0.12
    ready_s: float = 0.2
    hand_speed_1_s: float = 2.2
    misalignment_rad: float = 0.1
    speed_spread: float = 0.12


@dataclass(frozen=True)
class OperatorSignals:
    """What leaves the operator: tracker pose (4, 4) in its world, glove angles (degrees), key presses."""

    tracker_T: Array
    glove: dict[str, float]
    events: list[ModeEvent]
    done: bool
    phase: str


class VirtualOperator:
    """One person at the cell. `begin` an episode, then `step` at any rate with increasing time."""

    def __init__(self, config: OperatorConfig | None = None, task: str = "bottle") -> None:
        make_plan(task, np.random.default_rng(0))  # refuses a task that it does not know
        self.config = config or OperatorConfig()
        self._task = task
        self._X = se3.make(
            se3.rotation_from_rotvec(self.config.follower.tracker_to_wrist_rotvec_rad), np.zeros(3)
        )
        self._X_inv = se3.invert(self._X)
        self._world_to_base = se3.rotation_from_rotvec(self.config.follower.world_to_base_rotvec_rad)
        self._begun = False

    def begin(self, seed: int, state: CellState, now_s: float = 0.0) -> None:
        """Get ready for a demonstration: wrist and fingers roughly as the robot's."""
        rng = np.random.default_rng([seed, 4711])
        config = self.config
        self._plan = make_plan(self._task, rng)
        speed = float(np.clip(1.0 + config.speed_spread * rng.standard_normal(), 0.75, 1.25))
        reach = config.reach
        self._limits = replace(
            reach, linear_m_s=reach.linear_m_s * speed, angular_rad_s=reach.angular_rad_s * speed
        )
        self._tremor = Tremor(seed, config.tremor)
        axis = rng.standard_normal(3)
        error = se3.rotation_from_rotvec(
            config.misalignment_rad * rng.uniform() * axis / np.linalg.norm(axis)
        )
        R = self._world_to_base.T @ state.tcp_T[:3, :3] @ self._X[:3, :3] @ error
        self._rest = se3.make(R, rng.uniform(-0.3, 0.3, 3) + np.array([0.5, 0.2, 1.1]))
        self._hand = state.hand.copy()
        self._begun_s = self._last_s = self._asked_s = now_s
        self._driving: Reacher | None = None
        self._seen: deque[tuple[float, SceneReading, CellState]] = deque()
        self._phase_s = now_s
        self._finished = self._stopped = False
        self._begun = True

    def step(
        self, now_s: float, scene: SceneReading, state: CellState, mode: Mode, command: Array
    ) -> OperatorSignals:
        """Signals at `now_s`. `command` (15,) stands for the robot's pose at the moment of the takeover."""
        if not self._begun:
            raise RuntimeError("begin() an episode before step()")
        self._seen.append((now_s, scene, state))
        while len(self._seen) > 1 and self._seen[1][0] <= now_s - self.config.reaction_s + 1e-9:
            self._seen.popleft()
        events: list[ModeEvent] = []
        if mode is Mode.HUMAN:
            self._drive(now_s, command)
        elif self._driving is not None:
            # The robot was taken out of the operator's hands; what follows is a new takeover.
            self._rest, self._driving = self._tracker, None
        if mode is Mode.IDLE and not self._finished and now_s - self._asked_s >= self.config.ready_s:
            events.append(ModeEvent.TAKEOVER)
            self._asked_s = now_s
        if mode is Mode.HUMAN and self._finished and not self._stopped:
            events.append(ModeEvent.STOP)
            self._stopped = True
        self._last_s = now_s
        self._tracker = self._tracker_pose(now_s)
        glove = glove_from_hand(self._hand, self.config.retargeting)
        return OperatorSignals(self._tracker, glove, events, self._finished, self._plan.phase.value)

    def _drive(self, now_s: float, command: Array) -> None:
        view = self._view(now_s)
        if self._driving is None:
            self._reference = unpack(command)[0]
            self._driving = Reacher(self._reference, now_s, self._limits)
            self._plan.first_phase(view)
            self._phase_s = now_s
            view = self._view(now_s)
        intent, new_phase = self._plan.step(view)
        if new_phase:
            self._phase_s = now_s
        self._driving.go(intent.goal, now_s, intent.speed)
        self._move_hand(intent, now_s - self._last_s)
        self._finished = self._plan.phase.value == "done"

    def _view(self, now_s: float) -> View:
        _, scene, state = self._seen[0]
        remaining = self._driving.remaining_s(now_s) if self._driving else 0.0
        return View(scene, state.tcp_T, state.hand, now_s - self._phase_s, remaining)

    def _move_hand(self, intent: Intent, dt_s: float) -> None:
        step = self.config.hand_speed_1_s * dt_s
        self._hand = self._hand + np.clip(intent.hand - self._hand, -step, step)

    def _tracker_pose(self, now_s: float) -> Array:
        """The desired TCP motion since the takeover as tracker motion: inverse of the follower's law."""
        if self._driving is None:
            return self._rest @ self._tremor.offset(now_s)
        desired = self._driving.pose(now_s)
        motion: Array = self._X_inv @ se3.invert(self._reference) @ desired @ self._X
        return self._rest @ motion @ self._tremor.offset(now_s)
