"""Numbers read straight out of CDR bytes are those of the decoded message, whatever lies before them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_bags import deserialize, make, serialize, typestore
from dexpie_bags.flat import FlatReader, NotFlatError, RepeatedReader, jpeg_bytes
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


JOINTS = topics.JOINT_STATES.type


def joint_state(stamp: int, frame: str, names: list[str], positions: list[float]) -> bytes:
    header = {"stamp": {"sec": stamp, "nanosec": 1}, "frame_id": frame}
    return serialize(make(JOINTS, header=header, name=names, position=positions, velocity=[1.0, 2.0]))


words = st.text("abcd", max_size=6)


@given(words, st.lists(words, max_size=4), st.lists(numbers, max_size=7), st.data())
def test_a_sequence_is_read_while_nothing_before_it_changes(
    frame: str, names: list[str], positions: list[float], data: st.DataObject
) -> None:
    reader = RepeatedReader(typestore(), JOINTS, "position")
    with pytest.raises(NotFlatError):
        reader(joint_state(1, frame, names, positions))
    reader.learn(joint_state(1, frame, names, positions))
    others = data.draw(st.lists(numbers, min_size=len(positions), max_size=len(positions)))
    assert reader(memoryview(joint_state(2, frame, names, others))) == tuple(others)
    for changed in (
        joint_state(3, frame + "e", names, positions),
        joint_state(3, frame, [*names, "e"], positions),
        joint_state(3, frame, names, [*positions, 0.0]),
        joint_state(3, frame, ["e" * len(name) for name in names] if any(names) else ["e"], positions),
    ):
        with pytest.raises(NotFlatError):
            reader(changed)


@pytest.mark.parametrize("field", ["name", "header", "effort "])
def test_only_sequences_of_numbers_are_read(field: str) -> None:
    with pytest.raises(NotFlatError):
        RepeatedReader(typestore(), JOINTS, field)


@given(words, words, st.binary(max_size=40))
def test_the_bytes_of_a_picture(frame: str, kind: str, content: bytes) -> None:
    spec = topics.compressed_image("front")
    cdr = serialize(make(spec.type, header={"frame_id": frame}, format=kind, data=content))
    assert bytes(jpeg_bytes(cdr)) == content
    for wrong in (cdr[: len(cdr) - 1 - len(content)], cdr + bytes(4), cdr[:9], bytes([0, 0]) + cdr[2:]):
        with pytest.raises(NotFlatError):
            jpeg_bytes(wrong)
