"""Success rates with intervals: trials by seeds, the same initial states for every policy."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dexpie_core.errors import UsageError
from dexpie_training.serial import write_json

Z_95: Final = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class TrialResult:
    """One trial. steps are executor ticks; duration_s is simulated or real time of the trial."""

    seed: int
    success: bool
    outcome: str
    reason: str
    steps: int
    duration_s: float


def wilson_interval(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927); z = 1.96 for 95 %."""
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    p, z2 = successes / trials, z * z
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = z / (1 + z2 / trials) * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials))
    low = 0.0 if successes == 0 else max(0.0, centre - half)  # exact at the ends, free of rounding
    return low, 1.0 if successes == trials else min(1.0, centre + half)


@dataclass(frozen=True)
class EvaluationReport:
    """Trials of one policy in one setting."""

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

    def to_json(self) -> dict[str, Any]:
        """What the report file holds."""
        low, high = self.interval
        return {
            "format": "dexpie-evaluation",
            "version": 1,
            "settings": self.settings,
            "trials": len(self.results),
            "successes": self.successes,
            "success_rate": self.rate,
            "wilson_95": [low, high],
            "results": [asdict(result) for result in self.results],
        }

    def __str__(self) -> str:
        low, high = self.interval
        named = " ".join(str(self.settings[k]) for k in ("policy_id", "task") if k in self.settings)
        mean_s = sum(r.duration_s for r in self.results) / len(self.results)
        return (
            f"{named or 'policy'}: {self.successes} of {len(self.results)} succeeded, "
            f"{100 * self.rate:.0f} % (95 % interval {100 * low:.0f} to {100 * high:.0f} %), "
            f"{mean_s:.1f} s a trial on average"
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


def write_report(report: EvaluationReport, out: Path) -> Path:
    """Write the JSON file, whole or not at all; an existing one is refused."""
    if out.exists():
        raise UsageError(f"--out {out} exists already; choose another file or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, report.to_json())
    return out
