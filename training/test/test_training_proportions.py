"""Intervals and tests against published values, hand-computed ones, scipy, and their own meaning."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from dexpie_training.proportions import (
    PairedCounts,
    holm_adjusted,
    mcnemar_exact,
    newcombe_paired_interval,
    wilson_interval,
)

counts = st.tuples(*[st.integers(0, 60)] * 4).filter(any).map(lambda t: PairedCounts(*t))


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


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),  # Newcombe 1998, method 10
        ((1, 1, 7, 12), -0.507, -0.026),  # Fagerland, Lydersen and Laake 2014, square and add
        ((59, 6, 16, 80), -0.1186, -0.0046),  # R package contingencytables, chapter 8, the same
    ],
)
def test_newcombe_published_values(table: tuple[int, int, int, int], low: float, high: float) -> None:
    digits = len(str(low).lstrip("-")) - 2
    found = newcombe_paired_interval(PairedCounts(*table))
    assert tuple(round(x, digits) for x in found) == (low, high)


def test_newcombe_by_hand() -> None:
    """One method never fails, so phi is 0: 10 of 10 (0.7225 to 1) against 6 of 10 (0.3127 to 0.8318).

    0.4 - sqrt(0.2775^2 + 0.2318^2) = 0.4 - 0.3616, and 0.4 + sqrt(0 + 0.2873^2) = 0.6873.
    """
    assert newcombe_paired_interval(PairedCounts(6, 4, 0, 0)) == pytest.approx((0.0384, 0.6873), abs=2e-4)


def test_pairing_narrows_the_interval_where_outcomes_go_together() -> None:
    """The same rates, 35 and 25 of 50: hard and easy trials shared, then as good as independent."""
    together, apart = PairedCounts(25, 10, 0, 15), PairedCounts(18, 17, 7, 8)
    assert together.difference == apart.difference == 0.2
    (low, high), (wide_low, wide_high) = together.interval, apart.interval
    assert low > 0 and high - low < 0.75 * (wide_high - wide_low)


@given(counts)
def test_interval_holds_the_difference_and_turns_with_the_order(table: PairedCounts) -> None:
    low, high = table.interval
    assert -1.0 <= low <= table.difference <= high <= 1.0
    turned = PairedCounts(table.both, table.second_only, table.first_only, table.neither)
    assert turned.interval == pytest.approx((-high, -low), abs=1e-12)
    failures = PairedCounts(table.neither, table.second_only, table.first_only, table.both)
    assert failures.interval == pytest.approx((-high, -low), abs=1e-12)


def test_interval_covers_the_truth_95_times_in_100() -> None:
    """50 trials, difficulty shared by both methods: true difference 0.18."""
    drawn = np.random.default_rng(0).multinomial(50, [0.42, 0.26, 0.08, 0.24], size=2000)
    intervals = [PairedCounts(*map(int, row)).interval for row in drawn]
    covered = np.mean([low <= 0.18 <= high for low, high in intervals])
    assert 0.935 < covered < 0.975


@given(st.integers(0, 80), st.integers(0, 80))
def test_mcnemar_equals_the_binomial_test(first: int, second: int) -> None:
    expected = binomtest(first, first + second, 0.5).pvalue if first + second else 1.0
    assert mcnemar_exact(first, second) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_by_hand() -> None:
    """9 discordant trials, 1 of them the other way: 2 (1 + 9) / 2^9; concordant trials say nothing."""
    assert mcnemar_exact(8, 1) == 20 / 512
    assert PairedCounts(0, 8, 1, 0).p_value == PairedCounts(400, 8, 1, 300).p_value == 20 / 512


def test_holm_by_hand() -> None:
    """0.01 x 4, 0.02 x 3, 0.03 x 2 = 0.06, and 0.04 x 1 raised to the one before."""
    assert holm_adjusted([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm_adjusted([0.8, 0.9]) == [1.0, 1.0] and holm_adjusted([]) == []


def test_counting_pairs() -> None:
    first, second = [True, True, False, False, True], [True, False, True, False, False]
    assert PairedCounts.of(first, second) == PairedCounts(1, 2, 1, 1)
    with pytest.raises(ValueError, match="zip"):
        PairedCounts.of(first, second[:-1])
    with pytest.raises(ValueError, match="nor all be 0"):
        PairedCounts(0, 0, 0, 0)
