"""Subscriptions that are asked for their messages at a rate of our own, instead of waking for each.

rclpy's executor builds a wait set for every message: on two cores a node that hears 300 messages a second
spends a quarter of a core on waiting. What needs the newest value at its own rate only asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile

from dexpie_core.topics import TopicSpec
from dexpie_ros.factory import message_class
from dexpie_ros.qos import profile


class _NeverExecuted(CallbackGroup):
    """Keeps its members out of every executor's wait set."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        return None


@dataclass(frozen=True)
class Taken:
    """One message (bytes where raw), when it arrived and when it was sent, ns since the epoch.

    `sequence` counts the messages of one publisher; None where the middleware does not tell both.
    """

    message: Any
    received_ns: int
    sent_ns: int
    publisher: bytes = b""
    sequence: int | None = None


class PolledSubscription:
    """A subscription without callback: `take` returns what has arrived, oldest first, and never waits."""

    def __init__(
        self, node: Node, spec: TopicSpec, *, raw: bool = False, qos: QoSProfile | None = None
    ) -> None:
        self.spec = spec
        self._node = node
        self._subscription = node.create_subscription(
            message_class(spec.type),
            spec.name,
            lambda message: None,
            qos or profile(spec),
            callback_group=_NeverExecuted(),
            raw=raw,
        )
        self.latest: Taken | None = None

    def take(self) -> Iterator[Taken]:
        """Everything that has arrived since the last call."""
        subscription = self._subscription
        while True:
            with subscription.handle:
                taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
            if taken is None:
                return
            message, info = taken
            publisher = bytes(info.get("publisher_gid", {}).get("data", b""))
            sequence = info.get("publication_sequence_number") if publisher else None
            self.latest = Taken(
                message, info["received_timestamp"], info["source_timestamp"], publisher, sequence
            )
            yield self.latest

    def newest(self) -> Taken | None:
        """The newest message if one has arrived since the last call, else None."""
        before = self.latest
        for _ in self.take():
            pass
        return self.latest if self.latest is not before else None

    @property
    def publishers(self) -> int:
        """How many publishers are matched."""
        return int(self._subscription.get_publisher_count())

    def close(self) -> None:
        """Unsubscribe; `take` must not be called again."""
        self._node.destroy_subscription(self._subscription)
