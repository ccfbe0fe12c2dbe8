"""`dexpie experiment improvement|async|staged|ablation`: comparisons as pipelines of commands."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from dexpie.experiments.ablation import Ablation
from dexpie.experiments.budgets import BudgetName, budget
from dexpie.experiments.pipelines import Experiment, ExperimentName
from dexpie.experiments.results import results, results_text
from dexpie.experiments.runner import Runner
from dexpie_core.episode import Positions
from dexpie_core.errors import UsageError

RESULTS_FILE, TABLE_FILE, REPORT_FILE = "results.json", "results.txt", "report.html"


@dataclass(frozen=True)
class ExperimentOptions:
    """Run an experiment; what OUT already holds of this code, task and budget is not run again."""

    task: str
    """The task: bottle, drawer or lid."""
    out: Path
    """Folder for everything (made when needed); several experiments may share it, and their common steps."""
    budget: BudgetName = "cpu"
    """Sizes: smoke (says nothing), cpu (the paper's data, a small policy) or full (a larger policy)."""
    seeds: int = 3
    """Training seeds; each has its own policy, rollouts and critic."""
    first_seed: int = 0
    """The first of the training seeds: several machines can share the work, see `dexpie experiment pool`."""
    positions: Positions = "held_out"
    """Where the policy is deployed, in rollouts and trials: held_out (around the range in which it was
    demonstrated) or train (within it)."""
    workers: int = 2
    """Steps at once, one processor core each."""
    plan: bool = False
    """Say what would be run and how long it would take, and stop."""


@dataclass(frozen=True)
class ImprovementOptions(ExperimentOptions):
    """Figure 5: BC, HG-DAgger, RECAP and DexPIE after one round of collection with corrections."""

    iterations: int = 1
    """Rounds: from the second on the improved policy collects, and DexPIE alone goes on."""


@dataclass(frozen=True)
class AsyncOptions(ExperimentOptions):
    """Figure 6: rollouts collected with asynchronous against synchronous inference; both evaluated alike."""


@dataclass(frozen=True)
class StagedOptions(ExperimentOptions):
    """Figure 8: rollouts from all stages of the task against rollouts from its initial states alone."""


@dataclass(frozen=True)
class PoolOptions:
    """One table out of the results of an experiment whose training seeds were run apart (--first-seed)."""

    results: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RESULTS.JSON...")]
    """Files that the experiments wrote."""
    out: Path
    """File of the results together."""


@dataclass(frozen=True)
class AblationOptions(ExperimentOptions):
    """One setting of the method at a time against the default, on the same demonstrations and rollouts."""


def run_improvement(options: ImprovementOptions) -> None:
    """The comparison of methods."""
    _run("improvement", options, options.iterations)


def run_async(options: AsyncOptions) -> None:
    """The comparison of inference during collection."""
    _run("async", options)


def run_staged(options: StagedOptions) -> None:
    """The comparison of starts during collection."""
    _run("staged", options)


def run_ablation(options: AblationOptions) -> None:
    """The comparison of settings."""
    _run("ablation", options)


def run_pool(options: PoolOptions) -> None:
    """Training seeds that were run apart as one."""
    from dexpie.experiments.pooling import pooled
    from dexpie_training.evaluate import check_out
    from dexpie_training.serial import write_json

    check_out(options.out)
    found = pooled({str(file): _read(file) for file in options.results})
    write_json(options.out, found)
    print(f"{results_text(found)}\nresults: {options.out}")


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{file}: cannot be read as results of `dexpie experiment` ({error})") from None
    return content if isinstance(content, dict) else {}


def _run(name: ExperimentName, options: ExperimentOptions, iterations: int = 1) -> None:
    from dexpie.report.experiment import experiment_page
    from dexpie.report.page import write_page
    from dexpie.report.sections import Work
    from dexpie_training.checkpoint import code_version
    from dexpie_training.serial import write_json, write_text

    for field, value in (("seeds", options.seeds), ("workers", options.workers), ("iterations", iterations)):
        if value < 1:
            raise UsageError(f"--{field} {value}: must be 1 or more")
    experiment = (Ablation if name == "ablation" else Experiment)(
        name, options.task, budget(options.budget, options.task), options.seeds, iterations,
        first_seed=options.first_seed, positions=options.positions,
    )  # fmt: skip
    version = code_version()
    runner = Runner(options.out, experiment.steps(), version, options.workers)
    print(_plan_text(runner))
    if options.plan:
        return
    began_s, made = time.monotonic(), runner.done()
    runner.run()
    found = results(experiment, runner.places, version)
    part = f"-from-{options.first_seed}" if options.first_seed else ""
    folder = options.out / f"{name}-{options.task}-{options.positions}-{options.budget}{part}"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RESULTS_FILE, found)
    text = results_text(found)
    write_text(folder / TABLE_FILE, text + "\n")
    work = Work(runner, made, _again(name, options, iterations), time.monotonic() - began_s)
    write_page(experiment_page(experiment, found, work), folder / REPORT_FILE)
    print(f"{text}\nresults: {folder / RESULTS_FILE}\nreport: {folder / REPORT_FILE}")


def _again(name: ExperimentName, options: ExperimentOptions, iterations: int) -> str:
    """The command line that the options came from."""
    more = ("--iterations", str(iterations)) if iterations > 1 else ()
    more += ("--first-seed", str(options.first_seed)) if options.first_seed else ()
    return "./dexpie " + shlex.join(
        (
            "experiment", name, "--task", options.task, "--out", str(options.out), "--budget", options.budget,
            "--seeds", str(options.seeds), "--workers", str(options.workers),
            "--positions", options.positions, *more,
        )
    )  # fmt: skip


def _plan_text(runner: Runner) -> str:
    done = runner.done()
    lines = [
        f"  {step.name:<24}{'done' if step.name in done else f'about {step.estimate_s:.0f} s'}"
        for step in runner.steps
    ]
    left = f"{len(runner.steps) - len(done)} of {len(runner.steps)} steps are left"
    return "\n".join(
        [*lines, f"{left}, about {runner.estimate_s() / 60:.0f} min with {runner.workers} at once"]
    )
