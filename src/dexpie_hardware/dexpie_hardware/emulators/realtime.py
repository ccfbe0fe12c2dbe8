"""An emulator stands for a device that keeps its time whatever else the computer does."""

import gc
from typing import Final

from dexpie_ros.realtime import be_realtime

PRIORITY: Final = 85  # above every loop of the project: a device does not wait for its driver


def be_like_hardware() -> None:
    """Give the calling thread SCHED_FIFO priority, where the system permits it; no garbage collection."""
    gc.collect()
    gc.freeze()
    gc.disable()
    be_realtime(PRIORITY, 0)
