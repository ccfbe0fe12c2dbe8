"""`dexpie evaluate`: the success rate of a policy in the simulated cell, in lockstep."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dexpie.graph import GraphOptions, check_options
from dexpie.lockstep import LockstepOptions, run_lockstep
from dexpie.policies import policy_id_of
from dexpie.progress import Progress
from dexpie_core.errors import UsageError

if TYPE_CHECKING:
    from dexpie_training.evaluate import EvaluationReport


@dataclass(frozen=True)
class EvaluateOptions:
    """Run a policy from many initial states and report its success rate with a 95 % Wilson interval."""

    policy: Path
    """Folder of a trained actor."""
    task: str
    """The task: bottle, drawer or lid."""
    out: Path
    """JSON file to be written; must not exist."""
    trials: int = 50
    """How many trials; their seeds count up from --seed."""
    inference: str = "async"
    """async: the next chunk is computed while the last one is driven; sync: the arm waits for it."""
    latency: float = 120.0
    """Simulated time from a chunk's observation to its arrival, in ms (rounded up to ticks of 40)."""
    seed: int = 10000
    """Seed of the first trial, 0 or more; the default keeps clear of the demonstrations' seeds."""
    positions: str = "train"
    """Range of the object positions: train (that of the demonstrations) or held_out."""
    workers: int = 0
    """Processes; 0: one a core."""


def check(options: EvaluateOptions) -> str:
    """Refuse wrong use before anything runs; the policy's identity."""
    if options.trials < 1:
        raise UsageError(f"--trials {options.trials}: must be 1 or more")
    if not 0.0 <= options.latency < 10_000.0:
        raise UsageError(f"--latency {options.latency:g}: must be between 0 and 10000 ms")
    if options.positions not in ("train", "held_out"):
        raise UsageError(f"--positions {options.positions}: not a choice; choose from train, held_out")
    if options.out.exists():
        raise UsageError(f"--out {options.out} exists already; choose another file or remove it")
    check_options(GraphOptions(task=options.task, inference=options.inference, seed=options.seed))
    return policy_id_of(options.policy, options.task)


def evaluate(options: EvaluateOptions) -> EvaluationReport:
    """Run the trials and write the report."""
    from dexpie_core.action_space import RATE_HZ
    from dexpie_training.evaluate import TrialResult, summarise_trials, write_report

    policy_id = check(options)
    tick_ms = 1e3 / RATE_HZ
    latency_ticks = math.ceil(options.latency / tick_ms - 1e-9)
    lockstep = LockstepOptions(
        task=options.task, policy=str(options.policy), synchronous=options.inference == "sync",
        latency_ticks=latency_ticks, positions=options.positions,
    )  # fmt: skip
    seeds = range(options.seed, options.seed + options.trials)
    progress = Progress("trials", options.trials)
    results: list[TrialResult] = []
    try:
        for r in run_lockstep(lockstep, seeds, options.workers):
            results.append(
                TrialResult(r.seed, r.outcome == "success", r.outcome, r.reason, r.steps, r.duration_s)
            )
            progress.update(len(results), f"({sum(result.success for result in results)} successes)")
    finally:
        progress.close()
    settings = {
        "policy": str(options.policy),
        "policy_id": policy_id,
        "task": options.task,
        "inference": options.inference,
        "latency_ms": latency_ticks * tick_ms,
        "positions": options.positions,
        "first_seed": options.seed,
    }
    report = summarise_trials(results, settings)
    write_report(report, options.out)
    return report


def run_evaluate(options: EvaluateOptions) -> None:
    """Evaluate, and say what came of it."""
    print(evaluate(options))
    print(f"report: {options.out}")
