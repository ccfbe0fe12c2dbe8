"""`dexpie up`: the node graph of a cell, started and supervised until Ctrl-C."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dexpie.bringup import BringupOptions, run_graph
from dexpie.commands.metavars import PATH, SECONDS
from dexpie.graph import GraphOptions, check_options
from dexpie_core.errors import UsageError


@dataclass(frozen=True)
class UpOptions:
    """Start the node graph of a cell, show what the nodes write, and stop it cleanly on Ctrl-C.

    A required node that dies takes the graph down (exit status 1) with its name and its last words.
    """

    task: str
    """The task that is laid out on the table: bottle, drawer or lid."""
    hardware: str = "sim"
    """Which devices: sim (the simulated cell), emulated (the real drivers, talking to emulators of arm and
    hand that move in the simulated cell) or real."""
    policy: Annotated[Path | None, PATH] = None
    """Folder of a trained actor; with it the policy_inference node runs too."""
    record: Annotated[Path | None, PATH] = None
    """Folder that episodes are recorded into (made when needed)."""
    duration: Annotated[float | None, SECONDS] = None
    """Stop by itself after this many seconds, counted from readiness."""
    inference: str = "async"
    """async: the next chunk is computed while the last one is driven; sync: the arm waits for it."""
    operator: str = ""
    """Who teleoperates: virtual (simulated tracker and glove), human (the devices of a person) or none.
    Unless given: human with --hardware real, else virtual."""
    seed: int = 0
    """Seed of the first scene, 0 or more."""
    positions: str = "train"
    """Where the simulated objects lie: train (the range of the demonstrations) or held_out (around it)."""
    config: Annotated[Path | None, PATH] = None
    """ROS parameter file of this very cell (addresses, serial numbers, calibration), read last."""
    replace: str = ""
    """Drivers of one's own in the place of ours: NAME=PACKAGE/EXECUTABLE, several with commas between."""
    ready_timeout: float = 60.0
    """Give up when the nodes are not ready after this many seconds."""


def graph_options(options: UpOptions) -> GraphOptions:
    """The part of the options that shapes the graph."""
    return GraphOptions(
        hardware=options.hardware,
        task=options.task,
        policy=str(options.policy.absolute()) if options.policy else "",
        record=str(options.record.absolute()) if options.record else "",
        operator=options.operator,
        inference=options.inference,
        seed=options.seed,
        positions=options.positions,
        config=str(options.config.absolute()) if options.config else "",
        replace=options.replace,
    )


def run_up(options: UpOptions) -> int:
    """Run the graph; 0 when it was stopped on purpose."""
    if options.duration is not None and not options.duration > 0.0:
        raise UsageError(f"--duration {options.duration:g}: must be more than 0 s")
    if not options.ready_timeout > 0.0:
        raise UsageError(f"--ready-timeout {options.ready_timeout:g}: must be more than 0 s")
    graph = graph_options(options)
    check_options(graph)
    outcome = run_graph(graph, BringupOptions(options.duration, options.ready_timeout))
    print(f"stopped ({outcome.message or f'after {options.duration:g} s'}), no process left")
    return 0
