"""Runs the steps of an experiment: as many at once as asked for, each a process of its own, cached."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from dexpie.experiments.steps import Step, filled_in, keys, makespan_s, ready
from dexpie_core.errors import DexpieError
from dexpie_training.serial import write_json

POLL_S, STOP_S = 0.2, 60.0
DEXPIE = (sys.executable, "-P", "-m", "dexpie")


@dataclass
class Running:
    """A step whose process runs."""

    step: Step
    process: "subprocess.Popen[bytes]"
    began_s: float


@dataclass
class Runner:
    """Steps of one experiment in OUT: OUT/steps/NAME-KEY is a step's output, .done.json says it is whole."""

    out: Path
    steps: Sequence[Step]
    code_version: str
    workers: int
    program: Sequence[str] = DEXPIE
    stream: TextIO = field(default_factory=lambda: sys.stderr)

    def __post_init__(self) -> None:
        self._keys = keys(self.steps, self.code_version)
        self._folder = self.out / "steps"
        self.places: Mapping[str, str] = {
            step.name: str(self._folder / f"{step.name}-{self._keys[step.name]}{step.suffix}")
            for step in self.steps
        }

    def is_done(self, step: Step) -> bool:
        """Whether its output is there and whole."""
        if self._marker(step).is_file():
            return True
        return bool(step.whole) and Path(filled_in(step, [step.whole], self.places)[0]).exists()

    def done(self) -> set[str]:
        """Names of the steps that are done."""
        return {step.name for step in self.steps if self.is_done(step)}

    def estimate_s(self) -> float:
        """Time that the rest will take, by the steps' estimates."""
        return makespan_s(self.steps, self.done(), self.workers)

    def run(self) -> None:
        """Run what is missing. DexpieError: a step failed, the others in hand are ended; Ctrl-C alike."""
        self._folder.mkdir(parents=True, exist_ok=True)
        done, running = self.done(), dict[str, Running]()
        try:
            while len(done) < len(self.steps):
                for step in ready(self.steps, done, running)[: self.workers - len(running)]:
                    running[step.name] = self._start(step)
                time.sleep(POLL_S)
                for name in [n for n, r in running.items() if r.process.poll() is not None]:
                    self._finish(running.pop(name))
                    done.add(name)
                    self._say(f"{len(done)}/{len(self.steps)}", name, "done")
        finally:
            _stop([r.process for r in running.values()])

    def _start(self, step: Step) -> Running:
        arguments = filled_in(step, step.arguments, self.places) + self._taken_up(step)
        self._say("", step.name, "dexpie " + " ".join(arguments))
        with self._log(step).open("ab") as log:
            process = subprocess.Popen(
                [*self.program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C reaches it through us alone, once
            )
        return Running(step, process, time.monotonic())

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
        step, status = running.step, running.process.returncode
        if status:
            log = self._log(step)
            last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise DexpieError(f"step {step.name} ended with status {status}: {last[0]} (log: {log})")
        seconds = round(time.monotonic() - running.began_s, 1)
        arguments = filled_in(step, step.arguments, self.places)
        write_json(self._marker(step), {"step": step.name, "arguments": arguments, "seconds": seconds})

    def seconds(self, step: Step) -> float | None:
        """How long its last run took, if it ran here."""
        marker = self._marker(step)
        return float(json.loads(marker.read_text())["seconds"]) if marker.is_file() else None

    def _marker(self, step: Step) -> Path:
        return self._folder / f"{step.name}-{self._keys[step.name]}.done.json"

    def _log(self, step: Step) -> Path:
        return self._folder / f"{step.name}-{self._keys[step.name]}.log"

    def _say(self, count: str, name: str, text: str) -> None:
        self.stream.write(f"{time.strftime('%H:%M:%S')} {count:>6} {name}: {text}\n")
        self.stream.flush()


def _stop(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Interrupt them, so that each saves what it has; kill those that do not end."""
    for process in processes:
        process.send_signal(signal.SIGINT)
    deadline_s = time.monotonic() + STOP_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
