"""Executor, follower and chunk schedule wired as in lockstep, driven by a random plan; and what must hold.

A plan is one session: modes are asked for at random, the wrist wanders, the robot lags behind its command,
actions and chunks come late, chunks honour their prefix or do not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from dexpie_core import se3
from dexpie_core.action_space import pack, unpack
from dexpie_core.chunk_schedule import Chunk
from dexpie_core.executor import Executor, ExecutorConfig, HumanAction, Source, TickOutput
from dexpie_core.follower import FollowerConfig, HumanFollower, Misalignment
from dexpie_core.limits import MotionLimits, step_sizes
from dexpie_core.modes import Mode, ModeEvent
from dexpie_core.tremor import TremorConfig

TICKS = 60
SWITCH_M, SWITCH_RAD = 1e-4, np.radians(0.01)
ALIGNED = Misalignment(0.0, np.zeros(6))
EVENTS = (None,) * 12 + (
    *(ModeEvent.START,) * 3,
    *(ModeEvent.TAKEOVER,) * 3,
    *(ModeEvent.RELEASE,) * 3,
    ModeEvent.RECLUTCH,
    ModeEvent.ALIGN,
    ModeEvent.CANCEL,
    ModeEvent.STOP,
    ModeEvent.FAIL,
    ModeEvent.RECOVER,
)


@dataclass(frozen=True)
class Plan:
    """What is random about a session.

    human_lag, latency: ticks from the follower to the executor, and from request to chunk. still: ticks for
    which the wrist rests from every coupling on. robot_lag: share of its way that the robot is behind.
    """

    seed: int
    rate_hz: float = 25.0
    human_lag: int = 0
    latency: int = 3
    speed_m_s: float = 0.5
    speed_rad_s: float = 2.0
    robot_lag: float = 0.7
    still: int = 0
    tremor: bool = True
    near_half_turn: bool = False


plans = st.builds(
    Plan,
    seed=st.integers(0, 2**32 - 1),
    rate_hz=st.sampled_from([10.0, 25.0, 50.0]),
    human_lag=st.integers(0, 2),
    latency=st.integers(0, 9),
    speed_m_s=st.floats(0.0, 1.0),
    speed_rad_s=st.floats(0.0, 5.0),
    robot_lag=st.floats(0.0, 0.95),
    still=st.sampled_from([0, 6]),
    tremor=st.booleans(),
    near_half_turn=st.booleans(),
)


@dataclass(frozen=True)
class Row:
    """One tick. human: the newest action offered. since_switch: ticks since the newest switch to HUMAN."""

    out: TickOutput
    human: HumanAction
    still: bool
    since_switch: int


class Session:
    """Plays a plan. reference: what the follower clutches to, of (last command, measured action)."""

    def __init__(
        self,
        plan: Plan,
        reference: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda last, measured: last,
    ) -> None:
        self.plan, self.reference = plan, reference
        self.rng = np.random.default_rng(plan.seed)
        self.core = Executor(
            ExecutorConfig(plan.rate_hz, limits=MotionLimits(rate_hz=plan.rate_hz), reclutch_min_s=0.1)
        )
        rotvec = self.rng.uniform(-2.0, 2.0, 3)
        if plan.near_half_turn:
            rotvec *= self.rng.uniform(0.95, 1.05) * np.pi / np.linalg.norm(rotvec)
        self.home = se3.make(se3.rotation_from_rotvec(rotvec), self.rng.uniform([-0.5, -0.5, 0.1], 0.6))
        self.core.reset(pack(self.home, self.rng.uniform(0.0, 1.0, 6)))
        self.measured = self.core.last_command
        self.tracker = se3.make(
            se3.rotation_from_rotvec(self.rng.uniform(-2, 2, 3)), self.rng.uniform(-3, 3, 3)
        )
        strapped = tuple(self.rng.uniform(-1.5, 1.5, 3))
        self.follower = HumanFollower(
            FollowerConfig(strapped, tremor=TremorConfig() if plan.tremor else None)
        )
        self.glove = self.rng.uniform(0.0, 1.0, 6)
        self.clutched_epoch = 0
        self.epoch_of: dict[int, int] = {}
        self._actions: list[HumanAction] = []
        self._chunks: list[tuple[int, Chunk]] = []
        self._since_switch = 1000

    def play(self, ticks: int = TICKS) -> Iterator[Row]:
        for tick in range(ticks):
            yield self._tick(tick, tick / self.plan.rate_hz)

    def _tick(self, tick: int, now_s: float) -> Row:
        core, epoch = self.core, self.core.epoch
        self._move_robot()
        T, hand = unpack(self.measured)
        core.offer_state(now_s, T, hand)
        core.offer_human(HumanAction(now_s, 0, core.last_command, ALIGNED))
        event = EVENTS[self.rng.integers(len(EVENTS))]
        if event is not None:
            core.request_mode(event, now_s)
        switched = core.mode is Mode.HUMAN and core.epoch != epoch
        self._since_switch = 0 if switched else self._since_switch + 1
        still = self._since_switch < self.plan.still
        if not still:
            self._move_wrist()
        human = self._act(now_s)
        core.offer_human(human)
        for _, chunk in [entry for entry in self._chunks if entry[0] <= tick]:
            core.offer_chunk(chunk)
        self._chunks = [entry for entry in self._chunks if entry[0] > tick]
        out = core.tick(now_s)
        self._infer(tick, out)
        return Row(out, human, still and core.mode is Mode.HUMAN, self._since_switch)

    def _move_robot(self) -> None:
        behind, last = self.plan.robot_lag, self.core.last_command
        (T, hand), (T_last, hand_last) = unpack(self.measured), unpack(last)
        self.measured = pack(se3.interpolate(T_last, T, behind), hand_last + behind * (hand - hand_last))

    def _move_wrist(self) -> None:
        way = se3.make(
            se3.rotation_from_rotvec(self._direction() * self.plan.speed_rad_s / self.plan.rate_hz),
            self._direction() * self.plan.speed_m_s / self.plan.rate_hz,
        )
        self.tracker = self.tracker @ way
        self.glove = np.clip(self.glove + self.rng.uniform(-0.2, 0.2, 6), 0.0, 1.0)

    def _direction(self) -> np.ndarray:
        way = self.rng.normal(size=3)
        return way / np.linalg.norm(way) * self.rng.uniform(0.0, 1.0)

    def _act(self, now_s: float) -> HumanAction:
        """The action that reaches the executor now: the follower's of `human_lag` ticks ago."""
        core, action = self.core, self.core.last_command
        if core.mode is Mode.HUMAN:
            if self.clutched_epoch != core.epoch:
                self.follower.clutch(now_s, self.tracker, self.reference(core.last_command, self.measured))
                self.clutched_epoch = core.epoch
            action = self.follower.action(now_s, self.tracker, self.glove)
        self._actions.append(HumanAction(now_s, self.clutched_epoch, action, ALIGNED))
        arrived = self._actions[max(0, len(self._actions) - 1 - self.plan.human_lag)]
        return replace(arrived, stamp_s=now_s)

    def _infer(self, tick: int, out: TickOutput) -> None:
        request, config = out.request, self.core.config.schedule
        if request is None:
            return
        self.epoch_of[request.sequence] = request.epoch
        n = len(request.prefix)
        to = pack(
            self.home @ se3.make(se3.rotation_from_rotvec(self._direction()), self._direction() * 0.4),
            self.rng.uniform(0.0, 1.0, 6),
        )
        targets = np.array([_between(request.prefix[-1], to, i) for i in np.linspace(0, 1, config.horizon)])
        if self.rng.random() < 0.7:
            targets[:n] = request.prefix
        chunk = Chunk(request.epoch, request.sequence, request.tick, targets)
        self._chunks.append((tick + self.plan.latency, chunk))


def _between(a: np.ndarray, b: np.ndarray, s: float) -> np.ndarray:
    (T_a, hand_a), (T_b, hand_b) = unpack(a), unpack(b)
    return pack(se3.interpolate(T_a, T_b, s), (1 - s) * hand_a + s * hand_b)


def violations(session: Session, ticks: int = TICKS) -> list[str]:
    """What a session did that must never happen, in words; empty for a right one."""
    start = session.core.last_command
    rows = list(session.play(ticks))
    return [
        *_steps(start, rows, session.core.config.limits),
        *_switches(start, rows),
        *_epochs(start, rows, session.epoch_of),
        *_prefixes(rows),
    ]


def _steps(start: np.ndarray, rows: list[Row], limits: MotionLimits) -> list[str]:
    found = []
    for before, after in pairwise([start, *(row.out.command for row in rows)]):
        metres, radians, hand = step_sizes(before, after)
        if metres > limits.linear_step_m * (1 + 1e-9):
            found.append(f"position step {metres}")
        if radians > limits.angular_step_rad * (1 + 1e-6) + 1e-9:
            found.append(f"rotation step {radians}")
        if hand > limits.hand_step + 1e-12:
            found.append(f"hand step {hand}")
    return found


def _switches(start: np.ndarray, rows: list[Row]) -> list[str]:
    """From a coupling on, as long as the tracker rests, so does the command."""
    found, reference, previous = [], start, start
    for row in rows:
        if row.since_switch == 0:
            reference = previous
        previous = row.out.command
        if row.still:
            metres, radians, _ = step_sizes(reference, row.out.command)
            if metres > SWITCH_M or radians > SWITCH_RAD:
                found.append(f"motionless tracker moved the command by {metres} m, {radians} rad")
    return found


def _epochs(start: np.ndarray, rows: list[Row], epoch_of: dict[int, int]) -> list[str]:
    found, previous = [], start
    for row in rows:
        out = row.out
        if out.source is Source.POLICY and epoch_of[out.chunk_sequence] != out.epoch:
            found.append(f"chunk of epoch {epoch_of[out.chunk_sequence]} in {out.epoch}")
        moved = not np.allclose(out.command, previous, atol=1e-12)
        if out.source is Source.HUMAN and row.human.epoch != out.epoch and moved:
            found.append(f"human action of epoch {row.human.epoch} in {out.epoch}")
        previous = out.command
    return found


def _prefixes(rows: list[Row]) -> list[str]:
    """A prefix is what is commanded from its tick on, as long as its epoch lasts."""
    found = []
    for i, row in enumerate(rows):
        if row.out.request is None:
            continue
        for target, later in zip(row.out.request.prefix, rows[i:], strict=False):
            if later.out.epoch == row.out.epoch and not np.allclose(later.out.command, target, atol=1e-9):
                found.append(f"prefix of tick {row.out.tick} was not commanded in {later.out.tick}")
    return found
