"""Runs episodes in worker processes that neither outlive the command nor leave anything half-written."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
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


@dataclass
class _Pool:
    """How the processes of a pool are made."""

    start_method: str = "spawn"


_pool = _Pool()


def fork_workers() -> None:
    """From now on workers are forked: for a process that has no thread and has the heavy imports done."""
    _pool.start_method = "fork"


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
    waiting = iter(items)
    count = min(workers or default_workers(), len(items))
    return run_as_taken(work, lambda: next(waiting, None), prepare, arguments, count)


def run_as_taken(
    work: Callable[[Item], Result],
    take: Callable[[], Item | None],
    prepare: Callable[..., None],
    arguments: tuple[Any, ...] = (),
    workers: int = 0,
) -> Iterator[Result]:
    """As run_in_workers, with items that depend on the results so far.

    `take()` gives the next item, or None where there is none before another result has been consumed; it is
    called whenever a worker is free. The end is reached when it gives none and nothing is under way.
    """
    context = multiprocessing.get_context(_pool.start_method)
    cancelled = context.Event()
    count = workers or default_workers()
    pool = ProcessPoolExecutor(count, context, _initialise, (os.getpid(), cancelled, prepare, arguments))
    try:
        under_way: set[Future[Result]] = set()
        while True:
            while len(under_way) < count and (item := take()) is not None:
                under_way.add(pool.submit(_do, work, item))
            if not under_way:
                return
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise DexpieError("a worker process ended abruptly; its last lines are above") from error
    finally:
        cancelled.set()
        pool.shutdown(wait=True, cancel_futures=True)
