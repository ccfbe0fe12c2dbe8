"""A virtual operator that works through the front door: tracker pose, glove angles, key presses.

It plans in TCP space and expresses the motion it wants as motion of its own tracker, in the tracker's own
world; follower, retargeting and executor do the rest. It sees what a person sees: the scene, the robot's
pose, the mode, the alignment aid. It learns of its influence only through them.

It demonstrates, or it watches a policy: while the attempt goes well its hands rest; when the oracle of
progress loses faith, or shortly before the moment at which it saw an attempt from this start fail,
it announces a takeover, turns wrist and fingers to the robot's, takes over, and guides
the robot to the end of the task (paper A.2) or, with `hand_back`, until what went wrong is made good.
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
from dexpie_sim.motion import Reacher, ReachLimits, Tremor, TremorConfig, pursue
from dexpie_sim.progress import Assessment, Judgement, OracleConfig, ProgressOracle, patience_of
from dexpie_sim.tasks import SceneReading, make_plan
from dexpie_sim.tasks.plan import View

DEFAULT_FOLLOWER = FollowerConfig(
    tracker_to_wrist_rotvec_rad=(0.35, -1.2, 0.6), world_to_base_rotvec_rad=(0.0, 0.0, 2.1)
)
"""A tracker strapped on at some angle, and a tracker world turned against the arm's base."""
FORESEEN = "the attempt failed from here"
_IDLE_HAND = np.array([0.75, 0.75, 0.75, 0.75, 0.85, 0.7])


@dataclass(frozen=True)
class OperatorConfig:
    """Skill and habits of the operator.

    follower: calibration of the tracker; must be the follower node's. reaction_s: age of what it acts on.
    ready_s: time it takes to get ready before it takes over, and between two tries. misalignment_rad: how far
    the wrist is from the robot's at the takeover of a demonstration. speed_spread: relative difference of
    speed between episodes.

    Of the watching: oracle: when it loses faith; lead_s: how long before the moment of an attempt's
    failure it takes over in the repetition; patience_spread: relative difference of both between episodes.
    rest_rad: how far a resting wrist is turned from the robot's. ask_rad, ask_hand: errors on the
    alignment aid below which it asks for the takeover; the executor refuses beyond 0.5 rad and 0.6.
    hand_back: give the robot back once what went wrong is made good.
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
    oracle: OracleConfig = field(default_factory=OracleConfig)
    lead_s: float = 2.5
    patience_spread: float = 0.25
    rest_rad: float = 0.6
    ask_rad: float = 0.35
    ask_hand: float = 0.4
    hand_back: bool = False


@dataclass(frozen=True)
class OperatorSignals:
    """What leaves the operator: tracker pose (4, 4) in its world, glove angles (degrees), key presses.

    phase: of its plan. alarm: why it wants to take over, empty where it does not.
    """

    tracker_T: Array
    glove: dict[str, float]
    events: list[ModeEvent]
    done: bool
    phase: str
    alarm: str = ""


@dataclass(frozen=True)
class _Seen:
    """One look at the cell. command (15,): the robot's pose on the alignment aid."""

    now_s: float
    scene: SceneReading
    state: CellState
    command: Array


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

    def begin(
        self,
        seed: int,
        state: CellState,
        now_s: float = 0.0,
        watching: bool = False,
        failed_after_s: float = 0.0,
    ) -> None:
        """Get ready: to demonstrate, wrist and fingers roughly as the robot's; or to watch, at rest.

        failed_after_s: how long the attempt went on that it saw fail from the same start; 0: none.
        """
        rng = np.random.default_rng([seed, 4711])
        config = self.config
        self._plan = make_plan(self._task, rng)
        speed = float(np.clip(1.0 + config.speed_spread * rng.standard_normal(), 0.75, 1.25))
        reach = config.reach
        self._limits = replace(
            reach, linear_m_s=reach.linear_m_s * speed, angular_rad_s=reach.angular_rad_s * speed
        )
        self._tremor = Tremor(seed, config.tremor)
        self._watching = watching
        self._rest = self._resting_pose(rng, state.tcp_T[:3, :3])
        self._hand = _IDLE_HAND.copy() if watching else state.hand.copy()
        patience_s = patience_of(rng, config.oracle.patience_s, config.patience_spread)
        self._oracle = ProgressOracle(self._task, replace(config.oracle, patience_s=patience_s))
        self._oracle.begin(now_s)
        lead_s = patience_of(rng, config.lead_s, config.patience_spread)
        self._foreseen_s = now_s + failed_after_s - lead_s if failed_after_s > 0.0 else np.inf
        self._last_s = self._asked_s = now_s
        self._announced_s = now_s - config.ready_s
        self._driving: Reacher | None = None
        self._seen: deque[_Seen] = deque()
        self._phase_s = now_s
        self._alarm: Assessment | None = None
        self._finished = self._stopped = False
        self._begun = True

    def step(
        self, now_s: float, scene: SceneReading, state: CellState, mode: Mode, command: Array
    ) -> OperatorSignals:
        """Signals at `now_s`. `command` (15,): the robot's pose on the alignment aid and at the takeover."""
        if not self._begun:
            raise RuntimeError("begin() an episode before step()")
        self._seen.append(_Seen(now_s, scene, state, command))
        while len(self._seen) > 1 and self._seen[1].now_s <= now_s - self.config.reaction_s + 1e-9:
            self._seen.popleft()
        if mode is not Mode.HUMAN and self._driving is not None:
            # The robot is out of the operator's hands; what follows is a new takeover.
            self._rest, self._driving = self._tracker, None
            self._oracle.begin(now_s)
        events = self._watch(now_s, mode) if self._watching else self._ask_to_demonstrate(now_s, mode)
        if mode is Mode.HUMAN:
            events += self._drive(now_s, command)
        self._last_s = now_s
        self._tracker = self._tracker_pose(now_s)
        glove = glove_from_hand(self._hand, self.config.retargeting)
        alarm = self._alarm.reason if self._alarm is not None else ""
        return OperatorSignals(self._tracker, glove, events, self._finished, self._plan.phase.value, alarm)

    def _ask_to_demonstrate(self, now_s: float, mode: Mode) -> list[ModeEvent]:
        if mode is Mode.IDLE and not self._finished and now_s - self._asked_s >= self.config.ready_s:
            self._asked_s = now_s
            return [ModeEvent.TAKEOVER]
        return []

    def _watch(self, now_s: float, mode: Mode) -> list[ModeEvent]:
        """Judge what is seen, announce, align, ask."""
        seen = self._seen[0]
        assessed = self._oracle.see(seen.now_s, seen.scene, seen.state.tcp_T, seen.state.hand)
        self._assessed = assessed
        if mode is Mode.AUTONOMOUS:
            if assessed.judgement is Judgement.FINE and now_s >= self._foreseen_s:
                assessed = replace(assessed, judgement=Judgement.FAILING, reason=FORESEEN)
            needed = assessed.judgement in (Judgement.FAILING, Judgement.HESITATING)
            self._alarm = assessed if needed else None
            if not needed or now_s - self._announced_s < self.config.ready_s:
                return []
            self._announced_s = now_s
            return [ModeEvent.ALIGN]
        if mode is not Mode.ALIGNING:
            return []
        if assessed.judgement is Judgement.LOST:
            return [ModeEvent.CANCEL]
        aligned = self._align(seen, now_s - self._last_s)
        if not aligned or now_s - self._asked_s < self.config.ready_s:
            return []
        self._asked_s = now_s
        return [ModeEvent.TAKEOVER]

    def _align(self, seen: _Seen, dt_s: float) -> bool:
        """Turn wrist and fingers to the robot's as they were seen; whether they look aligned."""
        T, hand = unpack(seen.command)
        goal = self._tracker_rotation(T[:3, :3])
        R = pursue(self._rest[:3, :3], goal, dt_s, self._limits.angular_rad_s)
        self._rest = se3.make(R, self._rest[:3, 3])
        self._move_hand(hand, dt_s)
        error_rad, error_hand = se3.rotation_angle(R, goal), np.max(np.abs(self._hand - hand))
        return bool(error_rad < self.config.ask_rad and error_hand < self.config.ask_hand)

    def _drive(self, now_s: float, command: Array) -> list[ModeEvent]:
        view = self._view(now_s)
        if self._driving is None:
            self._reference = unpack(command)[0]
            self._driving = Reacher(self._reference, now_s, self._limits)
            self._plan.first_phase(view)
            self._foreseen_s = np.inf
            self._phase_s = now_s
            view = self._view(now_s)
        intent, new_phase = self._plan.step(view)
        if new_phase:
            self._phase_s = now_s
        self._driving.go(intent.goal, now_s, intent.speed)
        self._move_hand(intent.hand, now_s - self._last_s)
        self._finished = self._plan.phase.value == "done"
        if self._finished and not self._stopped:
            self._stopped = True
            return [ModeEvent.STOP]
        return [ModeEvent.RELEASE] if new_phase and self._made_good() else []

    def _made_good(self) -> bool:
        """Whether the task is a step further than at the alarm, at the seam of two movements."""
        if not (self.config.hand_back and self._watching) or self._alarm is None:
            return False
        return self._assessed.step > self._alarm.step

    def _view(self, now_s: float) -> View:
        seen = self._seen[0]
        remaining = self._driving.remaining_s(now_s) if self._driving else 0.0
        return View(seen.scene, seen.state.tcp_T, seen.state.hand, now_s - self._phase_s, remaining)

    def _move_hand(self, goal: Array, dt_s: float) -> None:
        step = self.config.hand_speed_1_s * dt_s
        self._hand = self._hand + np.clip(goal - self._hand, -step, step)

    def _resting_pose(self, rng: np.random.Generator, R_tcp: Array) -> Array:
        """Tracker pose (4, 4) somewhere in its world, the wrist turned a little from the robot's."""
        turned_rad = self.config.rest_rad if self._watching else self.config.misalignment_rad
        axis = rng.standard_normal(3)
        error = se3.rotation_from_rotvec(turned_rad * rng.uniform() * axis / np.linalg.norm(axis))
        R = self._tracker_rotation(R_tcp) @ error
        return se3.make(R, rng.uniform(-0.3, 0.3, 3) + np.array([0.5, 0.2, 1.1]))

    def _tracker_rotation(self, R_tcp: Array) -> Array:
        """Rotation (3, 3) of the tracker in its world at which wrist and robot's hand are parallel."""
        out: Array = self._world_to_base.T @ R_tcp @ self._X[:3, :3]
        return out

    def _tracker_pose(self, now_s: float) -> Array:
        """The desired TCP motion since the takeover as tracker motion: inverse of the follower's law."""
        if self._driving is None:
            return self._rest @ self._tremor.offset(now_s)
        desired = self._driving.pose(now_s)
        motion: Array = self._X_inv @ se3.invert(self._reference) @ desired @ self._X
        return self._rest @ motion @ self._tremor.offset(now_s)
