"""`dexpie evaluate`: the success rate of a policy in the simulated cell, in lockstep."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from dexpie.commands.metavars import PATH
from dexpie.graph import GraphOptions, check_options
from dexpie.lockstep import LockstepOptions, run_lockstep, task_steps
from dexpie.policies import policy_id_of
from dexpie.progress import Progress
from dexpie_core.action_space import RATE_HZ
from dexpie_core.episode import POSITIONS
from dexpie_core.errors import UsageError

if TYPE_CHECKING:
    from dexpie_training.evaluate import EvaluationReport
    from dexpie_training.trial_log import TrialLog

TRIALS, FIRST_SEED = 50, 10_000
TICK_MS = 1e3 / RATE_HZ


@dataclass(frozen=True)
class EvaluateOptions:
    """Run a policy from many initial states and report its success rate with a 95 % Wilson interval.

    Trials are paired: the same seeds are the same initial states for every policy. An interrupted
    evaluation keeps its finished trials in OUT.partial, and the same command goes on.
    """

    policy: Path
    """Folder of a trained actor."""
    task: str
    """The task: bottle, drawer or lid."""
    out: Path
    """JSON file to be written; must not exist."""
    trials: int | None = None
    """How many trials; their seeds count up from --seed (default: 50)."""
    inference: str = "async"
    """async: the next chunk is computed while the last one is driven; sync: the arm waits for it."""
    latency: float = 120.0
    """Simulated time from a chunk's observation to its arrival, in ms (rounded up to ticks of 40)."""
    guidance: float | None = None
    """beta of the optimality, 0 or more, for policies that have one (default: as trained; 1: none)."""
    seed: int | None = None
    """Seed of the first trial, 0 or more (default: 10000, clear of the demonstrations' seeds)."""
    positions: str | None = None
    """Range of the object positions: train (that of the demonstrations, the default) or held_out."""
    beside: Annotated[Path | None, PATH] = None
    """Report of another evaluation: take its initial states, and say how the two compare."""
    workers: int = 0
    """Processes; 0: one a core."""


@dataclass(frozen=True)
class Plan:
    """What is run: of which policy, from which seeds, beside which report."""

    policy_id: str
    seeds: tuple[int, ...]
    positions: str
    latency_ticks: int
    beside: EvaluationReport | None

    def settings(self, options: EvaluateOptions) -> dict[str, Any]:
        """What the report says of it."""
        from dexpie_training.checkpoint import code_version

        return {
            "policy": str(options.policy),
            "policy_id": self.policy_id,
            "task": options.task,
            "guidance": options.guidance,
            "inference": options.inference,
            "latency_ms": self.latency_ticks * TICK_MS,
            "positions": self.positions,
            "first_seed": self.seeds[0],
            "task_steps": list(task_steps(options.task)),
            "code_version": code_version(),
        }


def check(options: EvaluateOptions) -> Plan:
    """Refuse wrong use before anything runs."""
    from dexpie_training.evaluate import check_out

    if options.trials is not None and options.trials < 1:
        raise UsageError(f"--trials {options.trials}: must be 1 or more")
    if not 0.0 <= options.latency < 10_000.0:
        raise UsageError(f"--latency {options.latency:g}: must be between 0 and 10000 ms")
    if options.guidance is not None and not 0.0 <= options.guidance < math.inf:
        raise UsageError(f"--guidance {options.guidance:g}: must be 0 or more")
    check_out(options.out)
    seed = FIRST_SEED if options.seed is None else options.seed
    positions = POSITIONS[0] if options.positions is None else options.positions
    check_options(
        GraphOptions(task=options.task, inference=options.inference, seed=seed, positions=positions)
    )
    policy_id = policy_id_of(options.policy, options.task)
    ticks = math.ceil(options.latency / TICK_MS - 1e-9)
    if options.beside is not None:
        return _beside(options, options.beside, policy_id, ticks)
    seeds = tuple(range(seed, seed + (options.trials or TRIALS)))
    return Plan(policy_id, seeds, positions, ticks, None)


def _beside(options: EvaluateOptions, path: Path, policy_id: str, latency_ticks: int) -> Plan:
    """The plan that has the initial states of another report."""
    from dexpie_training.evaluate import read_report

    for name in ("trials", "seed", "positions"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name}: is that of --beside {path}; leave it out")
    other = read_report(path)
    task = other.settings.get("task")
    if task != options.task:
        raise UsageError(f"--beside {path}: is of task {task}, not {options.task}")
    seeds = tuple(result.seed for result in other.results)
    return Plan(policy_id, seeds, str(other.settings.get("positions", POSITIONS[0])), latency_ticks, other)


def evaluate(options: EvaluateOptions) -> EvaluationReport:
    """Run the trials and write the report."""
    return _evaluate(options, check(options))


def _evaluate(options: EvaluateOptions, plan: Plan) -> EvaluationReport:
    from dexpie_training.evaluate import summarise_trials, write_report
    from dexpie_training.trial_log import TrialLog

    settings = plan.settings(options)
    with TrialLog(options.out, {**settings, "seeds": list(plan.seeds)}) as log:
        done = {result.seed for result in log.results}
        try:
            _run(options, plan, log, [seed for seed in plan.seeds if seed not in done])
        except KeyboardInterrupt:
            if log.results:
                kept = f"{len(log.results)} of {len(plan.seeds)} trials are kept in {log.path}"
                print(f"{kept}; the same command goes on", file=sys.stderr)
            raise
        report = summarise_trials(log.results, settings)
        write_report(report, options.out)
        log.remove()
    return report


def _run(options: EvaluateOptions, plan: Plan, log: TrialLog, seeds: Sequence[int]) -> None:
    """Run the trials of these seeds, each into the log as it ends."""
    from dexpie_training.evaluate import TrialResult

    if not seeds:
        return
    lockstep = LockstepOptions(
        task=options.task, policy=str(options.policy), guidance=options.guidance,
        synchronous=options.inference == "sync", latency_ticks=plan.latency_ticks, positions=plan.positions,
    )  # fmt: skip
    progress = Progress("trials", len(seeds))
    try:
        for done, r in enumerate(run_lockstep(lockstep, seeds, options.workers), start=1):
            log.add(TrialResult(success=r.outcome == "success", **asdict(r)))
            progress.update(done, f"({sum(t.success for t in log.results)} of {len(log.results)} succeeded)")
    finally:
        progress.close()


def run_evaluate(options: EvaluateOptions) -> None:
    """Evaluate, and say what came of it."""
    plan = check(options)
    report = _evaluate(options, plan)
    print(report)
    if plan.beside is not None:
        from dexpie_training.comparison import difference_line

        names = (options.out.stem, options.beside.stem if options.beside else "")
        print(difference_line(report, plan.beside, names))
    print(f"report: {options.out}")
