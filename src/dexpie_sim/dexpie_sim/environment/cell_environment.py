"""`CellEnvironment`: gymnasium's interface to the lockstep cell."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import ArrayLike, NDArray

from dexpie_core.episode import Outcome, Positions
from dexpie_core.executor import TickOutput
from dexpie_sim.environment import spaces
from dexpie_sim.environment.config import EnvironmentConfig, check_choice
from dexpie_sim.environment.driving import Moment, make_driving
from dexpie_sim.lockstep import LockstepCell, end_of

_LARGEST_SEED: Final = 2**31


@dataclass(frozen=True)
class Verdict:
    """How an episode stands: running, unless terminated or truncated."""

    outcome: Outcome | Literal[""] = ""
    reason: str = ""
    terminated: bool = False
    truncated: bool = False

    @property
    def ended(self) -> bool:
        """Whether no further action is taken."""
        return self.terminated or self.truncated


class CellEnvironment(gymnasium.Env[dict[str, Any], NDArray[np.float64]]):
    """One simulated cell; explicit time, so an episode is a function of settings, seed and actions.

    Action `step`: the absolute action (15,) of one tick of 40 ms, in `base`. It goes through the executor's
    limits: what is too far is shortened, what is no action (not finite, no rotation) is refused, counted,
    and the last command held.

    Action `chunk`: one inference. Every observation is one that the executor asked a chunk for; the action
    answers it, and the step lasts until the executor asks again, or the episode ends.

    - `asynchronous` inference: the observation's `prefix` (n, 15) is what is commanded while inference runs.
      The chunk starts with these n steps: with `frame` `base` the caller puts them there, with `tcp` the
      environment does. The first chunk's prefix is the start pose, held. The chunk arrives latency_ticks
      after its observation; up to n that makes no difference, above n the arm has to wait (late_chunks).
    - `holding`: no prefix; the arm stands still for latency_ticks before each chunk.

    This is `dexpie_sim.lockstep.run_episode`, tick by tick: with `frame` `base`,
    `env.step(policy.infer(to_observation(o), prefix_of(o)))` executes what a rollout of the same policy and
    seed does, to the last bit. An unusable chunk is refused and counted by the schedule, which asks again
    after its time-out. A step's reward is the sum over its ticks.

    Observation, float64 except pictures: time (1,) s; arm_q (6,) rad; tcp (9,) in `base`, m and 6D rotation;
    hand (6,), 1 = open; objects (k,) named by `object_names`; prefix; front, wrist (size, size, 3) uint8.
    At the end of an episode no chunk is asked for, and prefix repeats the last command.

    Terminated: the task's success or failure, or a fault. Truncated: max_steps ticks have passed.
    info: outcome (success, failure, or empty while it runs; a time-out is a failure), reason, stage (where
    the task is now), start_stage, seed, ticks (since the start), names (of the objects' values), counters
    (of executor, schedule and arm).

    reset: `seed` is the episode's seed, the same as everywhere in DexPIE; without it the next one is drawn
    from the generator that the last given seed began. options: stage, positions (for this episode).
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012 (gymnasium's)

    def __init__(
        self,
        config: EnvironmentConfig | None = None,
        *,
        render_mode: str | None = None,
        on_tick: Callable[[TickOutput], None] | None = None,
        **settings: Any,
    ) -> None:
        """Settings are fields of `EnvironmentConfig`, replacing those of `config`.

        on_tick: called with what is commanded at each tick, before it acts. Raises ValueError for a setting
        that does not exist or has no such value.
        """
        unknown = settings.keys() - EnvironmentConfig.__dataclass_fields__.keys()
        if unknown:
            raise ValueError(
                f"environment has no setting {', '.join(sorted(unknown))}; see EnvironmentConfig"
            )
        if render_mode is not None:
            check_choice("render_mode", render_mode, tuple(self.metadata["render_modes"]))
        self.config = replace(config or EnvironmentConfig(), **settings)
        self.render_mode = render_mode
        self._cell = LockstepCell(self.config.lockstep())
        self._driving = make_driving(self.config, self._cell, on_tick or (lambda output: None))
        task = self._cell.cell.task
        self._longest = task.max_steps
        self._limit = self.config.max_steps or task.max_steps
        self.object_names = tuple(self._cell.cell.scene().names)
        self.action_space = spaces.action_space(self.config)
        self.observation_space = spaces.observation_space(self.config, len(self.object_names))
        self._running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """First observation and info of an episode; see the class."""
        stage, positions = self._placement(options or {})
        super().reset(seed=seed)
        self._seed = int(seed if seed is not None else self.np_random.integers(_LARGEST_SEED))
        self._stage = stage
        self._cell.cell.config = replace(self._cell.cell.config, positions=positions)
        moment = self._driving.reset(stage, self._seed)
        self._running = True
        return self._observe(), self._info(moment, Verdict())

    def step(self, action: ArrayLike) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Execute one action; see the class. Raises ValueError for an action of another shape."""
        if not self._running:
            raise ResetNeeded("the episode has not begun or has ended: call reset()")
        given = np.asarray(action, dtype=np.float64)
        if given.shape != self.action_space.shape:
            raise ValueError(f"action has shape {given.shape}, expected {self.action_space.shape}")
        began = self._cell.tick_index
        self._driving.act(given)
        moment = self._driving.next_tick()
        while not (moment.decides or self._verdict(moment).ended):
            moment = self._driving.next_tick()
        verdict = self._verdict(moment)
        self._running = not verdict.ended
        reward = self._reward(self._cell.tick_index - began, verdict)
        return self._observe(), reward, verdict.terminated, verdict.truncated, self._info(moment, verdict)

    def render(self) -> NDArray[np.uint8] | None:
        """The front camera's picture (size, size, 3) uint8; None without a render mode."""
        return self._cell.images()["front"].copy() if self.render_mode is not None else None

    def close(self) -> None:
        """Free the renderer. The environment can be reset and used again."""
        self._cell.close()

    def _placement(self, options: dict[str, Any]) -> tuple[str, Positions]:
        unknown = options.keys() - {"stage", "positions"}
        if unknown:
            raise ValueError(f"reset has no option {', '.join(sorted(unknown))}; it has stage and positions")
        stage = options.get("stage", self.config.stage)
        positions = options.get("positions", self.config.positions)
        # The settings check themselves.
        replace(self.config, stage=stage, positions=positions)
        return stage, positions

    def _verdict(self, moment: Moment) -> Verdict:
        end = end_of(moment.scene, moment.fault, self._cell.tick_index, self._limit)
        if end is None:
            return Verdict()
        decided = moment.scene.success or moment.scene.failure or bool(moment.fault)
        return Verdict(end.outcome, end.reason, terminated=decided, truncated=not decided)

    def _reward(self, ticks: int, verdict: Verdict) -> float:
        if self.config.reward == "sparse":
            return float(verdict.outcome == "success")
        return -float(ticks + (self._longest if verdict.outcome == "failure" else 0))

    def _observe(self) -> dict[str, Any]:
        return spaces.observation_dict(self.config, *self._driving.observe())

    def _info(self, moment: Moment, verdict: Verdict) -> dict[str, Any]:
        return {
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "stage": moment.scene.stage,
            "start_stage": self._stage,
            "seed": self._seed,
            "ticks": self._cell.tick_index,
            "names": self.object_names,
            "counters": self._cell.counters(),
        }
