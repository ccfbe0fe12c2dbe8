"""The policy inference node: a request in, an observation at its time, a chunk out."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dexpie_core import messages, topics
from dexpie_core.action_space import RATE_HZ
from dexpie_core.chunk_schedule import Chunk, PrefixRequest
from dexpie_core.errors import DexpieError, UsageError
from dexpie_core.observation import Observation
from dexpie_policy.observations import ObservationBuffer, StaleObservation
from dexpie_ros.factory import make, message_class
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, parameter, run
from dexpie_ros.stamps import to_ns

POLL_RATE_HZ = 200.0  # a request waits at most 5 ms
WARM_UP_RUNS = 3
LATENCIES_KEPT = 1000


@dataclass(frozen=True)
class PolicyParameters:
    """Which policy, and how it is run."""

    policy: str = parameter("", "folder of the training run or checkpoint")
    device: str = parameter("cpu", "torch device: cpu or cuda")
    threads: int = parameter(1, "threads of torch; more than one takes the cores from the executor")
    tolerance_s: float = parameter(0.1, "largest distance of a measurement from the observation time, s")
    patience_s: float = parameter(0.1, "how long a request waits for measurements of its time to arrive, s")
    prefix_length: int = parameter(4, "prefix that the executor asks with, for warm-up and budget, ticks")


class PolicyNode(LoopNode):
    """Loads and warms up on the working thread, and answers there; services are served beside it."""

    def __init__(self) -> None:
        super().__init__("policy_inference")
        self.parameters = declare(self, PolicyParameters)
        if not self.parameters.policy:
            raise UsageError("parameter policy: give the folder of a training run")
        _check(self.parameters.policy)
        self._policy: Any = None
        self._buffer: ObservationBuffer | None = None
        self._requests = self.poll(topics.POLICY_REQUEST)
        self._events = self.poll(topics.EPISODE_EVENT)
        self._chunks = self.advertise(topics.POLICY_CHUNK)
        self._counters: Counter[str] = Counter()
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._complaint = ""
        self._pending: tuple[float, Any] | None = None
        service = message_class("dexpie_msgs/srv/LoadPolicy")
        self.create_service(service, topics.POLICY_LOAD_SERVICE, self._serve_load)
        self.start(POLL_RATE_HZ, realtime=3)

    def prepare(self) -> None:
        """Load and warm up the first policy."""
        self._use(self._load(self.parameters.policy))
        self.diagnostics.publish()

    def _load(self, path: str) -> Any:
        from dexpie_training.policy import LoadedPolicy

        policy = LoadedPolicy.load(path, self.parameters.device, self.parameters.threads)
        if abs(policy.info.rate_hz - RATE_HZ) > 1e-6:
            raise UsageError(
                f"{path}: trained at {policy.info.rate_hz:g} Hz, this cell runs at {RATE_HZ:g} Hz"
            )
        policy.warm_up(WARM_UP_RUNS)
        return policy

    def _use(self, policy: Any) -> None:
        info = policy.info
        buffer = ObservationBuffer(self, info.state_names, info.cameras, self.parameters.tolerance_s)
        with self.lock:
            before, self._policy, self._buffer = self._buffer, policy, buffer
            if before is not None:
                before.close()
            self._latencies_s.clear()
            self.get_logger().info(f"policy {policy.policy_id} is ready")

    def step(self) -> None:
        """Answer the newest request, if there is one."""
        event = self._events.newest()
        if event is not None and event.message.event == messages.EVENT_START and self._policy is not None:
            self._policy.reset(int(event.message.seed))  # the noise of an episode follows from its seed
        taken = self._requests.newest()
        if taken is not None:
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
                self._counters["unanswered_requests"] += 1
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
        latency_s = time.monotonic() - begun
        self._chunks.publish(
            messages.action_chunk(
                make,
                chunk,
                observation.tcp_T,
                len(request.prefix),
                latency_s,
                self._policy.policy_id,
                time.time_ns(),
            )
        )
        self._latencies_s.append(latency_s)
        self._counters["chunks"] += 1
        self._complaint = ""

    def _serve_load(self, request: Any, response: Any) -> Any:
        """The running policy stays in use until the new one is warm, and after a refusal."""
        try:
            _check(request.path)
            policy = self._load(request.path)
            self._use(policy)
            response.accepted = True
        except (DexpieError, ValueError, RuntimeError, OSError) as error:
            response.message = str(error)
        if self._policy is not None:
            response.policy_id = str(self._policy.policy_id)
        return response

    def report(self) -> Report:
        """OK once a policy is loaded and warm and everything that it looks at is heard."""
        if self._policy is None or self._buffer is None:
            return Report(Level.WARN, f"loading {self.parameters.policy}")
        self._buffer.take()
        if self._buffer.silent:
            return Report(Level.WARN, f"waiting for {', '.join(self._buffer.silent)}")
        values: dict[str, object] = {"policy_id": self._policy.policy_id, **self._counters}
        if self._latencies_s:
            p50, p99, worst = np.percentile(list(self._latencies_s), (50, 99, 100)) * 1e3
            budget_ms = 1e3 * self.parameters.prefix_length / RATE_HZ
            values |= {
                "latency_p50_ms": p50,
                "latency_p99_ms": p99,
                "latency_max_ms": worst,
                "budget_ms": budget_ms,
            }
            if p99 > budget_ms:
                return Report(
                    Level.WARN, "too slow for the prefix: use a smaller preset or a longer prefix", values
                )
        if self._complaint:
            return Report(Level.WARN, self._complaint, values)
        return Report(Level.OK, "ready", values)

    def finish(self) -> None:
        """Last words: latency."""
        chunks = self._counters["chunks"]
        if chunks:
            told = f"[policy_inference] {chunks} chunks"
            if self._latencies_s:
                p50, p99, worst = np.percentile(list(self._latencies_s), (50, 99, 100)) * 1e3
                told += f", request to chunk p50 {p50:.1f} p99 {p99:.1f} max {worst:.1f} ms"
            print(told, file=sys.stderr, flush=True)


def _check(path: str) -> None:
    """Refuse what is no checkpoint before torch is imported."""
    from dexpie_training.checkpoint import find_checkpoint

    find_checkpoint(Path(path))


def main() -> int:
    """Entry point."""
    return run(PolicyNode)


__all__ = ["PolicyNode", "StaleObservation", "main"]

if __name__ == "__main__":
    sys.exit(main())
