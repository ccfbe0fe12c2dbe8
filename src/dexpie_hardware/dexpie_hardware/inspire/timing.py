"""How long the hand's serial line takes. Pure.

A byte has ten bits on the line (8N1). The rest of a transaction is the hand's and the adapter's own
time: 703 transactions of a real hand at 115200 baud took 6.64 ms in the median, 8.41 ms at most.
"""

from typing import Final

from dexpie_hardware.inspire.protocol import BLOCK_BYTES, CHANNELS

BITS_A_BYTE: Final = 10
OVERHEAD_BYTES: Final = 8
"""Bytes of a frame besides its data."""
TURNAROUND_S: Final = 4.1e-3
LATE_S: Final = 1.8e-3
"""By how much the slowest transaction exceeded the median."""


def transaction_s(baud: int, data_bytes: int = 2 * CHANNELS) -> float:
    """Median duration of one request with its answer; `data_bytes` in the longer one, one in the other."""
    wire_bytes = 2 * OVERHEAD_BYTES + 1 + data_bytes
    return wire_bytes * BITS_A_BYTE / baud + TURNAROUND_S


def cycle_s(baud: int, block_reads: bool) -> float:
    """Duration of a cycle: targets, angle, force and status; with block reads, everything measured."""
    write_s = transaction_s(baud)
    if block_reads:
        return write_s + transaction_s(baud, BLOCK_BYTES)
    return write_s + 2 * transaction_s(baud) + transaction_s(baud, CHANNELS)
