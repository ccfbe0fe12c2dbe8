"""Messages made from numpy values: types, lengths, and what must be refused."""

import array

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")

from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message

from dexpie_core import topics
from dexpie_ros import qos, stamps
from dexpie_ros.factory import make, message_class


def through_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def test_fixed_array_takes_ndarray_and_list():
    for value in (np.arange(6), [0, 1, 2, 3, 4, 5], np.arange(6, dtype=np.float32)):
        message = make("dexpie_msgs/msg/HandCommand", position=value, epoch=np.uint32(3), tick=np.int64(7))
        got = through_the_wire(message)
        assert got.position.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        assert (got.epoch, got.tick) == (3, 7)


def test_sequence_becomes_array_of_the_right_kind():
    message = make(
        "dexpie_msgs/msg/SceneState", names=("bottle.x",), values=np.array([0.25]), success=np.bool_(True)
    )
    assert isinstance(message.values, array.array) and message.values.typecode == "d"
    got = through_the_wire(message)
    assert list(got.values) == [0.25] and got.names == ["bottle.x"] and got.success is True


def test_image_bytes_and_ndarray_are_the_same():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    one = make("sensor_msgs/msg/Image", height=2, width=2, step=6, encoding="rgb8", data=pixels.reshape(-1))
    two = make("sensor_msgs/msg/Image", height=2, width=2, step=6, encoding="rgb8", data=pixels.tobytes())
    assert one.data == two.data and len(one.data) == 12


def test_nested_messages():
    poses = [make("geometry_msgs/msg/Pose", position=make("geometry_msgs/msg/Point", x=1, y=2, z=3))] * 2
    chunk = make("dexpie_msgs/msg/ActionChunk", poses=poses, hand=np.zeros(12), policy_id="abc")
    got = through_the_wire(chunk)
    assert len(got.poses) == 2 and got.poses[1].position.z == 3.0 and len(got.hand) == 12


@pytest.mark.parametrize(
    ("typename", "fields", "word"),
    [
        ("dexpie_msgs/msg/HandCommand", {"position": np.zeros(5)}, "position"),
        ("dexpie_msgs/msg/HandCommand", {"place": np.zeros(6)}, "place"),
        ("dexpie_msgs/msg/HandCommand", {"epoch": -1}, "epoch"),
        ("dexpie_msgs/msg/HandCommand", {"epoch": 1.5}, "epoch"),
        ("dexpie_msgs/msg/Action", {"pose": [0, 0, 0]}, "pose"),
        ("dexpie_msgs/msg/Nothing", {}, "Nothing"),
        ("dexpie_msgs/Action", {}, "dexpie_msgs/Action"),
    ],
)
def test_wrong_values_are_refused_by_name(typename, fields, word):
    with pytest.raises(ValueError, match=word):
        make(typename, **fields)


def test_every_topic_has_a_message_class_and_a_profile():
    for spec in topics.TOPICS:
        assert message_class(spec.type)
        assert qos.profile(spec).reliability == (
            ReliabilityPolicy.BEST_EFFORT if spec.qos == "sensor" else ReliabilityPolicy.RELIABLE
        )
        assert qos.recording_profile(spec).depth >= 50
    assert qos.profile(topics.MODE).durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert qos.profile(topics.ARM_COMMAND).depth == 1


@pytest.mark.parametrize("stamp_ns", [0, 1, 999_999_999, 1_000_000_000, 1_700_000_000_123_456_789])
def test_stamps_round_trip(stamp_ns):
    stamp = stamps.from_ns(stamp_ns)
    assert 0 <= stamp.nanosec < 10**9
    assert stamps.to_ns(stamp) == stamp_ns
