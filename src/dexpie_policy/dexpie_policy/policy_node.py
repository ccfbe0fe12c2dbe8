"""The policy inference node: a request in, an observation at its time, a chunk out."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from dexpie_core import messages, topics
from dexpie_core.action_space import RATE_HZ
from dexpie_core.chunk_schedule import Chunk, PrefixRequest, ScheduleConfig
from dexpie_core.errors import DexpieError, UsageError
from dexpie_core.latency import LatencyTracker, budget_advice, delay_ticks
from dexpie_core.observation import Observation
from dexpie_policy.fit import Cell
from dexpie_policy.loading import check_checkpoint, load_policy, warm_up
from dexpie_policy.observations import ObservationBuffer, StaleObservation
from dexpie_ros.factory import make, message_class
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, parameter, run
from dexpie_ros.stamps import to_ns

POLL_RATE_HZ = 200.0  # a request waits at most 5 ms
HEARD_S = 3.0  # within which a new policy must have heard all that it looks at
RETRY_S = 0.02


@dataclass(frozen=True)
class PolicyParameters:
    """Which policy, how it is run, and what the executor asks of it."""

    policy: str = parameter("", "folder of the training run or checkpoint")
    task: str = parameter("", "task of this cell, a policy of another one is refused; empty: any")
    device: str = parameter("cpu", "torch device: cpu or cuda")
    threads: int = parameter(0, "threads that compute; 0: one for a small network, all cores for a large one")
    fast: bool = parameter(True, "make inference as fast as the device allows, false: plain float32")
    tolerance_s: float = parameter(0.1, "largest distance of a measured state from the observation time, s")
    image_tolerance_s: float = parameter(0.1, "largest distance of an image from the observation time, s")
    patience_s: float = parameter(
        0.1, "how long a request waits for measurements of its time before it is declined, s"
    )
    horizon: int = parameter(24, "as of the executor: targets in a chunk, ticks")
    max_delay: int = parameter(4, "as of the executor: steps of a prefix, ticks")
    execution_horizon: int = parameter(20, "as of the executor: targets executed of each chunk, ticks")
    synchronous: bool = parameter(False, "as of the executor: it waits for each chunk")

    def cell(self) -> Cell:
        """What a policy must fit."""
        schedule = ScheduleConfig(
            horizon=self.horizon,
            max_delay=self.max_delay,
            execution_horizon=self.execution_horizon,
            synchronous=self.synchronous,
        )
        return Cell(schedule, self.task)

    def __post_init__(self) -> None:
        self.cell()


class PolicyNode(LoopNode):
    """Loads and warms up on the working thread, and answers there; services are served beside it."""

    def __init__(self) -> None:
        super().__init__("policy_inference")
        self.parameters = declare(self, PolicyParameters)
        self.cell = self.parameters.cell()
        if not self.parameters.policy:
            raise UsageError("parameter policy: give the folder of a training run")
        self.check(self.parameters.policy)
        self._policy: Any = None
        self._buffer: ObservationBuffer | None = None
        self._requests = self.poll(topics.POLICY_REQUEST)
        self._events = self.poll(topics.EPISODE_EVENT)
        self._chunks = self.advertise(topics.POLICY_CHUNK)
        self._counters: Counter[str] = Counter()
        self._latencies = LatencyTracker()
        self._complaint = ""
        self._pending: tuple[float, Any] | None = None
        service = message_class("dexpie_msgs/srv/LoadPolicy")
        self.create_service(service, topics.POLICY_LOAD_SERVICE, self._serve_load)
        self.start(POLL_RATE_HZ, realtime=3)

    def check(self, path: str) -> None:
        """Refuse what is no policy."""
        check_checkpoint(path)

    def load(self, path: str) -> Any:
        """The policy in a folder, UsageError where there is none or it does not fit."""
        p = self.parameters
        return load_policy(path, self.cell, p.device, p.threads, p.fast)

    def prepare(self) -> None:
        """Load and warm up the first policy."""
        policy = self._warm(self.parameters.policy)
        self._use(policy, self._buffer_for(policy))
        self.diagnostics.publish()

    def _warm(self, path: str) -> Any:
        policy = self.load(path)
        latency = warm_up(policy)
        told = f"{policy.policy_id}: p50 {1e3 * latency.p50_s:.0f}, p99 {1e3 * latency.p99_s:.0f} ms a chunk"
        self.get_logger().info(told)
        advice = self._advice(latency.p99_s, policy)
        if advice:
            self.get_logger().warning(advice)
        return policy

    def _advice(self, p99_s: float, policy: Any) -> str:
        return budget_advice(p99_s, policy.info.max_delay, self.cell.schedule, self.cell.rate_hz)

    def _buffer_for(self, policy: Any) -> ObservationBuffer:
        p, info = self.parameters, policy.info
        return ObservationBuffer(self, info.state_names, info.cameras, p.tolerance_s, p.image_tolerance_s)

    def _use(self, policy: Any, buffer: ObservationBuffer) -> None:
        with self.lock:
            before, self._policy, self._buffer = self._buffer, policy, buffer
            if before is not None:
                before.close()
            self._latencies.clear()
            self._complaint = ""
            self.get_logger().info(f"policy {policy.policy_id} is ready")

    def step(self) -> None:
        """Answer the newest request, if there is one."""
        event = self._events.newest()
        if event is not None and event.message.event == messages.EVENT_START and self._policy is not None:
            self._policy.reset(int(event.message.seed))  # the noise of an episode follows from its seed
        taken = self._requests.newest()
        if taken is not None:
            self._counters["superseded_requests"] += self._pending is not None
            self._pending = (time.monotonic(), taken.message)
        if self._pending is None or self._policy is None or self._buffer is None:
            return
        begun, message = self._pending
        request = messages.prefix_request(message)
        self._buffer.take()
        try:
            observation = self._buffer.at(to_ns(message.observation_time))
        except ValueError as error:
            self._complaint = str(error)
            if time.monotonic() - begun > self.parameters.patience_s:
                self._pending = None
                self._counters["declined_requests"] += 1
                self._publish(Chunk.declining(request), np.eye(4), 0, begun)
            return
        self._pending = None
        self._answer(request, observation, begun)

    def _answer(self, request: PrefixRequest, observation: Observation, begun: float) -> None:
        targets = np.asarray(self._policy.infer(observation, request.prefix), dtype=np.float64)
        if not np.all(np.isfinite(targets)):
            self._counters["not_finite"] += 1
            self._complaint = "the policy's targets are not finite"
            return
        chunk = Chunk(request.epoch, request.sequence, request.tick, targets)
        self._latencies.add(self._publish(chunk, observation.tcp_T, len(request.prefix), begun))
        self._counters["chunks"] += 1
        self._complaint = ""

    def _publish(self, chunk: Chunk, reference: np.ndarray, prefix_length: int, begun: float) -> float:
        """Send it; how long the request has taken, s."""
        taken_s, policy_id = time.monotonic() - begun, self._policy.policy_id
        message = messages.action_chunk(
            make, chunk, reference, prefix_length, taken_s, policy_id, time.time_ns()
        )
        self._chunks.publish(message)
        return taken_s

    def _serve_load(self, request: Any, response: Any) -> Any:
        """The running policy stays in use until the new one is warm and sees, and after a refusal."""
        try:
            self._switch(request.path)
            response.accepted = True
        except (DexpieError, ValueError, RuntimeError, OSError) as error:
            response.message = str(error)
        if self._policy is not None:
            response.policy_id = str(self._policy.policy_id)
        return response

    def _switch(self, path: str) -> None:
        self.check(path)
        policy = self._warm(path)
        buffer = self._buffer_for(policy)
        deadline = time.monotonic() + HEARD_S
        while True:
            buffer.take()
            try:
                buffer.newest()
                break
            except ValueError as error:
                if time.monotonic() > deadline:
                    buffer.close()
                    raise UsageError(f"{path}: cannot see here what it looks at: {error}") from error
            time.sleep(RETRY_S)
        self._use(policy, buffer)

    def report(self) -> Report:
        """OK once a policy is loaded and warm and everything that it looks at is heard."""
        if self._policy is None or self._buffer is None:
            return Report(Level.WARN, f"loading {self.parameters.policy}")
        self._buffer.take()
        if self._buffer.silent:
            return Report(Level.WARN, f"waiting for {', '.join(self._buffer.silent)}")
        values: dict[str, object] = {
            "policy_id": self._policy.policy_id,
            "observation_error_ms": 1e3 * self._buffer.worst_error_s,
            **self._counters,
            **self._latency_values(),
        }
        latency = self._latencies.latency()
        advice = self._advice(latency.p99_s, self._policy) if latency is not None else ""
        if advice or self._complaint:
            return Report(Level.WARN, advice or self._complaint, values)
        return Report(Level.OK, "ready", values)

    def _latency_values(self) -> dict[str, object]:
        latency = self._latencies.latency()
        if latency is None:
            return {}
        return {
            "latency_p50_ms": 1e3 * latency.p50_s,
            "latency_p90_ms": 1e3 * latency.p90_s,
            "latency_p99_ms": 1e3 * latency.p99_s,
            "latency_max_ms": 1e3 * latency.max_s,
            "predicted_delay_ticks": delay_ticks(latency.p99_s, RATE_HZ),
            "budget_ms": 1e3 * self.cell.schedule.max_delay / RATE_HZ,
        }

    def finish(self) -> None:
        """Last words: latency."""
        latency = self._latencies.latency()
        if self._counters["chunks"]:
            told = f"[policy_inference] {self._counters['chunks']} chunks"
            if latency is not None:
                p50, p99, worst = (1e3 * v for v in (latency.p50_s, latency.p99_s, latency.max_s))
                told += f", request to chunk p50 {p50:.1f} p99 {p99:.1f} max {worst:.1f} ms"
            print(told, file=sys.stderr, flush=True)


def main() -> int:
    """Entry point."""
    return run(PolicyNode)


__all__ = ["PolicyNode", "StaleObservation", "main"]

if __name__ == "__main__":
    sys.exit(main())
