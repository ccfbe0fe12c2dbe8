"""Where the bags of a conversion are worked on: this machine's processes, or a Ray or Dask cluster."""

import ctypes
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.convert_bag import BagTask, convert_bag
from dexpie_training.parts import read_part

EngineName = Literal["processes", "ray", "dask"]
Tick = Callable[[int], None]
"""Told, now and then, the bytes read since the last time."""
POLL_S = 0.25


def run_tasks(
    engine: EngineName, tasks: Sequence[BagTask], jobs: int, address: str, tick: Tick
) -> Iterator[tuple[int, str]]:
    """(position, answer) of each task as it is done. UsageError where an engine is not installed."""
    if engine == "ray":
        return _ray(tasks, jobs, address)
    if engine == "dask":
        return _dask(tasks, jobs, address)
    return _processes(tasks, jobs, tick) if jobs > 1 and len(tasks) > 1 else _serial(tasks, tick)


def _serial(tasks: Sequence[BagTask], tick: Tick) -> Iterator[tuple[int, str]]:
    behind = None if any(task.known for task in tasks) else 0
    for position, task in enumerate(tasks):
        answer = convert_bag(replace(task, behind=behind), tick)
        stored = read_part(answer).stored
        if stored is not None:
            behind = max(behind or 0, stored.end)
        yield position, answer


class _Cancelled(Exception):
    """The command was interrupted: the bag in hand is dropped."""


@dataclass
class _Worker:
    """What a worker process knows of itself."""

    bytes_read: Any = None
    cancelled: Any = None


_worker = _Worker()
_PR_SET_PDEATHSIG = 1


def _initialise(parent: int, bytes_read: Any, cancelled: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which cancels
    if sys.platform == "linux":  # a worker does not outlive its parent
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    _worker.bytes_read, _worker.cancelled = bytes_read, cancelled
    cv2.setNumThreads(1)


def _count(count: int) -> None:
    if _worker.cancelled.is_set():
        raise _Cancelled
    with _worker.bytes_read.get_lock():
        _worker.bytes_read.value += count


def _counted(task: BagTask) -> str:
    return convert_bag(task, _count)


def _processes(tasks: Sequence[BagTask], jobs: int, tick: Tick) -> Iterator[tuple[int, str]]:
    context = multiprocessing.get_context("spawn")
    counter, cancelled, told = context.Value("q", 0), context.Event(), 0
    shared = (os.getpid(), counter, cancelled)
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), context, _initialise, shared)
    try:
        under_way = {pool.submit(_counted, task): position for position, task in enumerate(tasks)}
        while under_way:
            done, _ = wait(under_way, timeout=POLL_S, return_when=FIRST_COMPLETED)
            tick(counter.value - told)
            told = counter.value
            for future in done:
                yield under_way.pop(future), future.result()
    except BrokenProcessPool as error:
        raise DexpieError(
            "a worker process was killed, perhaps for want of memory; finished bags are kept, so the same "
            "command goes on; --jobs 1 needs the least"
        ) from error
    finally:
        cancelled.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _optional(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UsageError(f"--engine: {module} is not installed; pip install {package}") from None


def _ray(tasks: Sequence[BagTask], jobs: int, address: str) -> Iterator[tuple[int, str]]:
    ray = _optional("ray", "ray")
    local = {} if address else {"num_cpus": jobs, "include_dashboard": False}
    ray.init(address=address or "local", log_to_driver=False, **local)
    try:
        remote = ray.remote(convert_bag)
        positions = {remote.remote(task): position for position, task in enumerate(tasks)}
        waiting = list(positions)
        while waiting:
            (done,), waiting = ray.wait(waiting, num_returns=1)
            yield positions[done], ray.get(done)
    finally:
        ray.shutdown()


def _dask(tasks: Sequence[BagTask], jobs: int, address: str) -> Iterator[tuple[int, str]]:
    dask = _optional("distributed", '"dask[distributed]"')
    cluster = (
        None if address else dask.LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
    )
    try:
        with dask.Client(address or cluster) as client:
            futures = {client.submit(convert_bag, task): position for position, task in enumerate(tasks)}
            for future in dask.as_completed(list(futures)):
                yield futures[future], future.result()
    finally:
        if cluster is not None:
            cluster.close()
