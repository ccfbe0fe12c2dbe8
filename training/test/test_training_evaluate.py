"""Reports are whole, remember their initial states, and are compared only when these are the same."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.comparison import Comparison, difference_line, p_text
from dexpie_training.evaluate import (
    EvaluationReport,
    TrialResult,
    paired_counts,
    read_report,
    summarise_trials,
    write_report,
)
from dexpie_training.proportions import PairedCounts
from dexpie_training.trial_log import TrialLog

STEPS = ("reach", "carry")
SETTINGS = {"policy_id": "bc-1", "task": "bottle", "task_steps": list(STEPS)}


def trial(seed: int, success: bool = True) -> TrialResult:
    """Trials whose seed is a multiple of 3 fail while reaching, others while carrying."""
    reached = 2 if success else int(seed % 3 > 0)
    outcome = "success" if success else "failure"
    reason = "" if success else "time-out"
    return TrialResult(
        seed, success, outcome, reason, 100, 4.0 if success else 6.0, reached, {"x": seed / 100}
    )


def report(fails: set[int], seeds: range = range(50), **settings: Any) -> EvaluationReport:
    return summarise_trials([trial(seed, seed not in fails) for seed in seeds], {**SETTINGS, **settings})


def test_report(tmp_path: Path) -> None:
    made = report(set(range(0, 50, 5)))
    assert made.successes == 40 and "40 of 50" in str(made) and "67 to 89 %" in str(made)
    path = write_report(made, tmp_path / "new" / "report.json")
    content = json.loads(path.read_text())
    assert content["success_rate"] == 0.8 and content["wilson_95"][0] == pytest.approx(0.670, abs=5e-4)
    assert [r["seed"] for r in content["results"]] == list(range(50))
    assert content["reached"] == {"reach": 50, "carry": 46, "success": 40}  # 0, 15, 30, 45 never carried
    assert content["failures"] == {"time-out": 10}
    assert content["mean_duration_of_successes_s"] == 4.0 and content["mean_duration_s"] == pytest.approx(4.4)
    assert read_report(path) == made
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]


def test_reports_refuse_what_would_mislead(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        summarise_trials([])
    with pytest.raises(ValueError, match="occurs twice"):
        summarise_trials([trial(1), trial(1)])
    (tmp_path / "report.json").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write_report(summarise_trials([trial(1)]), tmp_path / "report.json")
    assert (tmp_path / "report.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"format": "other"}, UsageError, "is no report"),
        ({"version": 1}, UsageError, "does not record initial states; evaluate again"),
        ({"results": [{"seed": 1}]}, UsageError, "is not a whole report"),
        ({"successes": 50}, DexpieError, "was changed"),
        ({"starts_sha256": "0" * 64}, DexpieError, "was changed"),
    ],
)
def test_a_damaged_report_is_refused(
    tmp_path: Path, change: dict[str, object], error: type[Exception], message: str
) -> None:
    path = write_report(report({3}), tmp_path / "report.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(error, match=f"report.json: .*{message}"):
        read_report(path)


def test_paired_reports_are_counted_trial_by_trial() -> None:
    better, worse = report({1, 2}), report({2, 3, 4, 5})
    assert paired_counts(better, worse, ("a", "b")) == PairedCounts(45, 3, 1, 1)
    line = difference_line(better, worse, ("a", "b"))
    assert line.startswith("a - b: +4 points (95 % interval -") and "3 trials only the first, 1 only" in line
    assert line.endswith("p = 0.625 (McNemar, exact)")
    assert (p_text(0.0004), p_text(0.0005), p_text(1.0)) == ("< 0.001", "= 0.001", "= 1.000")


def test_what_is_not_paired_is_not_compared() -> None:
    """As many trials and the same rate would look comparable; the initial states decide."""
    first = report({1})
    other_starts = replace(
        first, results=(*first.results[:7], replace(first.results[7], start={"x": 0.5}), *first.results[8:])
    )
    for other, said in (
        (report({1}, range(1, 51)), "of 50 and 50 seeds they share 49; evaluate one with --beside"),
        (report({1}, task="lid"), "their tasks are bottle and lid"),
        (other_starts, "1 initial states differ, the first of seed 7"),
    ):
        with pytest.raises(UsageError, match=f"a and b are not paired: {said}"):
            paired_counts(first, other, ("a", "b"))
        with pytest.raises(UsageError, match="b and a are not paired"):
            Comparison.of({"a": first, "b": other})


def test_the_policy_and_its_setting_do_not_break_the_pairing() -> None:
    other = report({1, 2}, policy_id="dexpie-2", latency_ms=400.0, inference="sync")
    assert other.starts_sha256 == report(set()).starts_sha256


def test_comparison_tables() -> None:
    reports = {"bc": report(set(range(20))), "recap": report(set(range(8))), "dexpie": report({0})}
    comparison = Comparison.of(reports)
    assert [row[:3] for row in comparison.rate_rows()] == [
        ["bc", "30 of 50", "60 %"], ["recap", "42 of 50", "84 %"], ["dexpie", "49 of 50", "98 %"]
    ]  # fmt: skip
    rows = comparison.difference_rows()
    assert [row[0] for row in rows] == ["recap - bc", "dexpie - bc", "dexpie - recap"]
    # 12, 19 and 7 trials, all of them one way: 2 / 2^12 and so on; Holm takes them times 2, 3 and 1.
    assert [(row[3], row[4]) for row in rows] == [("12", "0"), ("19", "0"), ("7", "0")]
    assert [d.p_adjusted for d in comparison.differences] == pytest.approx([2**-10, 3 * 2**-18, 2**-6])
    assert comparison.reached_rows()[0] == ["bc", "50", "43", "30"]
    assert Comparison.of({"a": reports["bc"], "b": report({1}, task_steps=[])}).reached_rows() == []


def test_finished_trials_outlive_an_interruption(tmp_path: Path) -> None:
    out = tmp_path / "new" / "e.json"
    with TrialLog(out, SETTINGS) as log:
        log.add(trial(1))
        log.add(trial(2, success=False))
        with pytest.raises(UsageError, match=r"e.json.partial: another evaluation is writing it"):
            TrialLog(out, SETTINGS).__enter__()
    with log.path.open("a") as file:
        file.write('{"seed": 3, "succ')  # killed while it wrote
    with TrialLog(out, SETTINGS) as log:
        assert log.results == [trial(1), trial(2, success=False)]
        log.add(trial(3))
    with TrialLog(out, SETTINGS) as log:
        assert log.results == [trial(1), trial(2, success=False), trial(3)]
        log.remove()
    assert list(out.parent.iterdir()) == []


def test_trials_of_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    out = tmp_path / "e.json"
    with TrialLog(out, SETTINGS) as log:
        log.add(trial(1))
    before = log.path.read_text()
    with pytest.raises(UsageError, match="with another policy_id; remove it or choose another --out"):
        TrialLog(out, {**SETTINGS, "policy_id": "bc-2"}).__enter__()
    assert log.path.read_text() == before
    log.path.write_text("{not JSON}\n")
    with pytest.raises(UsageError, match="cannot be read"):
        TrialLog(out, SETTINGS).__enter__()


def test_an_evaluation_that_came_to_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), TrialLog(tmp_path / "e.json", SETTINGS):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
