"""An emulator stands for a device that keeps its time whatever else the computer does."""

import contextlib
import gc
import os
from typing import Final

PRIORITY: Final = 85  # above every loop of the project: a device does not wait for its driver


def be_like_hardware() -> None:
    """Give the calling thread SCHED_FIFO priority, where the system permits it; no garbage collection."""
    gc.collect()
    gc.freeze()
    gc.disable()
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
