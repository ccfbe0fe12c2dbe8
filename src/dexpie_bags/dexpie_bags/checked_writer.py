"""rosbags' writer, which leaves the CRCs of chunks out, made to write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter

from dexpie_bags.appender import Appender
from dexpie_bags.crc import crc32

_CRC_AT = 9 + 3 * 8  # behind the record's head, two times and a length


class CheckedMcapWriter(McapWriter):
    """Into an Appender, which holds back what it was given until it is flushed."""

    def close_chunk(self) -> None:
        """Write the chunk with the CRC-32 of its records, before compression."""
        file, crc = cast(Appender, self.bio), crc32(self.chunk.bio.getbuffer())
        at = file.tell()
        super().close_chunk()
        file.amend(at + _CRC_AT, crc.to_bytes(4, "little"))


class CheckedWriter(Writer):
    """A rosbag2 folder; MCAP only."""

    STORAGE_PLUGINS: Mapping[StoragePlugin, Any] = {StoragePlugin.MCAP: CheckedMcapWriter}
