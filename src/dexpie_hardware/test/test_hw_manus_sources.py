"""The ways to hear the gloves: the maker's message, and a bridge over genuine ZeroMQ."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from dexpie_core.errors import UsageError
from dexpie_hardware.glove_reading import GloveReading, encode
from dexpie_hardware.manus.sources.ros_topics import GLOVE_TYPE, RosGloves, reading_of
from dexpie_hardware.manus.sources.zmq_bridge import ZmqGloves
from dexpie_ros import factory
from dexpie_ros.testing import await_true

pytestmark = pytest.mark.processes

HOST = f"127.{1 + os.getpid() % 250}.{os.getpid() // 250 % 250}.8"


def test_the_maker_s_message_is_read_by_names_not_by_its_count() -> None:
    entries = [
        factory.make("manus_ros2_msgs/msg/ManusErgonomics", type=name, value=value)
        for name, value in (("RingSpread", 1.5), ("IndexMCPStretch", 20.25))
    ]
    message = factory.make(
        GLOVE_TYPE, glove_id=7, side="Right", ergonomics_count=20, ergonomics=entries, raw_node_count=0
    )
    expected = (("RingSpread", 1.5), ("IndexMCPStretch", 20.25))
    assert reading_of(message, "/manus_glove_4") == GloveReading("Right", "/manus_glove_4", expected)


def test_the_message_has_the_fields_of_the_maker_s_package() -> None:
    fields = factory.message_class(GLOVE_TYPE).get_fields_and_field_types()
    assert fields == {
        "glove_id": "int32",
        "side": "string",
        "raw_node_count": "int32",
        "raw_nodes": "sequence<manus_ros2_msgs/ManusRawNode>",
        "ergonomics_count": "int32",
        "ergonomics": "sequence<manus_ros2_msgs/ManusErgonomics>",
        "raw_sensor_orientation": "geometry_msgs/Quaternion",
        "raw_sensor_count": "int32",
        "raw_sensor": "sequence<geometry_msgs/Pose>",
    }
    node = factory.message_class("manus_ros2_msgs/msg/ManusRawNode").get_fields_and_field_types()
    assert node == {
        "node_id": "int32",
        "parent_node_id": "int32",
        "joint_type": "string",
        "chain_type": "string",
        "pose": "geometry_msgs/Pose",
    }
    entry = factory.message_class("manus_ros2_msgs/msg/ManusErgonomics").get_fields_and_field_types()
    assert entry == {"type": "string", "value": "float"}


def test_without_the_package_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(typename: str) -> Any:
        raise ModuleNotFoundError("No module named 'manus_ros2_msgs'")

    monkeypatch.setattr("dexpie_hardware.manus.sources.ros_topics.message_class", missing)
    with pytest.raises(UsageError) as raised:
        RosGloves(node=None)  # type: ignore[arg-type]
    text = str(raised.value)
    assert "manus_ros2_msgs" in text and "build src/manus_ros2_msgs" in text and "zmq" in text
    assert "\n" not in text


class Bridge:
    """A publisher that can be taken down and put up again on the same port."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self.address = ""
        self.up()

    def up(self) -> None:
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        if self.address:
            await_true(self._binds, f"{self.address} to be free again")
        else:
            self.address = f"tcp://{HOST}:{self._socket.bind_to_random_port(f'tcp://{HOST}')}"

    def _binds(self) -> bool:
        try:
            self._socket.bind(self.address)
        except zmq.ZMQError:  # the socket before is closed by a thread of its own
            return False
        return True

    def down(self) -> None:
        self._socket.close()

    def send(self, *parts: bytes) -> None:
        self._socket.send_multipart(parts)

    def close(self) -> None:
        self._socket.close()
        self._context.term()


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    bridge = Bridge()
    yield bridge
    bridge.close()


def heard(source: ZmqGloves, bridge: Bridge, *parts: bytes) -> list[GloveReading]:
    """What the source hears once the two are connected."""
    found: list[GloveReading] = []

    def send_and_listen() -> bool:
        bridge.send(*parts)
        found.extend(source.poll(0.0))
        return bool(found) or bool(source.notes()["malformed_messages"])

    await_true(send_and_listen, "the subscriber to be connected")
    return found


def test_the_bridge_is_heard_with_and_without_a_topic_part(bridge: Bridge) -> None:
    source = ZmqGloves(bridge.address)
    said = GloveReading("Right", "1", (("IndexMCPStretch", 12.5),))
    assert heard(source, bridge, encode(said))[0] == said
    assert heard(source, bridge, b"glove", encode(said))[-1] == said
    source.close()


def test_what_is_no_reading_is_counted_and_told(bridge: Bridge) -> None:
    source = ZmqGloves(bridge.address)
    assert heard(source, bridge, b"hello") == []
    assert source.notes()["newest_malformed"] == "not a JSON object"
    source.close()


def test_a_bridge_that_comes_back_is_heard_again(bridge: Bridge) -> None:
    source = ZmqGloves(bridge.address)
    said = GloveReading("Right", "1", (("IndexMCPStretch", 12.5),))
    assert heard(source, bridge, encode(said))
    bridge.down()
    source.poll(0.0)
    assert source.poll(0.0) == []
    bridge.up()
    assert heard(source, bridge, encode(said))
    source.close()


def test_a_driver_may_start_before_its_bridge(bridge: Bridge) -> None:
    bridge.down()
    source = ZmqGloves(bridge.address)
    assert source.poll(0.0) == []
    bridge.up()
    assert heard(source, bridge, encode(GloveReading("Right", "1", ())))
    source.close()


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="parameter zmq_address: 'bridge'"):
        ZmqGloves("bridge")
