"""`dexpie collect`: episodes into a folder of bags, in lockstep or on the ROS graph."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dexpie.bringup import BringupOptions, module_argv, recover_recordings, run_graph
from dexpie.collection import Collection, as_collected, check_folder
from dexpie.commands.metavars import PATH, SECONDS
from dexpie.console import Console
from dexpie.episode_tables import coverage_text, episode_table, outcome_counts
from dexpie.graph import GraphOptions, check_options
from dexpie.lockstep import LockstepOptions, run_units
from dexpie.policies import policy_id_of
from dexpie.processes import Command
from dexpie.progress import Progress
from dexpie.session_records import SessionOptions
from dexpie_core.action_space import RATE_HZ
from dexpie_core.collection import CollectionPlan, Unit, coverage, next_unit, uncorrected
from dexpie_core.errors import DexpieError, UsageError

DEMONSTRATION, ROLLOUT = "demonstration", "rollout"
STAGES = ("initial", "staged")
TIME_MARGIN = 1.25


@dataclass(frozen=True)
class CollectOptions:
    """Record episodes into a folder of bags: demonstrations, or with --policy rollouts of it.

    A rollout that fails is followed by its correction: the same start again, with the operator intervening.
    Both count as episodes. What the folder already holds is not recorded again: an interrupted run goes on.
    """

    task: str
    """The task: bottle, drawer or lid."""
    out: Path
    """Folder of bags (made when needed)."""
    episodes: int = 10
    """How many episodes, corrections among them; the seeds count up from --seed."""
    policy: Annotated[Path | None, PATH] = None
    """Folder of a trained actor whose rollouts are recorded; without it the operator demonstrates."""
    operator: str = ""
    """Who demonstrates and corrects: virtual, human (a person, who also judges; see dexpie console) or none
    (rollouts without corrections). Unless given: human with --hardware real, else virtual."""
    stages: str = "initial"
    """Where episodes start: initial, or staged (evenly from all stages of the task)."""
    hardware: str = "sim"
    """On the ROS graph: sim, emulated (the real drivers against emulators of arm and hand) or real."""
    inference: str = "async"
    """async: the next chunk is computed while the last one is driven; sync: the arm waits for it."""
    lockstep: bool = False
    """Simulated time in this program, faster than real time, instead of the ROS graph."""
    seed: int = 0
    """Seed of the first episode, 0 or more."""
    positions: str = "train"
    """Where the simulated objects lie: train (the range of the demonstrations) or held_out (around it)."""
    time_limit: Annotated[float | None, SECONDS] = None
    """An episode that is not done after this many seconds, a correction after twice as many, has failed;
    unless given, the task's own limit (a quarter more on the ROS graph), or none where a person judges. The
    virtual operator gives up an attempt that makes no progress for 8 s."""
    images: bool = True
    """Record the cameras (in lockstep; the graph always does)."""
    workers: int = 0
    """Processes in lockstep; 0: one a core."""
    config: Annotated[Path | None, PATH] = None
    """ROS parameter file of this very cell (addresses, serial numbers, calibration), read last."""
    replace: str = ""
    """Drivers of one's own in the place of ours: NAME=PACKAGE/EXECUTABLE, several with commas between."""
    ready_timeout: float = 60.0
    """Give up when the nodes are not ready after this many seconds."""


def check(options: CollectOptions) -> GraphOptions:
    """Refuse wrong use before anything is made; the graph that the options call for."""
    if options.episodes < 1:
        raise UsageError(f"--episodes {options.episodes}: must be 1 or more")
    if options.time_limit is not None and not options.time_limit > 0.0:
        raise UsageError(f"--time-limit {options.time_limit:g}: must be more than 0 s")
    if not options.ready_timeout > 0.0:
        raise UsageError(f"--ready-timeout {options.ready_timeout:g}: must be more than 0 s")
    if options.stages not in STAGES:
        raise UsageError(f"--stages {options.stages}: not a choice; choose from {', '.join(STAGES)}")
    if options.out.exists() and not options.out.is_dir():
        raise UsageError(f"--out {options.out}: is a file; give a folder")
    graph = GraphOptions(
        hardware=options.hardware,
        task=options.task,
        policy=str(options.policy.absolute()) if options.policy else "",
        record=str(options.out.absolute()),
        operator=options.operator,
        inference=options.inference,
        seed=options.seed,
        positions=options.positions,
        config=str(options.config.absolute()) if options.config else "",
        replace=options.replace,
    )
    check_options(graph)
    if options.lockstep and options.hardware != "sim":
        raise UsageError(f"--hardware {options.hardware}: runs on the ROS graph only; leave out --lockstep")
    if options.lockstep and graph.operated_by == "human":
        raise UsageError("--operator human: a person works in real time; leave out --lockstep")
    if graph.operated_by == "none" and options.policy is None:
        raise UsageError("--operator none: nobody would demonstrate; give --policy, or another operator")
    if graph.operated_by == "none" and options.hardware == "real":
        raise UsageError("--operator none: at the real cell a person judges; use --operator human")
    return graph


def collection_of(options: CollectOptions, graph: GraphOptions) -> Collection:
    """The collection that the options call for."""
    stages: tuple[str, ...] = ("initial",)
    if options.stages == "staged":
        from dexpie_sim.tasks import make_task

        stages = make_task(options.task).stages
    corrections = options.policy is not None and graph.operated_by != "none"
    return Collection(
        options.out,
        options.task,
        ROLLOUT if options.policy else DEMONSTRATION,
        policy_id_of(options.policy, options.task) if options.policy else "",
        options.positions if options.hardware != "real" else "",
        CollectionPlan(stages, options.episodes, options.seed, corrections),
    )


def run_collect(options: CollectOptions) -> None:
    """The command."""
    record(options)


def record(options: CollectOptions, listed: bool = True, quiet: bool = False, takeover: bool = False) -> None:
    """Record, and print what was recorded: every episode, or only their count.

    takeover: on the ROS graph the virtual operator drives for a while in the middle of every attempt.
    """
    graph = check(options)
    collection = collection_of(options, graph)
    check_folder(options.out)
    tidy(collection)
    there = len(collection.episodes())
    if there:
        print(f"{there} of {options.episodes} episodes are already in {options.out}", flush=True)
    if there < options.episodes:
        options.out.mkdir(parents=True, exist_ok=True)
        try:
            if options.lockstep:
                collect_lockstep(options, collection)
            else:
                collect_on_graph(options, collection, graph, quiet, takeover)
        finally:
            tidy(collection)
    conclude(collection, listed)


def tidy(collection: Collection) -> None:
    """Make whole what a killed recorder left, and set aside what does not count."""
    recover_recordings(str(collection.folder), Console())
    for line in collection.set_aside():
        print(line, flush=True)


def conclude(collection: Collection, listed: bool) -> None:
    """What the folder holds of the collection."""
    episodes = collection.episodes()
    collected = as_collected(episodes)
    if listed:
        print(f"\n{episode_table(episodes)}\n\n{coverage_text(coverage(collection.plan, collected))}")
    if collection.plan.corrections:
        for failed in uncorrected(collection.plan, collected):
            print(f"{failed.episode_id} failed and has no correction: there was no place left for one")
    print(f"{outcome_counts(episodes)}; bags: {collection.folder}")


def collect_lockstep(options: CollectOptions, collection: Collection) -> None:
    """Episodes in worker processes and simulated time."""
    settings = LockstepOptions(
        task=options.task, policy=str(options.policy or ""), record=str(options.out), images=options.images,
        synchronous=options.inference == "sync", positions=options.positions, limit_s=options.time_limit,
        judged=collection.plan.corrections,
    )  # fmt: skip
    plan, recorded = collection.plan, as_collected(collection.episodes())
    progress = Progress("episodes", options.episodes)
    under_way: list[Unit] = []

    def take() -> Unit | None:
        unit = next_unit(plan, recorded, under_way)
        if unit is not None:
            under_way.append(unit)
        return unit

    try:
        for unit, episodes in run_units(settings, take, options.workers):
            under_way.remove(unit)
            recorded.extend(episodes)
            progress.update(len(recorded), f"({coverage_text(coverage(plan, recorded))})")
    finally:
        progress.close()


def time_limit_s(task: str) -> float:
    """A quarter more than the task's longest episode: starting and stopping take their time under ROS."""
    from dexpie_sim.tasks import make_task

    return float(TIME_MARGIN * make_task(task).max_steps / RATE_HZ)


def collect_on_graph(
    options: CollectOptions, collection: Collection, graph: GraphOptions, quiet: bool, takeover: bool
) -> None:
    """Episodes on the ROS graph in wall-clock time, driven by a session process."""
    plan, by_person = collection.plan, graph.operated_by == "human"
    session = SessionOptions(
        out=graph.record, task=collection.task, kind=collection.kind, stages=plan.stages,
        episodes=plan.episodes, seed=plan.first_seed, corrections=plan.corrections,
        policy_id=collection.policy_id, positions=collection.positions, operator=graph.operated_by,
        limit_s=options.time_limit or (0.0 if by_person else time_limit_s(options.task)),
        simulated=options.hardware != "real", takeover=takeover,
    )  # fmt: skip
    main = Command("session", (*module_argv("dexpie", "session"), session.to_json()))
    bringup = BringupOptions(ready_timeout_s=options.ready_timeout, main=main, quiet=quiet)
    outcome = run_graph(graph, bringup)
    if outcome.kind == "interrupted":
        there = len(collection.episodes())
        print(
            f"interrupted after {there} of {options.episodes} episodes; the same command goes on",
            file=sys.stderr,
        )
        raise KeyboardInterrupt
    if outcome.status != 0:
        raise DexpieError(outcome.message or f"the session ended with status {outcome.status}")
