"""Quality of service of the cell's topics, after REP 2003."""

from typing import Final

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from dexpie_core.topics import Qos, TopicSpec


def _profile(depth: int, *, reliable: bool, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


PROFILES: Final[dict[Qos, QoSProfile]] = {
    "sensor": _profile(5, reliable=False),  # a late sample is worth less than the next one
    "command": _profile(1, reliable=True),  # only the newest command counts, and it must arrive
    "latched": _profile(1, reliable=True, latched=True),
    "default": _profile(10, reliable=True),
}


def profile(spec: TopicSpec) -> QoSProfile:
    """QoSProfile of a topic, for its publisher and its subscribers alike."""
    return PROFILES[spec.qos]


def recording_profile(spec: TopicSpec) -> QoSProfile:
    """As `profile`, with a queue of at least two seconds so that a busy recorder misses nothing.

    250: two seconds of an arm at 125 Hz, which is faster than its nominal rate.
    """
    depth = max(PROFILES[spec.qos].depth, int(2 * spec.rate_hz), 250)
    return _profile(depth, reliable=spec.qos != "sensor", latched=spec.qos == "latched")
