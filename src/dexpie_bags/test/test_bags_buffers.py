"""Memory that is used again is never that of somebody who still looks into it."""

import numpy as np

from dexpie_bags.buffers import Buffers


def test_memory_is_used_again_once_nobody_looks_into_it() -> None:
    buffers = Buffers()
    first = buffers.of(1000)
    first[:] = bytes([7]) * 1000
    kept = np.frombuffer(first[10:20], np.uint8)
    del first
    second = buffers.of(900)
    second[:] = bytes(900)
    assert kept.tolist() == [7] * 10
    del kept
    third = buffers.of(1000)
    assert third[0] == 7 and len(third) == 1000  # the first one again
    assert buffers.of(5000).obj is not third.obj


def test_few_buffers_are_kept() -> None:
    buffers = Buffers()
    held = [buffers.of(64) for _ in range(20)]
    assert len({id(view.obj) for view in held}) == 20 and len(buffers._kept) == 8
