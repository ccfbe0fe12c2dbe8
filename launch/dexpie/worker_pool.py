"""Runs episodes in worker processes that neither outlive the command nor leave anything half-written."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

from dexpie.bound_exec import PR_SET_PDEATHSIG
from dexpie_core.errors import DexpieError

Item = TypeVar("Item")
Result = TypeVar("Result")


class CancelledError(Exception):
    """The command was interrupted: the work in hand is dropped."""


@dataclass
class _Worker:
    """What a worker process knows of itself."""

    cancelled: Event | None = None
    failure: Exception | None = None  # why it could not be prepared


_worker = _Worker()


def check_cancelled() -> None:
    """To be called often by the work: raises CancelledError once the command was interrupted."""
    if _worker.cancelled is not None and _worker.cancelled.is_set():
        raise CancelledError


def default_workers() -> int:
    """As many as this process may use cores, at most 8."""
    return max(1, min(8, len(os.sched_getaffinity(0))))


def _initialise(
    parent: int, cancelled: Event, prepare: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which cancels
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    _worker.cancelled = cancelled
    try:
        prepare(*arguments)
    except Exception as error:  # told with the first item: the pool itself would only say that it is broken
        _worker.failure = error


def _do(work: Callable[[Item], Result], item: Item) -> Result:
    if _worker.failure is not None:
        raise _worker.failure
    check_cancelled()
    return work(item)


def run_in_workers(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    prepare: Callable[..., None],
    arguments: tuple[Any, ...] = (),
    workers: int = 0,
) -> Iterator[Result]:
    """Results of `work(item)` as they come; each worker calls `prepare(*arguments)` once before."""
    count = min(workers or default_workers(), len(items))
    if count == 0:
        return
    context = multiprocessing.get_context("spawn")
    cancelled = context.Event()
    pool = ProcessPoolExecutor(count, context, _initialise, (os.getpid(), cancelled, prepare, arguments))
    try:
        for future in as_completed([pool.submit(_do, work, item) for item in items]):
            yield future.result()
    except BrokenProcessPool as error:
        raise DexpieError("a worker process ended abruptly; its last lines are above") from error
    finally:
        cancelled.set()
        pool.shutdown(wait=True, cancel_futures=True)
