"""Register map of the RH56DFX: addresses, sizes, access, ranges (maker's manual V1.09). Pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

CHANNELS: Final = 6
FIRST: Final = 1000
LAST: Final = 2323
HOLD: Final = -1


@dataclass(frozen=True)
class Block:
    """A register block. `size` is bytes a value; low and high bound what may be written, None = read only."""

    name: str
    address: int
    count: int
    size: int
    low: int | None = None
    high: int | None = None

    @property
    def n_bytes(self) -> int:
        """Length in bytes."""
        return self.count * self.size


BLOCKS: Final = {
    block.name: block
    for block in (
        Block("HAND_ID", 1000, 1, 1, 1, 254),
        Block("BAUD_RATE", 1002, 1, 1, 0, 2),
        Block("CLEAR_ERROR", 1004, 1, 1, 0, 1),
        Block("SAVE", 1005, 1, 1, 0, 1),
        Block("RESET_PARA", 1006, 1, 1, 0, 1),
        Block("GESTURE_FORCE_CLB", 1009, 1, 1, 0, 1),
        Block("CURRENT_LIMIT", 1020, CHANNELS, 2, 0, 1500),
        Block("DEFAULT_SPEED_SET", 1032, CHANNELS, 2, 0, 1000),
        Block("DEFAULT_FORCE_SET", 1044, CHANNELS, 2, 0, 1000),
        Block("VOLTAGE", 1472, 1, 2),
        Block("POS_SET", 1474, CHANNELS, 2, HOLD, 2000),
        Block("ANGLE_SET", 1486, CHANNELS, 2, HOLD, 1000),
        Block("FORCE_SET", 1498, CHANNELS, 2, 0, 1000),
        Block("SPEED_SET", 1522, CHANNELS, 2, 0, 1000),
        Block("POS_ACT", 1534, CHANNELS, 2),
        Block("ANGLE_ACT", 1546, CHANNELS, 2),
        Block("FORCE_ACT", 1582, CHANNELS, 2),
        Block("CURRENT", 1594, CHANNELS, 2),
        Block("ERROR", 1606, CHANNELS, 1),
        Block("STATUS", 1612, CHANNELS, 1),
        Block("TEMP", 1618, CHANNELS, 1),
        Block("ACTION_SEQ_INDEX", 2320, 1, 1, 0, 255),
        Block("ACTION_SEQ_RUN", 2322, 1, 1, 0, 1),
    )
}
BAUD_RATES: Final = (115200, 57600, 19200)
"""By the value of register BAUD_RATE."""
SAVED: Final = ("HAND_ID", "BAUD_RATE", "CURRENT_LIMIT", "DEFAULT_SPEED_SET", "DEFAULT_FORCE_SET")
"""What SAVE keeps over a power cycle."""
FACTORY: Final = {
    "HAND_ID": (1,),
    "BAUD_RATE": (0,),
    "CURRENT_LIMIT": (1500,) * CHANNELS,
    "DEFAULT_SPEED_SET": (500,) * CHANNELS,
    "DEFAULT_FORCE_SET": (500,) * CHANNELS,
}


@dataclass(frozen=True)
class Written:
    """Values that a frame put into a block, from channel `first` on."""

    name: str
    first: int
    values: tuple[int, ...]


class RegisterFile:
    """The registers' bytes."""

    def __init__(self) -> None:
        self._memory = bytearray(LAST + 1 - FIRST)

    def get(self, name: str) -> tuple[int, ...]:
        """All values of a block."""
        block = BLOCKS[name]
        return self._unpack(block, self._memory[block.address - FIRST :][: block.n_bytes])

    def set(self, name: str, values: Sequence[int]) -> None:
        """All values of a block, written by the hand itself."""
        block = BLOCKS[name]
        at = block.address - FIRST
        self._memory[at : at + block.n_bytes] = self._pack(block, values)

    def read(self, address: int, n_bytes: int, *, across_gaps: bool) -> bytes | None:
        """Bytes from an address on; None outside the map, or outside one block unless `across_gaps`."""
        if not across_gaps and _block_of(address, n_bytes) is None:
            return None
        if n_bytes < 1 or address < FIRST or address + n_bytes - 1 > LAST:
            return None
        return bytes(self._memory[address - FIRST :][:n_bytes])

    def write(self, address: int, data: bytes) -> Written | None:
        """Put a frame's data into a block; None, and nothing changed, where that is not allowed."""
        block = _block_of(address, len(data))
        if block is None or block.low is None or block.high is None:
            return None
        if (address - block.address) % block.size or len(data) % block.size:
            return None
        values = self._unpack(block, data)
        if any(not block.low <= value <= block.high for value in values):
            return None
        at = address - FIRST
        self._memory[at : at + len(data)] = data
        return Written(block.name, (address - block.address) // block.size, values)

    @staticmethod
    def _unpack(block: Block, data: bytes | bytearray) -> tuple[int, ...]:
        return tuple(data) if block.size == 1 else struct.unpack(f"<{len(data) // 2}h", data)

    @staticmethod
    def _pack(block: Block, values: Sequence[int]) -> bytes:
        if len(values) != block.count:
            raise ValueError(f"register {block.name} has {block.count} values, got {len(values)}")
        return bytes(values) if block.size == 1 else struct.pack(f"<{block.count}h", *values)


def _block_of(address: int, n_bytes: int) -> Block | None:
    for block in BLOCKS.values():
        if block.address <= address and address + n_bytes <= block.address + block.n_bytes and n_bytes > 0:
            return block
    return None
