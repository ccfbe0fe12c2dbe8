"""A graph without robot, scene or recorder: answers what a session calls, and is its scripted operator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from dexpie_core import messages, topics
from dexpie_core.collection import Phase
from dexpie_core.episode import EpisodeEnd, EpisodeStart
from dexpie_core.modes import Mode
from dexpie_core.topics import TopicSpec
from dexpie_ros.factory import make, message_class
from dexpie_ros.own_domain import own_domain
from dexpie_ros.qos import profile
from dexpie_ros.testing import TIMEOUT_S, await_true


class FakeGraph:
    """Remembers what was asked for; its node spins in a thread. A context manager."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.starts: list[EpisodeStart] = []
        self.ends: list[str] = []
        self.refuse_autonomy = ""  # the next request for AUTONOMOUS is refused with these words
        self.status: Any = None
        self._running: EpisodeStart | None = None
        self._context = Context()
        rclpy.init(args=[], context=self._context, domain_id=own_domain())
        self._node = Node("fake_graph", context=self._context, start_parameter_services=False)
        self._events = self._advertise(topics.EPISODE_EVENT)
        self._modes = self._advertise(topics.MODE)
        self._node.create_subscription(
            message_class(topics.COLLECTION_STATUS.type), topics.COLLECTION_STATUS.name, self._hear,
            profile(topics.COLLECTION_STATUS),
        )  # fmt: skip
        for name, kind, answer in (
            (topics.SIM_RESET_SERVICE, "ResetScene", self._reset),
            (topics.SET_MODE_SERVICE, "SetMode", self._set_mode),
            (topics.EPISODE_START_SERVICE, "StartEpisode", self._start),
            (topics.EPISODE_END_SERVICE, "EndEpisode", self._end),
        ):
            self._node.create_service(message_class(f"dexpie_msgs/srv/{kind}"), name, answer)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        self._thread.join(5.0)
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    # What the operator sees and does

    def await_phase(self, phase: Phase, holds: Callable[[Any], bool] = lambda status: True) -> Any:
        """Await a status of this phase for which `holds`."""
        await_true(
            lambda: self.status is not None and self.status.phase == phase and holds(self.status),
            f"phase {phase.name}; the last was {self.status}",
        )
        return self.status

    def press(self, service: str) -> tuple[bool, str]:
        """Call one of the services on /collection."""
        reply = self._call("std_srvs/srv/Trigger", service)
        return bool(reply.success), str(reply.message)

    def judge(self, outcome: str) -> None:
        """End the running episode, as the console does."""
        reply = self._call("dexpie_msgs/srv/EndEpisode", topics.EPISODE_END_SERVICE, outcome=outcome)
        assert reply.accepted, reply.message

    def announce(self, mode: Mode, reason: str) -> None:
        """Say that the robot is in a mode."""
        message = message_class(topics.MODE.type)(mode=int(mode), reason=reason)
        await_true(lambda: self._modes.get_subscription_count() > 0, "the session's subscription")
        self._modes.publish(message)

    def _call(self, kind: str, service: str, **fields: Any) -> Any:
        client = self._node.create_client(message_class(kind), service)
        assert client.wait_for_service(TIMEOUT_S), service
        future = client.call_async(message_class(kind).Request(**fields))
        await_true(future.done, f"an answer of {service}")
        self._node.destroy_client(client)
        return future.result()

    # What the session calls

    def _advertise(self, spec: TopicSpec) -> Any:
        return self._node.create_publisher(message_class(spec.type), spec.name, profile(spec))

    def _hear(self, message: Any) -> None:
        self.status = message

    def _reset(self, request: Any, response: Any) -> Any:
        self.calls.append(f"reset {request.stage} {request.seed}")
        response.accepted = True
        return response

    def _set_mode(self, request: Any, response: Any) -> Any:
        refusal = self.refuse_autonomy if request.mode == int(Mode.AUTONOMOUS) else ""
        if refusal:
            self.refuse_autonomy = ""
        else:
            self.calls.append(Mode(request.mode).name)
        response.accepted, response.message = not refusal, refusal
        return response

    def _start(self, request: Any, response: Any) -> Any:
        start = EpisodeStart(
            f"e{len(self.starts)}", request.task, request.stage, request.kind, request.policy_id,
            request.operator_name, int(request.seed), request.pair_id, request.positions,
        )  # fmt: skip
        self.starts.append(start)
        self._running = start
        self._events.publish(messages.episode_start(make, start, len(self.starts)))
        response.accepted, response.episode_id = True, start.episode_id
        return response

    def _end(self, request: Any, response: Any) -> Any:
        if self._running is None:
            response.message = "no episode is running"
            return response
        self.ends.append(request.outcome)
        end = EpisodeEnd(request.outcome, request.reason)
        self._events.publish(messages.episode_end(make, self._running, end, len(self.starts)))
        self._running, response.accepted = None, True
        return response
