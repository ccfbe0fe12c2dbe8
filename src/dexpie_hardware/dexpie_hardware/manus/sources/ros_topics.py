"""The maker's ROS 2 topics: manus_glove_0, manus_glove_1, ..., numbered in the order of discovery.

The number says nothing about the side, so every topic of the type is heard. The message class is looked up
at run time: the maker's package, or the compatible definitions of this project, whichever is sourced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rclpy.node import Node

from dexpie_core.errors import UsageError
from dexpie_core.topics import TopicSpec
from dexpie_hardware.glove_reading import GloveReading
from dexpie_ros.factory import message_class
from dexpie_ros.polling import PolledSubscription

GLOVE_TYPE: Final = "manus_ros2_msgs/msg/ManusGlove"
SEARCH_PERIOD_S: Final = 0.5


class RosGloves:
    """Hears every topic of the gloves' type, also those that appear later."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._topics: dict[str, PolledSubscription] = {}
        self._searched_s = float("-inf")
        try:
            message_class(GLOVE_TYPE)
        except (ImportError, ValueError) as error:
            raise UsageError(
                f"{GLOVE_TYPE} is not known here ({error}): source the workspace of the gloves' ROS 2 "
                "package, or build src/manus_ros2_msgs, or set parameter source to zmq"
            ) from error

    def poll(self, now_s: float) -> list[GloveReading]:
        self._search(now_s)
        return [
            reading_of(taken.message, name)
            for name, subscription in self._topics.items()
            for taken in subscription.take()
        ]

    def _search(self, now_s: float) -> None:
        if now_s - self._searched_s < SEARCH_PERIOD_S:
            return
        self._searched_s = now_s
        for name, types in self._node.get_topic_names_and_types():
            if GLOVE_TYPE in types and name not in self._topics:
                self._topics[name] = PolledSubscription(self._node, TopicSpec(name, GLOVE_TYPE))

    def notes(self) -> Mapping[str, object]:
        return {"topics": ", ".join(sorted(self._topics)) or "none of the gloves' type"}

    def close(self) -> None:
        for subscription in self._topics.values():
            subscription.close()


def reading_of(message: Any, topic: str) -> GloveReading:
    """Reading of a ManusGlove. Its ergonomics_count may exceed what it holds, and is not looked at."""
    ergonomics = tuple((entry.type, float(entry.value)) for entry in message.ergonomics)
    return GloveReading(message.side, topic, ergonomics)
