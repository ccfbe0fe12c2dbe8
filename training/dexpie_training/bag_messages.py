"""Stamps and rows of the messages of a bag: numbers, the numbers of pictures, and events."""

import struct
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from rosbags.interfaces import Connection

from dexpie_bags import BagReader, header_stamp_ns
from dexpie_bags.flat import NotFlatError, RepeatedReader
from dexpie_core import messages, topics
from dexpie_core.errors import DexpieError
from dexpie_core.ur5 import JOINT_NAMES
from dexpie_training.recorded_topics import FLAT, IMAGE_STREAMS, numbers_of

EVENT: Final = topics.EPISODE_EVENT.name


class _Joints:
    """Joint angles of a JointState in our order, read directly while names and their order stay the same."""

    def __init__(self, read: RepeatedReader) -> None:
        self._read, self._order = read, tuple[int, ...]()

    def __call__(self, cdr: bytes | memoryview) -> tuple[float, ...]:
        numbers = self._read(cdr)
        return tuple(numbers[i] for i in self._order)

    def learn(self, cdr: bytes | memoryview, message: Any) -> None:
        """Take a message whose joints are all there as the pattern of those to come."""
        places = {name: i for i, name in enumerate(message.name)}
        self._read.learn(cdr)
        self._order = tuple(places[name] for name in JOINT_NAMES)


class MessageRows:
    """Turns messages into rows; stream_of: recorded topic -> stream."""

    def __init__(self, reader: BagReader, stream_of: Mapping[str, str]) -> None:
        self._reader = reader
        direct: dict[str, Any] = {}
        for topic, stream in stream_of.items():
            if stream in FLAT:
                direct[topic] = reader.flat(topic, FLAT[stream])
            elif stream == topics.JOINT_STATES.name:
                repeated = reader.repeated(topic, "position")
                direct[topic] = None if repeated is None else _Joints(repeated)
        self._direct = {topic: read for topic, read in direct.items() if read is not None}
        self._pictures = Counter[str]()
        self.state_names: tuple[str, ...] = ()
        """names of the values of /sim/scene_state, once one was seen"""

    def of(
        self, stream: str, connection: Connection, recorded_ns: int, cdr: bytes | memoryview
    ) -> tuple[int, Any]:
        """Header stamp in ns and row of a message: its numbers, the number of a picture, an event itself.

        DexpieError names topic and time where it is none of its type.
        """
        if stream in IMAGE_STREAMS:
            number = self._pictures[stream]
            self._pictures[stream] += 1
            return self._picture_stamp_ns(connection, recorded_ns, cdr), number
        read = self._direct.get(connection.topic)
        if read is not None:
            try:
                return header_stamp_ns(cdr), read(cdr)
            except (NotFlatError, IndexError, struct.error):
                pass  # the decoder tells what is wrong with it
        message = self._reader.decode(connection, cdr, recorded_ns)
        stamp_ns = messages.stamp_ns(message)
        if stream == EVENT:
            return stamp_ns, message
        if stream == topics.SCENE_STATE.name:
            self.state_names = self.state_names or tuple(message.names)
        try:
            row = numbers_of(stream, message)
            if isinstance(read, _Joints):
                read.learn(cdr, message)
            return stamp_ns, row
        except ValueError as error:
            where = f"{self._reader.path}: {connection.topic} at {stamp_ns} ns"
            raise DexpieError(f"{where}: {error}") from None

    def _picture_stamp_ns(self, connection: Connection, recorded_ns: int, cdr: bytes | memoryview) -> int:
        try:
            return header_stamp_ns(cdr)
        except (IndexError, struct.error):
            where = f"{self._reader.path}: {connection.topic} at {recorded_ns} ns"
            raise DexpieError(f"{where}: a message of {len(cdr)} bytes has no stamp") from None
