"""What an action does to the lockstep cell: one tick, or all ticks up to the next inference."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dexpie_core.action_space import ACTION_DIM, POSE_DIM, absolute_from_relative, pack
from dexpie_core.executor import Source, TickOutput
from dexpie_core.limits import Clamp, CommandRefused, check_action, limit_step
from dexpie_core.modes import Mode
from dexpie_core.observation import Observation
from dexpie_core.se3 import Array
from dexpie_sim.environment.config import EnvironmentConfig
from dexpie_sim.lockstep import EpisodeRequest, LockstepCell
from dexpie_sim.tasks.base import SceneReading

OnTick = Callable[[TickOutput], None]


@dataclass(frozen=True)
class Moment:
    """One tick. fault: why the executor gave up, or empty; decides: whether an action is due now."""

    scene: SceneReading
    fault: str
    decides: bool


class Driving(ABC):
    """How actions become ticks of a lockstep cell."""

    @abstractmethod
    def reset(self, stage: str, seed: int) -> Moment:
        """Begin an episode; its first moment decides."""

    @abstractmethod
    def act(self, action: Array) -> None:
        """The action of the present moment, of the action space's shape."""

    @abstractmethod
    def next_tick(self) -> Moment:
        """Let one tick pass."""

    @abstractmethod
    def observe(self) -> tuple[Observation, Array]:
        """What a policy would see now, and the prefix (n, 15) of its chunk."""


def make_driving(config: EnvironmentConfig, cell: LockstepCell, on_tick: OnTick) -> Driving:
    """The way of driving that the settings ask for."""
    return (StepDriving if config.action == "step" else ChunkDriving)(config, cell, on_tick)


class StepDriving(Driving):
    """One absolute action a tick, through the executor's limits."""

    def __init__(self, config: EnvironmentConfig, cell: LockstepCell, on_tick: OnTick) -> None:
        self._config, self._cell, self._on_tick = config, cell, on_tick

    def reset(self, stage: str, seed: int) -> Moment:
        self._cell.reset(_request(stage, seed, _Answers(), images=False))
        state = self._cell.cell.observe()
        self._command = pack(state.tcp_T, self._cell.cell.hand_target)
        return self._moment()

    def act(self, action: Array) -> None:
        limits, counters = self._config.executor.limits, self._cell.executor.counters
        self._source, self._clamped = Source.POLICY, Clamp.NONE
        try:
            limited = limit_step(self._command, check_action(action), limits)
        except CommandRefused:
            self._source = Source.HOLD
            counters["refused_commands"] += 1
            return
        self._command, self._clamped = limited.command, limited.clamped
        counters["clamped_commands"] += limited.clamped != Clamp.NONE

    def next_tick(self) -> Moment:
        output = TickOutput(
            tick=self._cell.tick_index + 1,
            command=self._command,
            source=self._source,
            mode=Mode.AUTONOMOUS,
            epoch=self._cell.executor.epoch,
            clamped=self._clamped,
        )
        self._on_tick(output)
        self._cell.advance(output)
        return self._moment()

    def observe(self) -> tuple[Observation, Array]:
        state, scene = self._cell.cell.observe(), self._cell.cell.scene()
        images = self._cell.images() if self._config.images else {}
        seen = Observation(self._cell.now_s, state.arm_q, state.tcp_T, state.hand, scene.values, images)
        return seen, np.empty((0, ACTION_DIM))

    def _moment(self) -> Moment:
        return Moment(self._cell.cell.scene(), fault="", decides=True)


class ChunkDriving(Driving):
    """A chunk an inference: the lockstep rollout, interrupted where it asks its policy."""

    def __init__(self, config: EnvironmentConfig, cell: LockstepCell, on_tick: OnTick) -> None:
        self._config, self._cell, self._on_tick = config, cell, on_tick

    def reset(self, stage: str, seed: int) -> Moment:
        self._answers = _Answers(self._config.executor.schedule.horizon)
        self._cell.reset(_request(stage, seed, self._answers, self._config.images))
        return self._moment()

    def act(self, action: Array) -> None:
        self._answers.answer(self._absolute(action))

    def next_tick(self) -> Moment:
        self._cell.advance(self._tick.output)
        return self._moment()

    def observe(self) -> tuple[Observation, Array]:
        if self._tick.output.request is not None:
            return self._answers.observation, self._answers.prefix
        state, output = self._tick.state, self._tick.output
        images = self._cell.images() if self._config.images else {}
        scene = self._tick.scene.values
        seen = Observation(self._cell.now_s, state.arm_q, state.tcp_T, state.hand, scene, images)
        assert output.command is not None
        return seen, np.tile(output.command, (self._config.prefix_length, 1))

    def _moment(self) -> Moment:
        self._tick = tick = self._cell.tick()
        self._on_tick(tick.output)
        fault = tick.output.reason if tick.output.mode is Mode.FAULT else ""
        return Moment(tick.scene, fault, decides=tick.output.request is not None)

    def _absolute(self, chunk: Array) -> Array:
        if self._config.frame == "base":
            return chunk
        try:
            targets = absolute_from_relative(self._answers.observation.tcp_T, chunk)
        except ValueError:  # no rotation: the schedule refuses it, as it does everywhere
            return np.full_like(chunk, np.nan)
        targets[:, POSE_DIM:] = np.clip(targets[:, POSE_DIM:], 0.0, 1.0)
        targets[: len(self._answers.prefix)] = self._answers.prefix
        return targets


class _Answers:
    """The policy of the rollout: keeps the question and hands out a chunk that is filled in later.

    Lockstep looks at a chunk at the next tick at the earliest, and the environment answers before.
    """

    policy_id = "environment"

    def __init__(self, horizon: int = 0) -> None:
        self._horizon = horizon

    def infer(self, observation: Observation, prefix: Array) -> Array:
        self.observation, self.prefix = observation, prefix
        self._targets = np.full((self._horizon, ACTION_DIM), np.nan)
        return self._targets

    def answer(self, targets: Array) -> None:
        self._targets[:] = targets


def _request(stage: str, seed: int, policy: _Answers, images: bool) -> EpisodeRequest:
    return EpisodeRequest("rollout", stage, seed, policy, cameras=False, policy_images=images)
