"""Rewards, returns to go and soft targets: by hand, against loops, and where the classic mistakes show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_core.errors import DexpieError
from dexpie_training.returns import (
    EpisodeLayout,
    ReturnConfig,
    ValueBins,
    returns_to_go,
    rewards,
    with_length,
)

# A success with T = 4, then a failure with T = 2.
BY_HAND = EpisodeLayout(np.array([5, 3]), np.array([True, False]))
LAYOUTS = st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=8).map(
    lambda episodes: EpisodeLayout(np.array([n for n, _ in episodes]), np.array([s for _, s in episodes]))
)


def test_rewards_by_hand() -> None:
    assert rewards(BY_HAND, ReturnConfig(10)).tolist() == [-1, -1, -1, -1, 0, -1, -1, -10]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ("clip", [-1.0, -1.0, -1.0]),
        ("unclipped", [-12 / 20, -11 / 20, -10 / 20]),
        ("decay", [-1.0, -1.0, -1.0]),  # -(2 + 9.801) / 10, -(1 + 9.9) / 10, -10 / 10, clipped
    ],
)
def test_returns_by_hand(failure, expected: list[float]) -> None:
    found = returns_to_go(BY_HAND, ReturnConfig(10, failure))
    scale = 0.5 if failure == "unclipped" else 1.0
    np.testing.assert_allclose(found[:5], scale * np.array([-0.4, -0.3, -0.2, -0.1, 0.0]), atol=1e-15)
    np.testing.assert_allclose(found[5:], expected, atol=1e-15)


def test_decay_makes_the_early_steps_of_a_long_failure_cheap() -> None:
    """500 steps before a failure, L = 1000: -(500 + 1000 * 0.99^500) / 1000, where the paper says -1."""
    layout = EpisodeLayout(np.array([501]), np.array([False]))
    decay = returns_to_go(layout, ReturnConfig(1000, "decay"))
    assert decay[0] == pytest.approx(-0.5065705, abs=1e-7) and decay[-1] == -1.0
    assert set(returns_to_go(layout, ReturnConfig(1000, "clip"))) == {-1.0}


@given(layout=LAYOUTS, failure=st.sampled_from(["clip", "decay", "unclipped"]))
def test_returns_against_a_loop_over_rewards(layout: EpisodeLayout, failure) -> None:
    config = with_length(ReturnConfig(0, failure), layout)
    expected, first = [], 0
    for length, success in zip(layout.lengths, layout.success, strict=True):
        for t in range(length):
            total = sum(rewards(layout, config)[first + t : first + length])
            if failure == "decay" and not success:
                left = length - 1 - t
                total += config.max_length_steps * (1.0 - 0.99**left)
            expected.append(max(-1.0, total / config.divisor))
        first += length
    np.testing.assert_allclose(returns_to_go(layout, config), expected, atol=1e-12)


@given(layout=LAYOUTS)
def test_unclipped_ranks_every_failure_below_every_success_and_keeps_its_order(layout: EpisodeLayout) -> None:
    found = returns_to_go(layout, with_length(ReturnConfig(0, "unclipped"), layout))
    success = np.repeat(layout.success, layout.lengths)
    assert np.all(found[success] > -0.5) and np.all(found[~success] <= -0.5)
    within = np.diff(layout.episode) == 0
    assert np.all(np.diff(found)[within] > 0.0)


def test_length_is_the_longest_episode_unless_given() -> None:
    assert with_length(ReturnConfig(), BY_HAND).max_length_steps == 5
    assert with_length(ReturnConfig(10), BY_HAND).max_length_steps == 10
    with pytest.raises(DexpieError, match=r"--max-length-steps 4 is less than the longest episode, 5 steps"):
        with_length(ReturnConfig(4), BY_HAND)


def test_bins_and_targets_by_hand() -> None:
    bins = ValueBins()
    assert len(bins.values) == 201 and bins.values[[0, 200]].tolist() == [-1.0, 0.0]
    assert bins.values[1] == pytest.approx(-0.995)
    # One bin beside the centre weighs exp(-1/2), two exp(-2); sum over all: 2.5066283 = sqrt(2 pi).
    (target,) = bins.soft_targets(np.array([-0.5]))
    np.testing.assert_allclose(target[98:103] * 2.5066283, np.exp([-2, -0.5, 0, -0.5, -2]), atol=1e-7)


@given(st.floats(-1.0, 0.0))
def test_targets_are_distributions_whose_mean_is_the_return(value: float) -> None:
    (target,) = ValueBins().soft_targets(np.array([value]))
    assert target.sum() == pytest.approx(1.0, abs=1e-12) and target.min() >= 0.0
    inside = -0.97 < value < -0.03  # nearer to an edge the distribution is cut off
    assert ValueBins().expectation(target) == pytest.approx(value, abs=2e-7 if inside else 0.005)


def test_edges_cut_the_distribution() -> None:
    bins = ValueBins()
    low, high = bins.expectation(bins.soft_targets(np.array([-1.0, 0.0])))
    assert high == pytest.approx(-0.0026, abs=1e-4) and low == pytest.approx(-0.9974, abs=1e-4)


def test_centre_on_the_bin_below_is_half_a_bin_too_low() -> None:
    """Negative: the release's centre biases every value; the exact one none."""
    returns = np.random.default_rng(0).uniform(-0.9, -0.1, 10_000)
    floor, exact = ValueBins(centre="floor"), ValueBins()
    assert np.mean(floor.expectation(floor.soft_targets(returns)) - returns) == pytest.approx(
        -0.0025, abs=1e-4
    )
    assert abs(np.mean(exact.expectation(exact.soft_targets(returns)) - returns)) < 1e-7
    np.testing.assert_allclose(floor.centres(exact.values), exact.values, atol=1e-12)


def test_wrong_values_are_refused() -> None:
    for make in (
        lambda: ReturnConfig(-1),
        lambda: ReturnConfig(10, failure_decay=0.0),
        lambda: ValueBins(count=1),
        lambda: ValueBins(sigma=0.0),
        lambda: EpisodeLayout(np.array([0]), np.array([True])),
    ):
        with pytest.raises(ValueError):
            make()
