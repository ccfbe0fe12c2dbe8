"""The report of `dexpie experiment`: rates and differences over all training seeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dexpie.experiments.pipelines import Experiment
from dexpie.experiments.results import (
    DIFFERENCE_HEADER,
    RATE_HEADER,
    difference_rows,
    positions_text,
    rate_rows,
)
from dexpie.report.page import Page, Section, Table, Text
from dexpie.report.sections import Work, progress_section, work_sections
from dexpie_training.comparison import Comparison, p_text
from dexpie_training.evaluate import read_report


def experiment_page(experiment: Experiment, found: Mapping[str, Any], work: Work) -> Page:
    """Page of the results `found`."""
    return Page(
        f"Experiment {experiment.name}: {experiment.task}",
        "; ".join(f"{arm} {r['successes']} of {r['trials']}" for arm, r in found["arms"].items()),
        (
            _success_section(found),
            *(_seed_section(experiment, work, seed) for seed in experiment.replicates),
            *work_sections(work),
        ),
    )


def _success_section(found: Mapping[str, Any]) -> Section:
    note = (
        f"Rollouts and trials at {positions_text(found)}, training seeds "
        f"{', '.join(map(str, found['seeds']))}. Pairs are trials of one training seed and "
        "initial state. Intervals: Wilson's for rates, Newcombe's for paired differences; p: McNemar's exact "
        "test, not adjusted for the number of differences."
    )
    return Section(
        "Success",
        (
            Text(note),
            Table("Success rates", RATE_HEADER, rate_rows(found, " of ")),
            Table(
                "Paired differences",
                DIFFERENCE_HEADER,
                difference_rows(found, lambda p: p_text(p).removeprefix("= ")),
            ),
        ),
    )


def _seed_section(experiment: Experiment, work: Work, seed: int) -> Section:
    reports = {
        arm: read_report(Path(work.runner.places[experiment.report(arm, seed)])) for arm in experiment.arms
    }
    return Section(f"Success by stage, seed {seed}", progress_section(Comparison.of(reports)).parts)
