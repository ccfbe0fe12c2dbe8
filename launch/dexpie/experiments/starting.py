"""Starts steps as processes forked by a server that has the heavy imports done; none outlives the runner."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from dexpie.bound_exec import die_with_parent
from dexpie.worker_pool import fork_workers

PRELOADED = ("dexpie.experiments.bonded", "dexpie.experiments.preloaded")
THREADS_VARIABLE: Final = "OMP_NUM_THREADS"
CommandLine = Callable[[Sequence[str]], int]
"""A program: arguments to exit status."""


def start(program: CommandLine, arguments: Sequence[str], log: Path) -> BaseProcess:
    """Start the program in a session of its own, its output added to the log; `program` must be picklable."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    process = context.Process(target=_become, args=(program, list(arguments), str(log)))
    before = os.environ.get(THREADS_VARIABLE)
    os.environ[THREADS_VARIABLE] = "1"  # for the server, which loads the libraries that read it
    try:
        process.start()
    finally:
        del os.environ[THREADS_VARIABLE]
        if before is not None:
            os.environ[THREADS_VARIABLE] = before
    return process


def _become(program: CommandLine, arguments: list[str], log: str) -> None:
    """In the new process: be the program."""
    die_with_parent()
    os.setsid()  # Ctrl-C reaches it through the runner alone, once
    signal.signal(signal.SIGINT, signal.default_int_handler)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    fork_workers()
    sys.exit(program(arguments))
