"""A LoopNode that fails in its tenth step, if asked to."""

import sys
from dataclasses import dataclass

from dexpie_core.errors import DexpieError
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, parameter, run


@dataclass(frozen=True)
class Parameters:
    """How it ends."""

    fail: bool = parameter(False, "raise in the tenth step")


class Looped(LoopNode):
    """Counts its steps."""

    def __init__(self) -> None:
        super().__init__("looped")
        self.settings = declare(self, Parameters)
        self.steps = 0
        self.prepared = False
        self.start(100.0, niceness=1, realtime=1)

    def prepare(self) -> None:
        self.prepared = True

    def step(self) -> None:
        assert self.prepared
        self.steps += 1
        if self.settings.fail and self.steps == 10:
            raise DexpieError("the tenth step failed")

    def report(self) -> Report:
        return Report(Level.OK, "stepping", {"steps": self.steps, **self.timing_values()})

    def finish(self) -> None:
        print(f"finished after {self.steps} steps", flush=True)


if __name__ == "__main__":
    sys.exit(run(Looped))
