"""Sections that the report of any experiment has: success, how far trials came, time, commands, places."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dexpie.experiments.runner import Runner
from dexpie.report.machine import machine_rows
from dexpie.report.page import Code, Missing, Part, Section, Table, Text
from dexpie.report.pictures import copies, picture
from dexpie_core.errors import DexpieError
from dexpie_training.comparison import DIFFERENCE_HEADER, RATE_HEADER, Comparison


def success_section(comparison: Comparison, reports: Mapping[str, Path]) -> Section:
    """Rates and paired differences of the reports, as tables and as a picture."""
    from dexpie_training.plots.compare import PlotCompareOptions, run_plot_compare

    first = next(iter(comparison.reports.values()))
    trials, names = len(first.results), ", ".join(comparison.reports)
    return Section(
        "Success",
        (
            Text(
                f"{trials} trials a policy, from the same {trials} initial states, which no training saw. "
                "Intervals: Wilson's for rates, Newcombe's for paired differences; p: McNemar's exact test, "
                "adjusted (Holm) for the number of differences."
            ),
            Table("Success rates", RATE_HEADER, comparison.rate_rows()),
            Table("Paired differences", DIFFERENCE_HEADER, comparison.difference_rows()),
            picture(
                "The picture of the comparison",
                lambda out: run_plot_compare(PlotCompareOptions(copies(reports, out.parent), out)),
                f"Success rates of {names} with 95 % intervals, their paired differences, and the share of "
                "trials that began each step of the task",
            ),
        ),
    )


def progress_section(comparison: Comparison, collected: Part | None = None) -> Section:
    """How far the trials came, step by step of the task, and why they failed."""
    rows = comparison.reached_rows()
    if not rows:
        return Section("Success by stage", (Missing("How far trials came", "reports name other steps"),))
    names = next(iter(comparison.reports.values())).reached
    failures = [
        (name, reason, count)
        for name, report in comparison.reports.items()
        for reason, count in report.failures.items()
    ]
    parts: list[Part] = [
        Table("Trials that began each step of the task", ("policy", *names), rows),
        Table("Why trials failed", ("policy", "reason", "trials"), failures),
    ]
    return Section("Success by stage", (*parts, collected) if collected else tuple(parts))


def curves_section(actors: Mapping[str, Path], critics: Mapping[str, Path]) -> Section:
    """Learning curves of actors in one picture, of critics in another."""
    from dexpie_training.plots.curves import PlotCurvesOptions, run_plot_curves

    def drawn(kind: str, runs: Mapping[str, Path]) -> Part:
        return picture(
            f"The learning curve of the {kind}",
            lambda out: run_plot_curves(PlotCurvesOptions(copies(runs, out.parent), out)),
            f"Loss of {', '.join(runs)} over optimiser steps, in training and on held-out episodes",
            f"{kind.capitalize()}: {', '.join(runs)}",
        )

    return Section("Learning curves", (drawn("actors", actors), drawn("critic", critics)))


@dataclass(frozen=True)
class Work:
    """A run of an experiment's steps.

    made: names of steps that were there before. again: the command that does it all; whole_s: the time it
    took. places: what lies where beside the outputs of the steps.
    """

    runner: Runner
    made: set[str]
    again: str
    whole_s: float
    places: tuple[tuple[str, Path], ...] = ()


def work_sections(work: Work) -> tuple[Section, ...]:
    """Time, commands, places, code and machine."""
    runner = work.runner
    seconds = [(s.name, None if s.name in work.made else runner.seconds(s)) for s in runner.steps]
    places = [*work.places, *runner.places.items()]
    return (
        time_section(seconds, work.whole_s),
        command_section([runner.arguments(step) for step in runner.steps], work.again),
        Section(
            "Where everything lies, and what made it",
            (
                Table("Places", ("what", "path"), places),
                Table("Made by", ("what", "value"), [("code version", runner.code_version), *machine_rows()]),
            ),
        ),
    )


def time_section(seconds: Sequence[tuple[str, float | None]], whole_s: float) -> Section:
    """How long each step took; None: made by another run of the program."""
    rows = [(name, "made before" if s is None else f"{s:.0f} s") for name, s in seconds]
    note = f"This call took {whole_s / 60:.1f} minutes; steps that need not wait for one another run at once."
    return Section("Time", (Text(note), Table("Steps", ("step", "time"), rows)))


def command_section(commands: Sequence[Sequence[str]], again: str) -> Section:
    """What was run, to be typed."""
    lines = tuple("./dexpie " + shlex.join(arguments) for arguments in commands)
    return Section(
        "Exact commands", (Text("All of it again:"), Code((again,)), Text("Step by step:"), Code(lines))
    )


def verdict(comparison: Comparison) -> str:
    """The last policy against the first, in a sentence."""
    reports = list(comparison.reports.items())
    (first, before), (last, after) = reports[0], reports[-1]
    difference = next((d for d in comparison.differences if (d.name, d.other) == (last, first)), None)
    if difference is None:
        raise DexpieError("there is nothing to compare: give two policies or more")
    low, high = (100 * x for x in difference.counts.interval)
    return (
        f"{first}: {before.successes} of {len(before.results)} ({100 * before.rate:.0f} %). "
        f"{last}: {after.successes} of {len(after.results)} ({100 * after.rate:.0f} %). "
        f"Difference {100 * difference.counts.difference:+.0f} points, "
        f"95 % interval {low:+.0f} to {high:+.0f}, p = {difference.counts.p_value:.2g}."
    )
