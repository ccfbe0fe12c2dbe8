"""Runs the steps of an experiment: as many at once as asked for, each a process of its own, cached."""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TextIO

from dexpie import cli
from dexpie.experiments.starting import CommandLine, start
from dexpie.experiments.steps import Step, filled_in, keys, makespan_s, ready
from dexpie.processes import exit_text
from dexpie_bags.durable import lock_folder
from dexpie_core.errors import DexpieError
from dexpie_training.serial import write_json

STOP_S = 60.0


@dataclass
class Running:
    """A step whose process runs."""

    step: Step
    process: BaseProcess
    began_s: float


@dataclass
class Runner:
    """Steps of one experiment in OUT: OUT/steps/KIND-KEY is a step's output, .done.json says it is whole."""

    out: Path
    steps: Sequence[Step]
    code_version: str
    workers: int
    program: CommandLine = cli.run
    stream: TextIO = field(default_factory=lambda: sys.stderr)

    def __post_init__(self) -> None:
        self._keys = keys(self.steps, self.code_version)
        self._folder = self.out / "steps"
        self.places: Mapping[str, str] = {
            step.name: f"{self._stem(step)}{step.suffix}" for step in self.steps
        }

    def is_done(self, step: Step) -> bool:
        """Whether its output is there and whole."""
        whole = filled_in(step, [step.whole or "{out}"], self.places)[0]
        return Path(whole).exists() and (bool(step.whole) or self._marker(step).is_file())

    def done(self) -> set[str]:
        """Names of the steps that are done."""
        return {step.name for step in self.steps if self.is_done(step)}

    def estimate_s(self) -> float:
        """Time that the rest will take, by the steps' estimates."""
        return makespan_s(self.steps, self.done(), self.workers)

    def run(self) -> None:
        """Run what is missing. DexpieError: a step failed, the others in hand are ended; Ctrl-C alike."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(self._folder)
        if lock is None:
            raise DexpieError(f"{self.out}: another program runs an experiment here; wait for its end")
        running = dict[str, Running]()
        try:
            self._run(running)
        finally:
            _stop([r.process for r in running.values()])
            os.close(lock)

    def _run(self, running: dict[str, Running]) -> None:
        done = self.done()
        while len(done) < len(self.steps):
            for step in ready(self.steps, done, running)[: self.workers - len(running)]:
                running[step.name] = self._start(step)
            ended = connection.wait([r.process.sentinel for r in running.values()])
            for name in [n for n, r in running.items() if r.process.sentinel in ended]:
                self._finish(running.pop(name))
                done.add(name)
                self._say(f"{len(done)}/{len(self.steps)}", name, "done")

    def _start(self, step: Step) -> Running:
        arguments = self.arguments(step) + self._taken_up(step)
        self._say("", step.name, " ".join(("dexpie", *arguments)))
        return Running(step, start(self.program, arguments, self._log(step)), time.monotonic())

    def _taken_up(self, step: Step) -> list[str]:
        """The argument that goes on with an interrupted training; what cannot be gone on with is removed."""
        place = Path(self.places[step.name])
        if not step.resume or not place.exists():
            return []
        if any(place.glob("checkpoints/*/training.safetensors")):
            return [step.resume]
        shutil.rmtree(place)
        return []

    def _finish(self, running: Running) -> None:
        step = running.step
        running.process.join()
        status = running.process.exitcode or 0
        running.process.close()
        if status:
            log = self._log(step)
            last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise DexpieError(f"step {step.name} ended ({exit_text(status)}): {last[0]} (log: {log})")
        seconds = round(time.monotonic() - running.began_s, 1)
        content = {"step": step.name, "arguments": self.arguments(step), "seconds": seconds}
        write_json(self._marker(step), content)

    def arguments(self, step: Step) -> list[str]:
        """Arguments of `dexpie` that make the step's output."""
        return filled_in(step, step.arguments, self.places)

    def seconds(self, step: Step) -> float | None:
        """How long its last run took, if it ran here."""
        marker = self._marker(step)
        return float(json.loads(marker.read_text())["seconds"]) if marker.is_file() else None

    def _stem(self, step: Step) -> Path:
        return self._folder / f"{step.kind}-{self._keys[step.name]}"

    def _marker(self, step: Step) -> Path:
        return Path(f"{self._stem(step)}.done.json")

    def _log(self, step: Step) -> Path:
        return Path(f"{self._stem(step)}.log")

    def _say(self, count: str, name: str, text: str) -> None:
        self.stream.write(f"{time.strftime('%H:%M:%S')} {count:>6} {name}: {text}\n")
        self.stream.flush()


def _stop(processes: Sequence[BaseProcess]) -> None:
    """Interrupt them, so that each saves what it has; kill those that do not end, with what they started."""
    for process in processes:
        if process.exitcode is None:
            _signal(os.kill, process, signal.SIGINT)
    deadline_s = time.monotonic() + STOP_S
    for process in processes:
        process.join(max(0.1, deadline_s - time.monotonic()))
        if process.exitcode is None:
            _signal(os.killpg, process, signal.SIGKILL)
            process.join()


def _signal(send: Callable[[int, int], None], process: BaseProcess, which: signal.Signals) -> None:
    assert process.pid is not None
    with contextlib.suppress(ProcessLookupError):
        send(process.pid, which)
