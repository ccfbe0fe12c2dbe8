"""Which recorded topic a bag offers for each stream, and how its messages become numbers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dexpie_core import messages, topics
from dexpie_core.errors import DexpieError, UsageError

JPEG_TYPE: Final = "sensor_msgs/msg/CompressedImage"
RAW_TYPE: Final = "sensor_msgs/msg/Image"
IMAGE_STREAMS: Final = {topics.compressed_image(camera).name: camera for camera in topics.CAMERAS}
"""Stream of a camera's pictures -> camera, whether the bag holds them compressed or raw."""


_POSE: Final = tuple(
    f"pose.{part}" for part in (*(f"position.{a}" for a in "xyz"), *(f"orientation.{a}" for a in "xyzw"))
)
FLAT: Final[dict[str, tuple[str, ...]]] = {
    topics.TCP_POSE.name: _POSE,
    topics.HAND_STATE.name: tuple(f"position.{i}" for i in range(6)),
    topics.EXECUTED_ACTION.name: (*_POSE, *(f"hand.{i}" for i in range(6)), "source", "mode"),
}
"""Of streams whose types have a fixed layout, the fields that NUMBERS takes, in the same order."""


def _pose_numbers(pose: Any) -> tuple[float, ...]:
    p, q = pose.position, pose.orientation
    return p.x, p.y, p.z, q.x, q.y, q.z, q.w


def _executed(message: Any) -> tuple[float, ...]:
    return *_pose_numbers(message.pose), *message.hand.tolist(), message.source, message.mode


NUMBERS: Final[dict[str, Callable[[Any], Any]]] = {
    topics.JOINT_STATES.name: messages.joint_positions,
    topics.TCP_POSE.name: lambda m: _pose_numbers(m.pose),
    topics.HAND_STATE.name: lambda m: m.position,
    topics.EXECUTED_ACTION.name: _executed,
    topics.SCENE_STATE.name: lambda m: m.values,
}
WIDTHS: Final = {
    topics.JOINT_STATES.name: 6,
    topics.TCP_POSE.name: 7,
    topics.HAND_STATE.name: 6,
    topics.EXECUTED_ACTION.name: 15,
}
TYPES: Final[dict[str, tuple[str, ...]]] = {
    **{
        spec.name: (spec.type,)
        for spec in (
            topics.EPISODE_EVENT,
            topics.JOINT_STATES,
            topics.TCP_POSE,
            topics.EXECUTED_ACTION,
            topics.SCENE_STATE,
        )
    },
    topics.HAND_STATE.name: (topics.HAND_STATE.type, topics.JOINT_STATES.type),
    **dict.fromkeys(IMAGE_STREAMS, (JPEG_TYPE, RAW_TYPE)),
}
"""Message types that a stream may have."""


def numbers_of(stream: str, message: Any) -> Any:
    """One row of numbers of a message; ValueError where it has too few or too many."""
    row = NUMBERS[stream](message)
    width = WIDTHS.get(stream, len(row))
    if len(row) != width:
        raise ValueError(f"has {len(row)} values, {width} are needed")
    return row


def parse_remap(entries: Sequence[str]) -> dict[str, str]:
    """Our names -> recorded names, out of `/ours:=/recorded`; UsageError names the entry that is wrong."""
    remap: dict[str, str] = {}
    for entry in entries:
        ours, found, recorded = entry.partition(":=")
        if not found or not recorded.startswith("/"):
            raise UsageError(f"--remap {entry}: write it as /ours:=/recorded")
        if ours not in TYPES:
            raise UsageError(f"--remap {entry}: {ours} is not one of {', '.join(sorted(TYPES))}")
        remap[ours] = recorded
    return remap


def streams_of(bag: Path, present: Mapping[str, str], remap: Mapping[str, str]) -> dict[str, str]:
    """Recorded topic -> stream, of what a bag holds (topic -> message type); DexpieError names a wrong type.

    Where a camera's compressed pictures were not recorded its raw ones are taken.
    """
    chosen: dict[str, str] = {}
    for stream, types in TYPES.items():
        topic = remap.get(stream, stream)
        if topic not in present and stream not in remap and stream in IMAGE_STREAMS:
            topic = topics.raw_image(IMAGE_STREAMS[stream]).name
        if topic not in present:
            if stream in remap:
                raise DexpieError(f"{bag}: topic {topic} is missing, though --remap names it for {stream}")
            continue
        if present[topic] not in types:
            raise DexpieError(f"{bag}: topic {topic} is {present[topic]}, {' or '.join(types)} is needed")
        chosen[topic] = stream
    event = topics.EPISODE_EVENT.name
    if event not in chosen.values():
        raise DexpieError(
            f"{bag}: topic {remap.get(event, event)} is missing, so there are no episodes in it"
        )
    return chosen
