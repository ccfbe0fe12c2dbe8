"""What one tick of the executor costs."""

import numpy as np
from measure import Result, seconds_a_call

from dexpie_core import se3
from dexpie_core.action_space import RATE_HZ, pack
from dexpie_core.chunk_schedule import Chunk
from dexpie_core.executor import Executor
from dexpie_core.modes import ModeEvent


def executor_tick() -> Result:
    """A tick in AUTONOMOUS with its share of chunks, prefixes and limits, against the control period."""
    core = Executor()
    start = pack(se3.make(np.eye(3), [0.3, 0.1, 0.3]), np.ones(6))
    core.reset(start)
    core.request_mode(ModeEvent.START, 0.0)

    def tick():
        out = core.tick(core.tick_count / RATE_HZ)
        if out.request is not None:
            targets = np.tile(start, (24, 1))
            core.offer_chunk(Chunk(out.request.epoch, out.request.sequence, out.request.tick, targets))

    seconds = float(np.median([seconds_a_call(tick) for _ in range(5)]))
    share = seconds * RATE_HZ * 100
    return Result("executor_tick", "us", seconds * 1e6, details=f"{share:.2f} % of the 40 ms period")
