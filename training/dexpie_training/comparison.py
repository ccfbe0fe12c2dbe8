"""Several evaluations side by side: rates, paired differences, and how far the trials came. Pure."""

from dataclasses import dataclass
from itertools import combinations

from dexpie_training.evaluate import EvaluationReport, paired_counts
from dexpie_training.proportions import PairedCounts, holm_adjusted


@dataclass(frozen=True)
class Difference:
    """Method `name` against method `other`; p_adjusted: for the number of differences of the comparison."""

    name: str
    other: str
    counts: PairedCounts
    p_adjusted: float


@dataclass(frozen=True)
class Comparison:
    """Reports of the same trials by name, in order, and every difference, the later against the earlier."""

    reports: dict[str, EvaluationReport]
    differences: tuple[Difference, ...]

    @classmethod
    def of(cls, reports: dict[str, EvaluationReport]) -> "Comparison":
        """Compare; UsageError names two that are not paired."""
        pairs = [(name, other) for other, name in combinations(reports, 2)]
        counts = [paired_counts(reports[a], reports[b], (a, b)) for a, b in pairs]
        adjusted = holm_adjusted([c.p_value for c in counts])
        found = (Difference(*pair, c, p) for pair, c, p in zip(pairs, counts, adjusted, strict=True))
        return cls(dict(reports), tuple(found))

    def rate_rows(self) -> list[list[str]]:
        """A row a report: name, successes, rate, interval, and mean length of the successes."""
        return [[name, *_rate_cells(report)] for name, report in self.reports.items()]

    def difference_rows(self) -> list[list[str]]:
        """A row a difference: names, points, interval, trials that one alone does, p value and adjusted."""
        return [[f"{d.name} - {d.other}", *_difference_cells(d)] for d in self.differences]

    def reached_rows(self) -> list[list[str]]:
        """A row a report: name, and how many trials began each step of the task; empty where unknown."""
        if len({tuple(report.reached) for report in self.reports.values()}) > 1:
            return []
        return [[name, *map(str, r.reached.values())] for name, r in self.reports.items()]


RATE_HEADER = ("method", "successes", "rate", "95 % interval", "mean length of successes")
DIFFERENCE_HEADER = (
    "difference", "points", "95 % interval", "first alone", "second alone", "p exact", "p adjusted"
)  # fmt: skip


def difference_line(report: EvaluationReport, other: EvaluationReport, names: tuple[str, str]) -> str:
    """One line on two reports: paired difference, its interval, and McNemar's exact test."""
    counts = paired_counts(report, other, names)
    low, high = (100 * x for x in counts.interval)
    return (
        f"{names[0]} - {names[1]}: {100 * counts.difference:+.0f} points (95 % interval {low:+.0f} to "
        f"{high:+.0f}), {counts.first_only} trials only the first, {counts.second_only} only the second, "
        f"p {p_text(counts.p_value)} (McNemar, exact)"
    )


def p_text(p_value: float) -> str:
    """A p value in three decimals, "< 0.001" where that is 0."""
    return f"= {p_value:.3f}" if p_value >= 0.0005 else "< 0.001"


def _rate_cells(report: EvaluationReport) -> list[str]:
    low, high = report.interval
    length_s = report.mean_duration_s(success=True)
    return [
        f"{report.successes} of {len(report.results)}",
        f"{100 * report.rate:.0f} %",
        f"{100 * low:.0f} to {100 * high:.0f} %",
        "" if length_s is None else f"{length_s:.1f} s",
    ]


def _difference_cells(difference: Difference) -> list[str]:
    counts = difference.counts
    low, high = counts.interval
    return [
        f"{100 * counts.difference:+.0f}",
        f"{100 * low:+.0f} to {100 * high:+.0f}",
        str(counts.first_only),
        str(counts.second_only),
        p_text(counts.p_value).removeprefix("= "),
        p_text(difference.p_adjusted).removeprefix("= "),
    ]
