"""The whole cell in one process and simulated time: the same executor, follower and retargeting as the graph.

One tick: observe, operator or policy, executor, record, send the command, let 40 ms pass. Nothing reads a
clock, so an episode is a function of its settings and its seed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dexpie_core.action_space import pack, unpack
from dexpie_core.chunk_schedule import Chunk
from dexpie_core.collection import CORRECTION_TIMES
from dexpie_core.episode import EpisodeEnd, EpisodeStart
from dexpie_core.executor import Executor, ExecutorConfig, HumanAction, TickOutput
from dexpie_core.follower import HumanFollower
from dexpie_core.modes import Mode, ModeEvent
from dexpie_core.observation import Observation
from dexpie_core.retargeting import hand_from_glove
from dexpie_sim.camera_noise import PixelNoise
from dexpie_sim.cell import Cell, CellState
from dexpie_sim.config import CellConfig
from dexpie_sim.episode import EpisodeRequest, EpisodeResult, episode_id
from dexpie_sim.interventions import InterventionLog
from dexpie_sim.operator import OperatorConfig, OperatorSignals, VirtualOperator
from dexpie_sim.progress.bottleneck import Bottleneck
from dexpie_sim.recording import EpisodeRecorder
from dexpie_sim.render import SceneRenderer
from dexpie_sim.tasks.base import SceneReading

__all__ = [
    "EpisodeRequest",
    "EpisodeResult",
    "LockstepCell",
    "LockstepConfig",
    "Tick",
    "end_of",
    "episode_id",
    "run_episode",
    "with_inference",
]

EPOCH_S = 1_700_000_000
"""Simulated time of seed 0's start; each seed starts 1000 s later, so that bags never overlap."""
_SEEDS_BEFORE_WRAP = 400_000  # ROS time ends in 2038: its seconds are 32 bits
_HALF_TICKS = 2


@dataclass(frozen=True)
class LockstepConfig:
    """Settings of the parts, the delay of inference, and the pictures.

    latency_ticks: ticks between a chunk's observation and its arrival. image_width, image_height (pixels):
    of the pictures a policy sees and a bag holds. jpeg_quality: 1..100.
    """

    cell: CellConfig = field(default_factory=CellConfig)
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)
    operator: OperatorConfig = field(default_factory=OperatorConfig)
    latency_ticks: int = 3
    image_width: int = 224
    image_height: int = 224
    jpeg_quality: int = 90

    def __post_init__(self) -> None:
        if self.latency_ticks < 0:
            raise ValueError("lockstep.latency_ticks must not be negative")


@dataclass(frozen=True)
class Tick:
    """Everything that happened at one tick; stamps are simulated nanoseconds."""

    stamp_ns: int
    state: CellState
    scene: SceneReading
    output: TickOutput
    signals: OperatorSignals | None
    human: HumanAction | None
    chunks: tuple[tuple[Chunk, Observation], ...]
    protective_stop: bool


class LockstepCell:
    """Cell, executor, follower, operator and policy on one explicit clock. Reusable over episodes."""

    def __init__(self, config: LockstepConfig | None = None) -> None:
        self.config = config or LockstepConfig()
        self.cell = Cell(self.config.cell)
        self.period_s = 1.0 / self.config.executor.rate_hz
        self.operator = VirtualOperator(self.config.operator, self.config.cell.task)
        self._renderer: SceneRenderer | None = None

    def reset(self, request: EpisodeRequest) -> None:
        """Start state of an episode: objects placed, robot at home, executor IDLE."""
        self.request = request
        self.cell.reset(request.stage, request.seed)
        state = self.cell.observe()
        self.executor = Executor(self.config.executor)
        self.executor.reset(pack(state.tcp_T, self.cell.hand_target))
        self.follower = HumanFollower(self.config.operator.follower)
        self.operator.begin(
            request.seed, state, watching=request.correct, failed_after_s=request.failed_after_s
        )
        self.tick_index = 0
        self.start_ns = (EPOCH_S + 1000 * (request.seed % _SEEDS_BEFORE_WRAP)) * 10**9
        self._clutched_epoch = -1
        self._under_way: list[tuple[int, Chunk, Observation]] = []

    @property
    def now_s(self) -> float:
        """Simulated time since the reset."""
        return self.tick_index * self.period_s

    @property
    def stamp_ns(self) -> int:
        """Simulated absolute time of this tick."""
        return self.start_ns + round(self.now_s * 1e9)

    def tick(self) -> Tick:
        """Everything up to the command of this tick; `advance` then lets it act."""
        state, scene = self.cell.observe(), self.cell.scene()
        stopped = self.cell.protective_stop
        self.executor.offer_state(
            self.now_s, state.tcp_T, state.hand, "arm: protective stop" if stopped else ""
        )
        signals, human = None, None
        if self.request.policy is not None and self.tick_index == 0:
            self.executor.request_mode(ModeEvent.START, self.now_s)
        if self.request.operated:
            signals, human = self._operate(state, scene)
        arrived = self._deliver()
        output = self.executor.tick(self.now_s)
        if output.request is not None:
            self._infer(output, state, scene)
        return Tick(self.stamp_ns, state, scene, output, signals, human, arrived, stopped)

    def advance(self, output: TickOutput, halfway: Callable[[], None] | None = None) -> None:
        """Send the tick's command and let one period pass; `halfway` is called in its middle."""
        if output.command is not None:
            T, hand = unpack(output.command)
            self.cell.set_arm_target(T)
            self.cell.set_hand_target(hand)
        for part in range(_HALF_TICKS):
            if part and halfway is not None:
                halfway()
            self.cell.advance(self.period_s / _HALF_TICKS)
        self.tick_index += 1

    def images(self) -> dict[str, NDArray[np.uint8]]:
        """Pictures of both cameras, taken now: latency, noise and looks as the cell's settings say."""
        width, height = self.config.image_width, self.config.image_height
        if self._renderer is None:
            self._renderer = SceneRenderer(self.cell.model, width, height)
            self._noise = PixelNoise(self.config.cell.camera_noise, width, height)
        pictures = self._renderer.render_all(self.cell.camera_qpos, self.cell.looks_seed)
        return self._noise.add(pictures, self.stamp_ns)

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def counters(self) -> dict[str, int]:
        """What the executor, its schedule and the arm counted in this episode."""
        both = {
            **self.executor.counters,
            **self.executor.schedule.counters,
            "ik_failures": self.cell.ik_failures,
        }
        return {name: int(count) for name, count in both.items()}

    def _operate(self, state: CellState, scene: SceneReading) -> tuple[OperatorSignals, HumanAction]:
        executor, now_s = self.executor, self.now_s
        assert executor.last_command is not None
        signals = self.operator.step(now_s, scene, state, executor.mode, executor.last_command)
        hand = hand_from_glove(signals.glove, self.config.operator.retargeting)
        human = self._human_action(signals, hand)
        executor.offer_human(human)
        for event in signals.events:
            executor.request_mode(event, now_s, "operator")
        if executor.mode is Mode.HUMAN and self._clutched_epoch != executor.epoch:
            self.follower.clutch(now_s, signals.tracker_T, executor.last_command)
            self._clutched_epoch = executor.epoch
            human = self._human_action(signals, hand)
            executor.offer_human(human)
        return signals, human

    def _human_action(self, signals: OperatorSignals, hand: NDArray[np.float64]) -> HumanAction:
        executor = self.executor
        assert executor.last_command is not None
        misalignment = self.follower.misalignment(signals.tracker_T, hand, executor.last_command)
        if executor.mode is Mode.HUMAN and self._clutched_epoch == executor.epoch:
            action = self.follower.action(self.now_s, signals.tracker_T, hand)
        else:
            action = executor.last_command
        return HumanAction(self.now_s, executor.epoch, action, misalignment)

    def _deliver(self) -> tuple[tuple[Chunk, Observation], ...]:
        due = [entry for entry in self._under_way if entry[0] <= self.tick_index]
        self._under_way = [entry for entry in self._under_way if entry[0] > self.tick_index]
        for _, chunk, _ in due:
            self.executor.offer_chunk(chunk)
        return tuple((chunk, observation) for _, chunk, observation in due)

    def _infer(self, output: TickOutput, state: CellState, scene: SceneReading) -> None:
        request, policy = output.request, self.request.policy
        assert request is not None and policy is not None
        images = self.images() if self.request.policy_images else {}
        observation = Observation(self.now_s, state.arm_q, state.tcp_T, state.hand, scene.values, images)
        targets = policy.infer(observation, request.prefix)
        chunk = Chunk(request.epoch, request.sequence, request.tick, np.asarray(targets, dtype=np.float64))
        self._under_way.append((self.tick_index + self.config.latency_ticks, chunk, observation))


def with_inference(config: LockstepConfig, latency_ticks: int, synchronous: bool) -> LockstepConfig:
    """The same cell with another inference delay; `synchronous` holds the robot while inference runs."""
    schedule = replace(config.executor.schedule, synchronous=synchronous)
    return replace(config, executor=replace(config.executor, schedule=schedule), latency_ticks=latency_ticks)


def run_episode(
    cell: LockstepCell, request: EpisodeRequest, on_tick: Callable[[Tick], None] | None = None
) -> EpisodeResult:
    """Run one episode to its verdict, a fault or the time limit; write its bag if asked to."""
    cell.reset(request)
    start = EpisodeStart(
        episode_id=request.episode_id
        or episode_id(cell.config.cell.task, request.kind, request.stage, request.seed),
        task=cell.config.cell.task,
        stage=request.stage,
        kind=request.kind,
        policy_id=request.policy.policy_id if request.policy is not None else "",
        operator="virtual" if request.operated else "",
        seed=request.seed,
        pair_id=request.pair_id,
        positions=cell.config.cell.positions,
    )
    recorder = None
    if request.record_dir is not None:
        recorder = EpisodeRecorder(request.record_dir / start.episode_id, start, cell, request.cameras)
    log = InterventionLog()
    try:
        end = _run(cell, request, recorder, log, on_tick)
    except BaseException:
        if recorder is not None:
            recorder.discard()
        raise
    bag = recorder.finish(cell.stamp_ns, end) if recorder is not None else None
    return EpisodeResult(
        request.seed,
        request.stage,
        request.kind,
        end.outcome,
        end.reason,
        cell.tick_index,
        cell.now_s,
        bag,
        cell.counters(),
        tuple(log.interventions),
    )


def _run(
    cell: LockstepCell,
    request: EpisodeRequest,
    recorder: EpisodeRecorder | None,
    log: InterventionLog,
    on_tick: Callable[[Tick], None] | None,
) -> EpisodeEnd:
    limit = request.max_steps or round(
        cell.cell.task.max_steps * (CORRECTION_TIMES if request.correct else 1.0)
    )
    judge = Bottleneck(cell.config.cell.task) if request.judged else None
    while True:
        tick = cell.tick()
        if request.correct and tick.signals is not None:
            log.tick(cell.tick_index, tick.output.mode, tick.signals.events, tick.signals.alarm)
        if recorder is not None:
            recorder.tick(tick)
        if on_tick is not None:
            on_tick(tick)
        fault = tick.output.reason if tick.output.mode is Mode.FAULT else ""
        state = tick.state
        stuck = judge.see(cell.now_s, tick.scene, state.tcp_T, state.hand) if judge is not None else ""
        end = end_of(tick.scene, fault, cell.tick_index, limit, stuck)
        if end is not None:
            return end
        cell.advance(tick.output, recorder.halfway if recorder is not None else None)


def end_of(scene: SceneReading, fault: str, ticks: int, limit: int, stuck: str = "") -> EpisodeEnd | None:
    """How an episode ends at this tick, or None; fault, stuck: why executor or operator gave up, or empty."""
    if scene.success:
        return EpisodeEnd("success", scene.reason)
    if scene.failure:
        return EpisodeEnd("failure", scene.reason)
    if fault:
        return EpisodeEnd("failure", f"fault: {fault}")
    if stuck:
        return EpisodeEnd("failure", stuck)
    return EpisodeEnd("failure", "time-out") if ticks >= limit else None
