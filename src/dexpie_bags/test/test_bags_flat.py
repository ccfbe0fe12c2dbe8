"""Numbers read straight out of CDR bytes are those of the decoded message, whatever lies before them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_bags import deserialize, make, serialize, typestore
from dexpie_bags.flat import FlatReader, NotFlatError
from dexpie_core import topics

POSE = tuple(f"pose.position.{a}" for a in "xyz") + tuple(f"pose.orientation.{a}" for a in "xyzw")
ACTION = ("tick", "epoch", "mode", *POSE, "hand.0", "hand.5", "policy_valid", "chunk_sequence", "chunk_step")
numbers = st.floats(allow_nan=False, width=64)


def value(message: object, path: str) -> object:
    found = message
    for part in path.split("."):
        found = found[int(part)] if part.isdigit() else getattr(found, part)  # type: ignore[index]
    return found


@given(st.text(max_size=9), st.lists(numbers, min_size=13, max_size=13), st.integers(-(2**31), 2**31 - 1))
def test_numbers_are_those_of_the_decoded_message(frame: str, values: list[float], step: int) -> None:
    frame = frame.replace("\0", "")
    x, y, z, *rest = values
    message = make(
        topics.EXECUTED_ACTION.type,
        header={"stamp": {"sec": 5, "nanosec": 7}, "frame_id": frame},
        tick=2**40 + 3, epoch=9, mode=3, source=2, policy_valid=True, chunk_sequence=2**33, chunk_step=step,
        pose={"position": {"x": x, "y": y, "z": z}, "orientation": dict(zip("xyzw", rest, strict=False))},
        hand=np.array(values[7:]),
    )  # fmt: skip
    cdr = serialize(message)
    decoded = deserialize(cdr, topics.EXECUTED_ACTION.type)
    reader = FlatReader(typestore(), topics.EXECUTED_ACTION.type, ACTION)
    assert reader(cdr) == reader(memoryview(cdr)) == tuple(value(decoded, path) for path in ACTION)


def test_bytes_of_another_length_are_refused() -> None:
    cdr = serialize(make(topics.TCP_POSE.type, header={"frame_id": "base"}))
    reader = FlatReader(typestore(), topics.TCP_POSE.type, POSE)
    assert reader(cdr) == (0.0,) * 7
    assert reader(cdr + bytes(3)) == (0.0,) * 7  # padding, as the decoder takes it
    for wrong in (cdr[:-1], cdr + bytes(4), cdr[:10], b"", bytes([0, 0]) + cdr[2:]):
        with pytest.raises(NotFlatError):
            reader(wrong)


@pytest.mark.parametrize(
    ("typename", "wanted"),
    [
        ("sensor_msgs/msg/JointState", "position.0"),
        ("geometry_msgs/msg/Pose", "position.x"),
        ("geometry_msgs/msg/PoseStamped", "pose.position.w"),
    ],
)
def test_other_types_have_to_be_decoded(typename: str, wanted: str) -> None:
    with pytest.raises(NotFlatError):
        FlatReader(typestore(), typename, (wanted,))
