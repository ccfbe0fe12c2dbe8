"""Priority of a thread; knows nothing of ROS, so that processes without it may use it."""

import contextlib
import os


def be_realtime(priority: int, thread_id: int | None) -> None:
    """Give a thread a SCHED_FIFO priority (0: leave it), where the system has such and permits it.

    thread_id is the kernel's; 0 is the calling thread.
    """
    if priority and thread_id is not None and hasattr(os, "SCHED_FIFO"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(thread_id, os.SCHED_FIFO, os.sched_param(priority))
