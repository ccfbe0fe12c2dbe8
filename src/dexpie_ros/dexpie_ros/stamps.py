"""ROS time stamps to and from integer nanoseconds."""

from typing import Final, Protocol

from builtin_interfaces.msg import Time
from rclpy.node import Node

NS_PER_S: Final = 1_000_000_000


class Stamp(Protocol):
    """Any time message: rclpy's or rosbags'."""

    sec: int
    nanosec: int


def to_ns(stamp: Stamp) -> int:
    """Nanoseconds since the epoch of a builtin_interfaces/Time."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def from_ns(stamp_ns: int) -> Time:
    """builtin_interfaces/Time of nanoseconds since the epoch."""
    sec, nanosec = divmod(int(stamp_ns), NS_PER_S)
    return Time(sec=sec, nanosec=nanosec)


def now_ns(node: Node) -> int:
    """The node's ROS time now, ns."""
    return int(node.get_clock().now().nanoseconds)
