"""Reports of evaluations: trials from recorded initial states, the same ones for every policy."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.proportions import PairedCounts, wilson_interval
from dexpie_training.serial import write_json

FORMAT: Final = "dexpie-evaluation"
VERSION: Final = 2


@dataclass(frozen=True)
class TrialResult:
    """One trial.

    steps: executor ticks. duration_s: simulated or real time of the trial. reached: index of the furthest
    step of the task that was begun, their number on success. start: the scene before the first command
    (m, unit vectors), by name, to 1e-5; empty where nobody knows.
    """

    seed: int
    success: bool
    outcome: str
    reason: str
    steps: int
    duration_s: float
    reached: int = 0
    start: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluationReport:
    """Trials of one policy in one setting, in order of their seeds.

    settings["task_steps"], where there are some, names the steps that `reached` counts.
    """

    settings: dict[str, Any]
    results: tuple[TrialResult, ...]

    @property
    def successes(self) -> int:
        return sum(r.success for r in self.results)

    @property
    def rate(self) -> float:
        return self.successes / len(self.results)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the success rate."""
        return wilson_interval(self.successes, len(self.results))

    @property
    def starts_sha256(self) -> str:
        """Hash of task, seeds and initial states: reports that share it may be compared trial by trial."""
        starts = [[r.seed, r.start] for r in self.results]
        text = json.dumps([self.settings.get("task"), starts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def reached(self) -> dict[str, int]:
        """How many trials began each step of the task, and how many did it all ("success")."""
        names = [*self.settings.get("task_steps", ()), "success"]
        return {name: sum(r.reached >= i for r in self.results) for i, name in enumerate(names)}

    @property
    def failures(self) -> dict[str, int]:
        """Why trials failed, the most frequent reason first."""
        return dict(
            Counter(r.reason or "no reason given" for r in self.results if not r.success).most_common()
        )

    def mean_duration_s(self, success: bool | None = None) -> float | None:
        """Mean length of the trials, or of those with this outcome; None where there are none."""
        chosen = [r.duration_s for r in self.results if success is None or r.success == success]
        return sum(chosen) / len(chosen) if chosen else None

    def to_json(self) -> dict[str, Any]:
        """What the report file holds."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "settings": self.settings,
            "trials": len(self.results),
            "successes": self.successes,
            "success_rate": self.rate,
            "wilson_95": list(self.interval),
            "mean_duration_s": self.mean_duration_s(),
            "mean_duration_of_successes_s": self.mean_duration_s(success=True),
            "reached": self.reached,
            "failures": self.failures,
            "starts_sha256": self.starts_sha256,
            "results": [asdict(result) for result in self.results],
        }

    def __str__(self) -> str:
        low, high = self.interval
        named = " ".join(str(self.settings[k]) for k in ("policy_id", "task") if k in self.settings)
        return (
            f"{named or 'policy'}: {self.successes} of {len(self.results)} succeeded, "
            f"{100 * self.rate:.0f} % (95 % interval {100 * low:.0f} to {100 * high:.0f} %), "
            f"{self.mean_duration_s():.1f} s a trial on average"
        )


def summarise_trials(
    results: Sequence[TrialResult], settings: dict[str, Any] | None = None
) -> EvaluationReport:
    """Report over trials, in order of their seeds; a seed may occur once only."""
    if not results:
        raise UsageError("no trials to summarise; --trials must be at least 1")
    ordered = tuple(sorted(results, key=lambda r: r.seed))
    seeds = [r.seed for r in ordered]
    if len(set(seeds)) != len(seeds):
        raise ValueError("a seed occurs twice: trials must be independent")
    return EvaluationReport(dict(settings or {}), ordered)


def check_out(out: Path) -> None:
    """Refuse to write over a file."""
    if out.exists():
        raise UsageError(f"--out {out} exists already; choose another file or remove it")


def write_report(report: EvaluationReport, out: Path) -> Path:
    """Write the JSON file, whole or not at all; an existing one is refused."""
    check_out(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, report.to_json())
    return out


def read_report(path: Path) -> EvaluationReport:
    """A report as written; UsageError where the file is none, DexpieError where it was changed since."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as a report of `dexpie evaluate` ({error})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UsageError(f"{path}: is no report of `dexpie evaluate`")
    if content.get("version") != VERSION:
        raise UsageError(
            f"{path}: version {content.get('version')} does not record initial states; evaluate again"
        )
    try:
        report = summarise_trials([TrialResult(**r) for r in content["results"]], content["settings"])
        derived = report.to_json()
        agrees = all(content[key] == derived[key] for key in ("trials", "successes", "starts_sha256"))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: is not a whole report of `dexpie evaluate` ({error})") from None
    if not agrees:
        raise DexpieError(f"{path}: its trials and its figures disagree, it was changed; evaluate again")
    return report


def paired_counts(first: EvaluationReport, second: EvaluationReport, names: tuple[str, str]) -> PairedCounts:
    """What the trials of two reports came to pair by pair; UsageError where they are not paired."""
    if first.starts_sha256 != second.starts_sha256:
        raise UsageError(f"{names[0]} and {names[1]} are not paired: {_what_differs(first, second)}")
    return PairedCounts.of([r.success for r in first.results], [r.success for r in second.results])


def _what_differs(first: EvaluationReport, second: EvaluationReport) -> str:
    tasks = [str(report.settings.get("task")) for report in (first, second)]
    if tasks[0] != tasks[1]:
        return f"their tasks are {tasks[0]} and {tasks[1]}"
    seeds = [{r.seed for r in report.results} for report in (first, second)]
    if seeds[0] != seeds[1]:
        shared = len(seeds[0] & seeds[1])
        return (
            f"of {len(seeds[0])} and {len(seeds[1])} seeds they share {shared}; "
            "evaluate one with --beside the other's report"
        )
    differ = [a.seed for a, b in zip(first.results, second.results, strict=True) if a.start != b.start]
    return (
        f"{len(differ)} initial states differ, the first of seed {differ[0]}; "
        "evaluate one with --beside the other's report"
    )
