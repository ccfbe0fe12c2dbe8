"""The console's side of ROS: everything observed is put into a queue, calls are made without waiting.

rclpy spins on a thread of its own, the interface takes events out of the queue at its own rate, and neither
can hold up the other. The life sign goes out only while the interface says that it is alive.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import rclpy
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from dexpie_core import topics
from dexpie_core.topics import TopicSpec
from dexpie_ros.factory import make, message_class
from dexpie_ros.polling import PolledSubscription, Taken
from dexpie_ros.qos import profile
from dexpie_ros.stamps import from_ns
from dexpie_teleop.console.services import SERVICES, Answer, ServiceCall, answer_of
from dexpie_teleop.console.state import EVERY, NEWEST, OBSERVED

NODE_NAME: Final = "operator_console"
POLL_RATE_HZ: Final = 20.0
ALIVE_S: Final = 0.5  # an interface that says nothing for so long hangs: no life sign any more
JOIN_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True)
class Arrived:
    """Messages of a topic arrived at these times, and it has so many publishers."""

    spec: TopicSpec
    times_s: tuple[float, ...]
    publishers: int


@dataclass(frozen=True)
class Heard:
    """A message whose content counts."""

    spec: TopicSpec
    message: Any


Event = Arrived | Heard | Answer


class Link:
    """Node, subscriptions, clients and life sign. Times are time.monotonic(), seconds."""

    def __init__(self, argv: Sequence[str] = ()) -> None:
        self._context = Context()
        # Who ends the console is the interface; a signal must not shut ROS down under its feet.
        rclpy.init(args=list(argv), context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node(NODE_NAME, context=self._context, start_parameter_services=False)
        self.identity = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"
        self.other = ""  # identity of another console that was heard
        self.failure: Exception | None = None
        self._events: deque[Event] = deque(maxlen=10_000)
        self._pending: dict[Future[Any], tuple[tuple[ServiceCall, ...], float]] = {}
        self._lock = threading.Lock()
        self._life_lock = threading.RLock()  # a signal may come while the same thread leaves
        self._alive_s: float | None = None
        self._left = False
        self._polled_s = time.monotonic()
        self._publishers: dict[str, int] = {}
        self._subscriptions = [
            PolledSubscription(self.node, spec, raw=True, qos=_observing(spec)) for spec in OBSERVED
        ]
        self._consoles = PolledSubscription(self.node, topics.CONSOLE, qos=_observing(topics.CONSOLE))
        self._life: Publisher[Any] = self.node.create_publisher(
            message_class(topics.CONSOLE.type), topics.CONSOLE.name, profile(topics.CONSOLE)
        )
        self._clients: dict[str, Client[Any, Any]] = {
            service: self.node.create_client(message_class(typename), service)
            for service, (typename, _) in SERVICES.items()
        }
        self.node.create_timer(1.0 / POLL_RATE_HZ, self._poll)
        self.node.create_timer(1.0 / topics.CONSOLE.rate_hz, self._show_life)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name="ros", daemon=True)
        self._thread.start()

    def wait_for_other(self, timeout_s: float) -> str:
        """The identity of another console that is in use; empty where none is heard in that time."""
        deadline_s = time.monotonic() + timeout_s
        while not self.other and time.monotonic() < deadline_s:
            time.sleep(0.02)
        return self.other

    def alive(self) -> None:
        """The interface works; to be called at every turn of its loop."""
        if not self._left:
            self._alive_s = time.monotonic()

    def leave(self, *, goodbye: bool = True) -> None:
        """Fall silent; with a goodbye the executor stops what drives at once, and misses nobody."""
        with self._life_lock:  # no sign of life may come after the goodbye
            if self._alive_s is not None and goodbye:
                self._publish(topics.CONSOLE_BYE)
            self._alive_s, self._left = None, True

    def drain(self) -> list[Event]:
        """What has happened since the last call, oldest first."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def call(self, calls: tuple[ServiceCall, ...]) -> None:
        """Make the first call, and each other one when the one before was accepted; never waits."""
        if not calls:
            return
        call = calls[0]
        client = self._clients[call.service]
        if not client.service_is_ready():
            self._events.append(Answer(call, False, f"service {call.service} is not there"))
            return
        request = message_class(call.typename).Request(**call.fields)  # type: ignore[attr-defined]
        with self._lock:
            future = client.call_async(request)
            self._pending[future] = (calls, time.monotonic() + call.timeout_s)
        future.add_done_callback(self._answered)

    def close(self) -> None:
        """End the thread and the node."""
        self.leave()
        self._executor.shutdown()
        self._thread.join(JOIN_TIMEOUT_S)
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context, uninstall_handlers=False)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
        except Exception as error:  # told by the interface, which lives on another thread
            self.failure = error

    def _poll(self) -> None:
        now_s, now_ns = time.monotonic(), time.time_ns()
        for subscription in self._subscriptions:
            taken = list(subscription.take())
            self._note(subscription, taken, now_s, now_ns)
            self._read(subscription.spec, taken)
        self._polled_s = now_s
        for heard in self._consoles.take():
            self._met(heard.message.frame_id)
        self._expire(now_s)

    def _note(self, subscription: PolledSubscription, taken: list[Taken], now_s: float, now_ns: int) -> None:
        # Arrival stamps are wall time: a step of that clock must not move them out of this period.
        times_s = tuple(
            min(max(now_s - (now_ns - one.received_ns) * 1e-9, self._polled_s), now_s) for one in taken
        )
        name, publishers = subscription.spec.name, subscription.publishers
        if times_s or publishers != self._publishers.get(name):
            self._publishers[name] = publishers
            self._events.append(Arrived(subscription.spec, times_s, publishers))

    def _read(self, spec: TopicSpec, taken: list[Taken]) -> None:
        wanted = taken if spec.name in EVERY else taken[-1:] if spec.name in NEWEST else []
        for one in wanted:
            self._events.append(Heard(spec, deserialize_message(one.message, message_class(spec.type))))

    def _met(self, identity: str) -> None:
        if identity not in (self.identity, topics.CONSOLE_BYE):
            self.other = identity

    def _show_life(self) -> None:
        with self._life_lock:
            if self._alive_s is not None and time.monotonic() - self._alive_s <= ALIVE_S:
                self._publish(self.identity)

    def _publish(self, frame_id: str) -> None:
        stamp = from_ns(time.time_ns())
        self._life.publish(make(topics.CONSOLE.type, stamp=stamp, frame_id=frame_id))

    def _answered(self, future: Future[Any]) -> None:
        with self._lock:
            calls, _ = self._pending.pop(future, ((), 0.0))
        if not calls:
            return  # it came after its time was over, which has been told
        error = future.exception()
        if error is not None:
            answer = Answer(calls[0], False, str(error))
        else:
            answer = answer_of(calls[0], future.result())
        self._events.append(answer)
        if answer.accepted:
            self.call(calls[1:])

    def _expire(self, now_s: float) -> None:
        with self._lock:
            late = [(f, calls[0]) for f, (calls, deadline_s) in self._pending.items() if now_s > deadline_s]
            for future, _ in late:
                del self._pending[future]
        for future, call in late:
            self._clients[call.service].remove_pending_request(future)
            self._events.append(Answer(call, False, f"no answer within {call.timeout_s:g} s"))


def _observing(spec: TopicSpec) -> QoSProfile:
    """Best effort wherever nothing is latched: who only watches must never slow down who publishes."""
    latched = spec.qos == "latched"
    return QoSProfile(
        depth=max(int(2 * spec.rate_hz), 50),
        reliability=ReliabilityPolicy.RELIABLE if latched else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def in_use(other: str) -> str:
    """What a second console tells its user."""
    host, pid, _ = (*other.split(":"), "", "")[:3]
    return f"another console is in use (host {host}, process {pid}): leave that one first, with q"


def started_first(identity: str, other: str) -> bool:
    """Which of two consoles goes on; the same answer at both."""
    return (int(identity.rpartition(":")[2]), identity) < (_start_of(other), other)


def _start_of(identity: str) -> int:
    start = identity.rpartition(":")[2]
    return int(start) if start.isdigit() else 0
