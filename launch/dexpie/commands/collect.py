"""`dexpie collect`: episodes into a folder of bags, in lockstep or on the ROS graph."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from dexpie.bringup import BringupOptions, module_argv, recover_recordings, run_graph
from dexpie.commands.metavars import PATH, SECONDS
from dexpie.console import Console
from dexpie.episodes import outcome_counts, outcome_table, recorded_episodes, seeds_to_do
from dexpie.graph import GraphOptions, check_options
from dexpie.lockstep import LockstepOptions, LockstepResult, run_lockstep
from dexpie.policies import policy_id_of
from dexpie.processes import Command
from dexpie.progress import Progress
from dexpie.session_records import SessionOptions, read_results
from dexpie_core.action_space import RATE_HZ
from dexpie_core.errors import DexpieError, UsageError

DEMONSTRATION, ROLLOUT = "demonstration", "rollout"
TIME_MARGIN = 1.25


@dataclass(frozen=True)
class CollectOptions:
    """Record episodes into a folder of bags: demonstrations, or with --policy rollouts of it.

    A seed whose episode the folder already holds is not recorded again: an interrupted run goes on.
    """

    task: str
    """The task: bottle, drawer or lid."""
    out: Path
    """Folder of bags (made when needed)."""
    episodes: int = 10
    """How many episodes; their seeds count up from --seed."""
    policy: Annotated[Path | None, PATH] = None
    """Folder of a trained actor whose rollouts are recorded; without it the operator demonstrates."""
    operator: str = "virtual"
    """Who demonstrates: virtual."""
    hardware: str = "sim"
    """On the ROS graph: sim, or emulated (the real drivers against emulators of arm and hand)."""
    inference: str = "async"
    """async: the next chunk is computed while the last one is driven; sync: the arm waits for it."""
    lockstep: bool = False
    """Simulated time in this program, faster than real time, instead of the ROS graph."""
    seed: int = 0
    """Seed of the first episode, 0 or more."""
    time_limit: Annotated[float | None, SECONDS] = None
    """An episode on the ROS graph that is not done after this many seconds counts as a failure; unless given,
    a quarter more than the task's longest episode."""
    images: bool = True
    """Record the cameras (in lockstep; the graph always does)."""
    workers: int = 0
    """Processes in lockstep; 0: one a core."""


def check(options: CollectOptions) -> GraphOptions:
    """Refuse wrong use before anything is made; the graph that the options call for."""
    if options.episodes < 1:
        raise UsageError(f"--episodes {options.episodes}: must be 1 or more")
    if options.time_limit is not None and not options.time_limit > 0.0:
        raise UsageError(f"--time-limit {options.time_limit:g}: must be more than 0 s")
    if options.out.exists() and not options.out.is_dir():
        raise UsageError(f"--out {options.out}: is a file; give a folder")
    if options.operator != "virtual":
        raise UsageError(
            f"--operator {options.operator}: not part of this version yet; use --operator virtual"
        )
    if options.hardware == "real":
        raise UsageError("--hardware real: collecting at the cell is not part of this version yet")
    if options.lockstep and options.hardware != "sim":
        raise UsageError(f"--hardware {options.hardware}: runs on the ROS graph only; leave out --lockstep")
    graph = GraphOptions(
        hardware=options.hardware,
        task=options.task,
        policy=str(options.policy.absolute()) if options.policy else "",
        record=str(options.out.absolute()),
        operator=options.operator,
        inference=options.inference,
        seed=options.seed,
    )
    check_options(graph)
    return graph


def run_collect(options: CollectOptions) -> None:
    """The command."""
    record(options)


def record(options: CollectOptions, listed: bool = True, quiet: bool = False) -> None:
    """Record, and print what was recorded: every episode, or only their count."""
    graph = check(options)
    kind = ROLLOUT if options.policy else DEMONSTRATION
    policy_id = policy_id_of(options.policy, options.task) if options.policy else ""
    wanted = range(options.seed, options.seed + options.episodes)
    recover_recordings(str(options.out), Console())
    if options.lockstep:
        drop_cut_off(options.out, options.task, kind, wanted)
    seeds = seeds_to_do(options.out, kind, "initial", policy_id, wanted)
    if len(seeds) < len(wanted):
        print(f"{len(wanted) - len(seeds)} of {len(wanted)} episodes are already in {options.out}")
    if not seeds:
        return
    options.out.mkdir(parents=True, exist_ok=True)
    if options.lockstep:
        rows = collect_lockstep(options, kind, seeds)
    else:
        rows = collect_on_graph(options, graph, kind, policy_id, seeds, quiet)
    if listed:
        print(f"{outcome_table(sorted(rows))}\n")
    print(f"{outcome_counts(rows)}; bags: {options.out}")


def drop_cut_off(folder: Path, task: str, kind: str, seeds: range) -> None:
    """Remove simulated episodes whose recording was cut off: the same seed gives the same episode again.

    A discarded episode of the ROS graph would not come back; it has another name and stays.
    """
    discarded = [e for e in recorded_episodes(folder) if e.kind == kind and e.outcome == "discard"]
    if not discarded:
        return
    from dexpie_sim.lockstep import episode_id

    for episode in discarded:
        simulated = episode.bag.name == episode_id(task, kind, episode.stage, episode.seed)
        if simulated and episode.seed in seeds:
            shutil.rmtree(episode.bag)
            print(f"{episode.bag.name} was cut off, it is recorded again")


def collect_lockstep(
    options: CollectOptions, kind: str, seeds: list[int]
) -> list[tuple[int, str, str, float]]:
    """Episodes in worker processes and simulated time."""
    settings = LockstepOptions(
        task=options.task, policy=str(options.policy or ""), record=str(options.out), images=options.images,
        synchronous=options.inference == "sync",
    )  # fmt: skip
    progress = Progress(f"{kind}s", len(seeds))
    results: list[LockstepResult] = []
    try:
        for result in run_lockstep(settings, seeds, options.workers):
            results.append(result)
            progress.update(len(results), f"({sum(r.outcome == 'success' for r in results)} successes)")
    finally:
        progress.close()
    return [(r.seed, r.outcome, r.reason, r.duration_s) for r in results]


def time_limit_s(task: str) -> float:
    """A quarter more than the task's longest episode: starting and stopping take their time under ROS."""
    from dexpie_sim.tasks import make_task

    return TIME_MARGIN * make_task(task).max_steps / RATE_HZ


def collect_on_graph(
    options: CollectOptions, graph: GraphOptions, kind: str, policy_id: str, seeds: list[int], quiet: bool
) -> list[tuple[int, str, str, float]]:
    """Episodes on the ROS graph in wall-clock time, driven by a session process."""
    with tempfile.TemporaryDirectory(prefix="dexpie_session_") as folder:
        results = Path(folder) / "episodes.json"
        session = SessionOptions(
            options.task, kind, tuple(seeds), str(results), policy_id=policy_id, operator=options.operator,
            limit_s=options.time_limit or time_limit_s(options.task),
        )  # fmt: skip
        main = Command("session", (*module_argv("dexpie", "session"), json.dumps(asdict(session))))
        outcome = run_graph(graph, BringupOptions(main=main, quiet=quiet))
        records = read_results(results)
    if outcome.kind == "interrupted":
        print(
            f"interrupted after {len(records)} of {len(seeds)} episodes; the same command goes on",
            file=sys.stderr,
        )
        raise KeyboardInterrupt
    if outcome.status != 0:
        raise DexpieError(outcome.message or f"the session ended with status {outcome.status}")
    return [(r.seed, r.outcome, r.reason, r.duration_s) for r in records]
