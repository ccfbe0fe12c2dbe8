"""Intervals against hand-computed values and scipy; reports are whole and paired by seed."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from dexpie_core.errors import UsageError
from dexpie_training.evaluate import TrialResult, summarise_trials, wilson_interval, write_report


def trial(seed: int, success: bool = True) -> TrialResult:
    return TrialResult(seed, success, "success" if success else "failure", "", 100, 4.0)


def test_wilson_hand_values() -> None:
    """40 of 50: centre (0.8 + 0.0384) / 1.0768 = 0.7786, half width 0.1088."""
    low, high = wilson_interval(40, 50)
    assert low == pytest.approx(0.670, abs=5e-4) and high == pytest.approx(0.888, abs=5e-4)
    assert wilson_interval(0, 10)[0] == 0.0 and wilson_interval(10, 10)[1] == 1.0


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipy(case: tuple[int, int]) -> None:
    successes, trials = case
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_report(tmp_path: Path) -> None:
    trials = [trial(seed, seed % 5 != 0) for seed in range(50)]
    report = summarise_trials(trials, {"policy_id": "bc-1", "task": "bottle"})
    assert report.successes == 40 and "40 of 50" in str(report) and "67 to 89 %" in str(report)
    content = json.loads(write_report(report, tmp_path / "new" / "report.json").read_text())
    assert content["success_rate"] == 0.8 and content["wilson_95"][0] == pytest.approx(0.670, abs=5e-4)
    assert [r["seed"] for r in content["results"]] == list(range(50))


def test_reports_refuse_what_would_mislead(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        summarise_trials([])
    with pytest.raises(ValueError, match="occurs twice"):
        summarise_trials([trial(1), trial(1)])
    (tmp_path / "report.json").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write_report(summarise_trials([trial(1)]), tmp_path / "report.json")
    assert (tmp_path / "report.json").read_text() == "mine"
