"""Steps of an experiment and the order that their inputs give them. Pure."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dexpie_core.errors import DexpieError

OUT: Final = "{out}"  # in a step's arguments: the place of its own output


@dataclass(frozen=True)
class Step:
    """One call of a command. Arguments name inputs as {name of a step}, its own output as {out}.

    suffix: of the output, such as `.json`; empty for a folder. whole: a path that is there only once the step
    is done, for commands whose output appears whole. resume: what the command needs to take up a training
    that was interrupted. after: steps that it needs without naming their output.
    """

    name: str
    arguments: tuple[str, ...]
    suffix: str = ""
    whole: str = ""
    resume: str = ""
    after: tuple[str, ...] = ()
    estimate_s: float = 1.0

    @property
    def kind(self) -> str:
        """The command's words, such as `train-actor`."""
        words = itertools.takewhile(lambda word: word[:1] not in ("-", "{"), self.arguments)
        return "-".join(words)

    def inputs(self, names: Iterable[str]) -> list[str]:
        """Steps, of these names, that this one needs."""
        text = " ".join(self.arguments)
        return [name for name in names if "{" + name + "}" in text or name in self.after]


def keys(steps: Sequence[Step], code_version: str) -> dict[str, str]:
    """Key of each step: a hash of its arguments, of the keys of its inputs and of the code's version.

    Steps of equal content have one key, whatever experiment they belong to and whatever they are called
    there. DexpieError: a step stands before one that it needs, or does what another one does.
    """
    found: dict[str, str] = {}
    names = [step.name for step in steps]
    for step in steps:
        needed = step.inputs(names)
        missing = [name for name in needed if name not in found]
        if missing:
            raise DexpieError(f"step {step.name} stands before {', '.join(missing)}, which it needs")
        arguments = [_filled(argument, found) for argument in step.arguments]
        after = [found[name] for name in step.after]
        content = json.dumps([arguments, after, step.suffix, code_version])
        key = hashlib.sha256(content.encode()).hexdigest()[:16]
        if key in found.values():
            raise DexpieError(f"step {step.name} does the same as another step of the plan")
        found[step.name] = key
    return found


def _filled(argument: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        argument = argument.replace("{" + name + "}", value)
    return argument


def filled_in(step: Step, arguments: Iterable[str], places: Mapping[str, str]) -> list[str]:
    """Arguments with the places of inputs and of the step's own output filled in."""
    return [_filled(argument, {**places, "out": places[step.name]}) for argument in arguments]


def ready(steps: Sequence[Step], done: Iterable[str], running: Iterable[str]) -> list[Step]:
    """Steps that may start: not done, not running, all inputs done; in the order of the plan."""
    finished, busy = set(done), set(running)
    names = [step.name for step in steps]
    return [
        step for step in steps if step.name not in finished | busy and finished.issuperset(step.inputs(names))
    ]


def makespan_s(steps: Sequence[Step], done: Iterable[str], workers: int) -> float:
    """Time that the rest takes when up to `workers` steps run at once, by the steps' estimates, s."""
    finished = set(done)
    now_s, ends = 0.0, dict[str, float]()
    while len(finished) < len(steps):
        for step in ready(steps, finished, ends)[: workers - len(ends)]:
            ends[step.name] = now_s + step.estimate_s
        if not ends:
            raise DexpieError("the plan's steps need one another in a circle")
        first = min(ends, key=lambda name: ends[name])
        now_s = ends.pop(first)
        finished.add(first)
    return now_s
