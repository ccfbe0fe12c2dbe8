"""Results of an experiment: pooled rates and paired differences over all training seeds, JSON and a table."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dexpie.experiments.pipelines import Experiment
from dexpie.table import table
from dexpie_training.evaluate import EvaluationReport, read_report
from dexpie_training.proportions import PairedCounts, wilson_interval

FORMAT, VERSION = "dexpie-experiment", 4
RATE_HEADER = ("arm", "successes", "rate", "95 % interval", "by seed")
DIFFERENCE_HEADER = ("difference", "points", "95 % interval", "p exact")


def results(experiment: Experiment, places: Mapping[str, str], code_version: str) -> dict[str, Any]:
    """Rates of every arm with intervals, and its difference from the others, trial by trial."""
    arms = {arm: _reports(experiment, arm, places) for arm in experiment.arms}
    return {
        "format": FORMAT,
        "version": VERSION,
        "experiment": experiment.name,
        "task": experiment.task,
        "positions": experiment.positions,
        "seeds": list(experiment.replicates),
        "budget": asdict(experiment.budget),
        "code_versions": [code_version],
        "steps": dict(places),
        "arms": {arm: _rate(reports) for arm, reports in arms.items()},
        "differences": [
            _difference(arm, other, arms[arm], arms[other])
            for i, arm in enumerate(experiment.arms)
            for other in experiment.arms[:i]
        ],
    }


def _reports(experiment: Experiment, arm: str, places: Mapping[str, str]) -> list[EvaluationReport]:
    return [read_report(Path(places[experiment.report(arm, seed)])) for seed in experiment.replicates]


def _rate(reports: list[EvaluationReport]) -> dict[str, Any]:
    return rate(sum(len(report.results) for report in reports), [report.successes for report in reports])


def rate(trials: int, by_seed: list[int]) -> dict[str, Any]:
    """What is said of an arm that had so many trials in all and so many successes with each training seed."""
    successes = sum(by_seed)
    return {
        "successes": successes,
        "trials": trials,
        "rate": successes / trials,
        "interval": list(wilson_interval(successes, trials)),
        "by_seed": by_seed,
    }


def _difference(
    arm: str, other: str, first: list[EvaluationReport], second: list[EvaluationReport]
) -> dict[str, Any]:
    """Pairs are trials of the same training seed and initial state."""
    outcomes = [[r.success for report in side for r in report.results] for side in (first, second)]
    return difference(arm, other, PairedCounts.of(*outcomes))


def difference(arm: str, other: str, counts: PairedCounts) -> dict[str, Any]:
    """What is said of two arms."""
    return {
        "arm": arm,
        "other": other,
        "pairs": asdict(counts),
        "points": 100.0 * counts.difference,
        "interval": [100.0 * x for x in counts.interval],
        "p_value": counts.p_value,
    }


def rate_rows(found: Mapping[str, Any], of: str) -> list[tuple[str, ...]]:
    """Cells under RATE_HEADER, an arm a row; `of` stands between successes and trials."""
    return [
        (arm, f"{r['successes']}{of}{r['trials']}", f"{100 * r['rate']:.0f} %", _span(r["interval"], 100.0),
         " ".join(map(str, r["by_seed"])))
        for arm, r in found["arms"].items()
    ]  # fmt: skip


def difference_rows(found: Mapping[str, Any], p_text: Callable[[float], str]) -> list[tuple[str, ...]]:
    """Cells under DIFFERENCE_HEADER, a pair of arms a row."""
    return [
        (f"{d['arm']} - {d['other']}", f"{d['points']:+.0f}", _span(d["interval"], 1.0), p_text(d["p_value"]))
        for d in found["differences"]
    ]


def positions_text(found: Mapping[str, Any]) -> str:
    """Where rollouts and trials were, for people."""
    return f"{found['positions'].replace('_', '-')} positions"


def results_text(found: Mapping[str, Any]) -> str:
    """The table that a person reads."""
    seeds = ", ".join(map(str, found["seeds"]))
    return "\n".join(
        [
            f"{found['experiment']} on {found['task']}, {positions_text(found)}, training seeds {seeds}:",
            table(RATE_HEADER, rate_rows(found, "/")),
            "",
            table(DIFFERENCE_HEADER, difference_rows(found, lambda p: f"{p:.3g}")),
        ]
    )


def _span(interval: list[float], scale: float) -> str:
    return f"{scale * interval[0]:.0f} to {scale * interval[1]:.0f}"
