"""Steps of the lockstep cell a second of processor time, beside robosuite's UR5e with its Inspire hand.

Both take 25 actions and 250 physics steps (4 ms) a simulated second: reach for an object, close the hand on
it, lift it. With pictures, both render two views of 224x224 at every step with the same OpenGL. What differs:
robosuite follows TCP increments by operational space control, we absolute TCP targets by inverse kinematics
at 50 Hz and joint servos; robosuite needs an older MuJoCo; its scene has textures and shadows, ours neither.

`DEXPIE_ROBOSUITE` names the Python that has robosuite, if this one has not.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
from measure import Result

from dexpie_sim.environment import CellEnvironment
from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, run_episode

REAL_TIME_HZ = 25.0
ROUNDS = 3
SEED = 1
GET_ROBOSUITE = (
    "for robosuite: python -m venv V; V/bin/pip install robosuite mujoco==3.3.7; "
    "DEXPIE_ROBOSUITE=V/bin/python make bench"
)


class Replay:
    """A demonstration of the bottle task, step by step through the environment, over and over."""

    def __init__(self, images: bool) -> None:
        commands: list[np.ndarray] = []
        run_episode(LockstepCell(), EpisodeRequest(seed=SEED), lambda t: commands.append(t.output.command))
        self._environment = CellEnvironment(images=images, objects=True)
        self._steps = self._forever(commands)

    def _forever(self, commands: list[np.ndarray]) -> Iterator[None]:
        for index, command in cycle(enumerate(commands[:-1])):
            if index == 0:
                self._environment.reset(seed=SEED)
            self._environment.step(command)
            yield

    def steps_a_second(self, count: int) -> float:
        """Steps a second of processor time, of all threads, over the next `count`."""
        start = time.process_time()
        for _ in range(count):
            next(self._steps)
        return count / (time.process_time() - start)


class Robosuite:
    """`robosuite_steps.py` in the Python that has robosuite; None where there is none."""

    def __init__(self, python: str, images: bool) -> None:
        script = Path(__file__).with_name("robosuite_steps.py")
        keep = {
            k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
        }
        command = [python, str(script), "images" if images else "state"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=keep,
        )

    def steps_a_second(self, count: int) -> float:
        """As `Replay.steps_a_second`. Raises RuntimeError with the last line of its errors."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        try:
            process.stdin.write(f"{count}\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(process.stderr.read().strip().splitlines()[-1])
        self.versions, rate = json.loads(answer)
        return float(rate)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def lockstep_state() -> Result:
    """State only: a demonstration replayed, without and with the virtual operator who made it."""
    return _compared("lockstep_state", images=False, count=150, extra=_operator())


def lockstep_images() -> Result:
    """Two pictures of 224x224 at every step."""
    return _compared("lockstep_images", images=True, count=5)


def _compared(name: str, images: bool, count: int, extra: str = "") -> Result:
    ours, python = Replay(images), _robosuite_python()
    theirs = Robosuite(python, images) if python else None
    try:
        ours.steps_a_second(count)
        if theirs is None:
            mine = np.median([ours.steps_a_second(count) for _ in range(ROUNDS)])
            return Result(name, "steps/s", float(mine), details=f"{_real_time(mine)}; {extra}{GET_ROBOSUITE}")
        theirs.steps_a_second(count)
        rates = [(ours.steps_a_second(count), theirs.steps_a_second(count)) for _ in range(ROUNDS)]
    except RuntimeError as error:
        raise SystemExit(f"bench: robosuite of {python} fails: {error}; {GET_ROBOSUITE}") from None
    finally:
        if theirs is not None:
            theirs.close()
    mine, other = np.median(np.array(rates), axis=0)
    details = f"{_real_time(mine)}, theirs {_real_time(other)}; {extra}a second of processor time"
    return Result(
        name,
        "steps/s",
        float(mine),
        f"robosuite {theirs.versions}",
        float(other),
        float(mine / other),
        details,
    )


def _operator() -> str:
    cell, steps = LockstepCell(), 0
    start = time.process_time()
    for seed in range(SEED, SEED + 3):
        steps += run_episode(cell, EpisodeRequest(seed=seed)).steps
    return f"with the virtual operator {_real_time(steps / (time.process_time() - start))}; "


def _real_time(rate_hz: float) -> str:
    return f"{rate_hz / REAL_TIME_HZ:.1f}x real time"


def _robosuite_python() -> str | None:
    if importlib.util.find_spec("robosuite"):
        return sys.executable
    return os.environ.get("DEXPIE_ROBOSUITE")
