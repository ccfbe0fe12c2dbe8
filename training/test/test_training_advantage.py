"""Advantages, quantiles, optimality and the rules for mixed sources: by hand and against naive loops."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_core.errors import DexpieError
from dexpie_training.advantage import (
    OptimalityConfig,
    label_rows,
    n_step_advantage,
    optimality,
    quantiles,
    window_optimality,
)
from dexpie_training.returns import EpisodeLayout, ReturnConfig, returns_to_go, rewards, with_length

BY_HAND = EpisodeLayout(np.array([5, 3]), np.array([True, False]))
VALUES = np.array([-0.5, -0.4, -0.2, -0.1, -0.1, -0.6, -0.8, -0.9])


def naive(values, reward, layout, horizon, divisor, past_end="rewards") -> list[float]:
    """The definition, row by row."""
    found, first = [], 0
    for length in layout.lengths:
        last = first + length - 1
        for t in range(first, last + 1):
            if t + horizon <= last:
                found.append(sum(reward[t : t + horizon]) / divisor + values[t + horizon] - values[t])
            elif past_end == "rewards":
                found.append(sum(reward[t : last + 1]) / divisor - values[t])
            else:
                found.append(sum(reward[t:last]) / divisor + values[last] - values[t])
        first = last + 1
    return found


def test_advantage_by_hand() -> None:
    """N = 2, L = 10: two steps cost 0.2; at the end what is left, with the terminal reward 0 or -10."""
    reward = rewards(BY_HAND, ReturnConfig(10))
    found = n_step_advantage(VALUES, reward, BY_HAND, 2, 10.0)
    expected = [0.1, 0.1, -0.1, 0.0, 0.1, -0.5, -0.3, -0.1]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_end_of_an_episode_never_sees_the_next_one() -> None:
    """Negative: changing the values of the second episode changes nothing in the first."""
    reward = rewards(BY_HAND, ReturnConfig(10))
    other = np.concatenate([VALUES[:5], [0.0, 0.0, 0.0]])
    for past_end in ("rewards", "last_value"):
        a, b = (n_step_advantage(v, reward, BY_HAND, 3, 10.0, past_end)[:5] for v in (VALUES, other))
        assert np.array_equal(a, b)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=6),
    st.integers(1, 40),
    st.sampled_from(["rewards", "last_value"]),
    st.integers(0, 2**32 - 1),
)
def test_advantage_against_the_definition(episodes, horizon: int, past_end, seed: int) -> None:
    layout = EpisodeLayout(np.array([n for n, _ in episodes]), np.array([s for _, s in episodes]))
    reward = rewards(layout, ReturnConfig(30))
    values = np.random.default_rng(seed).uniform(-1.0, 0.0, layout.rows)
    found = n_step_advantage(values, reward, layout, horizon, 30.0, past_end)
    np.testing.assert_allclose(found, naive(values, reward, layout, horizon, 30.0, past_end), atol=1e-12)


def naive_with_takeovers(values, reward, layout, horizon, divisor, human) -> list[float]:
    """The definition, row by row, of steps that stop where the human takes over."""
    found, first = naive(values, reward, layout, horizon, divisor), 0
    for length in layout.lengths:
        last = first + length - 1
        for t in range(first, last + 1):
            ahead = [k for k in range(t, min(t + horizon, last + 1)) if human[k]]
            if human[t] or not ahead:
                continue
            takeover = begin = ahead[0]
            while begin > max(first, takeover - horizon) and not human[begin - 1]:
                begin -= 1
            found[t] = sum(reward[begin:takeover]) / divisor + values[takeover] - values[begin]
        first = last + 1
    return found


@given(
    st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=6),
    st.integers(1, 40),
    st.floats(0.0, 0.6),
    st.integers(0, 2**32 - 1),
)
def test_advantage_up_to_takeovers_against_the_definition(episodes, horizon: int, share, seed: int) -> None:
    layout = EpisodeLayout(np.array([n for n, _ in episodes]), np.array([s for _, s in episodes]))
    rng = np.random.default_rng(seed)
    reward, values = rewards(layout, ReturnConfig(30)), rng.uniform(-1.0, 0.0, layout.rows)
    human = rng.random(layout.rows) < share
    found = n_step_advantage(values, reward, layout, horizon, 30.0, human=human)
    np.testing.assert_allclose(
        found, naive_with_takeovers(values, reward, layout, horizon, 30.0, human), atol=1e-12
    )


def test_the_policy_is_not_credited_with_its_rescue() -> None:
    """It hovers for 40 steps, a human takes over and gains 0.5 at once. N = 24, L = 100."""
    layout = EpisodeLayout(np.array([80]), np.array([True]))
    human = np.arange(80) >= 40
    values = np.where(human & (np.arange(80) > 40), -0.1, -0.6)
    reward = rewards(layout, ReturnConfig(100))
    crossing = n_step_advantage(values, reward, layout, 24, 100.0)
    stopping = n_step_advantage(values, reward, layout, 24, 100.0, human=human)
    np.testing.assert_allclose(crossing[17:40], 0.5 - 0.24)  # praised for standing still
    np.testing.assert_allclose(stopping[:40], -0.24)
    assert np.array_equal(crossing[human], stopping[human])


@given(st.integers(1, 50))
def test_the_true_value_has_no_advantage(horizon: int) -> None:
    """With returns as values, a return without the clip, and any horizon, nothing is better or worse."""
    layout = EpisodeLayout(np.array([20, 7]), np.array([True, False]))
    config = with_length(ReturnConfig(0, "unclipped"), layout)
    values = returns_to_go(layout, config)
    found = n_step_advantage(values, rewards(layout, config), layout, horizon, config.divisor)
    np.testing.assert_allclose(found, 0.0, atol=1e-12)


def test_rewards_and_values_share_a_divisor() -> None:
    """Negative: dividing the rewards by L where returns are divided by 2 L shows at once."""
    layout = EpisodeLayout(np.array([20, 7]), np.array([True, False]))
    config = ReturnConfig(20, "unclipped")
    values = returns_to_go(layout, config)
    wrong = n_step_advantage(values, rewards(layout, config), layout, 5, 20.0)
    assert np.abs(wrong).max() > 0.1


def test_one_million_rows_in_seconds_and_in_float64() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(100, 400, 4000)
    layout = EpisodeLayout(lengths, rng.random(4000) < 0.5)
    reward = rewards(layout, ReturnConfig(400))
    values = rng.uniform(-1.0, 0.0, layout.rows).astype(np.float32).astype(np.float64)
    began = time.process_time()
    found = n_step_advantage(values, reward, layout, 24, 400.0)
    assert layout.rows > 950_000 and time.process_time() - began < 5.0
    first = int(layout.last_rows[3997]) + 1  # two million reward steps in: no digit is lost
    tail = EpisodeLayout(lengths[3998:], layout.success[3998:])
    expected = naive(values[first:], reward[first:], tail, 24, 400.0)
    np.testing.assert_allclose(found[first:], expected, atol=1e-13)


def test_quantiles_interpolate_and_equal_ones_are_an_error() -> None:
    assert quantiles(np.arange(11.0), OptimalityConfig()) == (6.0, 8.0)
    with pytest.raises(DexpieError, match=r"0\.6 and 0\.8 quantiles .* over all rows are both 0\.25"):
        quantiles(np.full(10, 0.25), OptimalityConfig())


def test_optimality_by_hand() -> None:
    found = optimality(np.array([1.0, 2.0, 3.0]), 1.0, 2.0, OptimalityConfig())
    np.testing.assert_allclose(found, [0.5, 1 / (1 + math.exp(-5)), 1 / (1 + math.exp(-10))], atol=1e-15)
    assert found[1] == pytest.approx(0.9933, abs=5e-5)
    assert optimality(np.array([-1e6, 1e6]), 0.0, 1.0, OptimalityConfig()).tolist() == [0.0, 1.0]
    binary = optimality(np.array([0.9, 1.0, 1.1]), 1.0, 2.0, OptimalityConfig(form="binary"))
    assert binary.tolist() == [0.0, 0.0, 1.0]  # exactly at the quantile is not above it


@given(st.lists(st.floats(-5.0, 5.0), min_size=2, max_size=50))
def test_optimality_keeps_the_order(advantages: list[float]) -> None:
    ordered = optimality(np.sort(advantages), -0.5, 0.5, OptimalityConfig())
    assert np.all(np.diff(ordered) >= 0.0) and ordered[0] >= 0.0 and ordered[-1] <= 1.0


def test_human_steps_are_optimal_whatever_their_advantage() -> None:
    human = np.array([True] * 5 + [False, True, False])
    reward = rewards(BY_HAND, ReturnConfig(10))
    config = OptimalityConfig(horizon_steps=2)
    labels = label_rows(VALUES, reward, 10.0, BY_HAND, human, ["bottle", "bottle"], config)
    assert labels.optimality[human].tolist() == [1.0] * 6
    assert np.array_equal(labels.optimality[~human], labels.scored[~human])
    low, high = labels.quantiles["all rows"]
    expected = np.quantile(labels.advantage, [0.6, 0.8])  # human rows count among the quantiles
    np.testing.assert_allclose([low, high], expected)


def test_quantiles_of_each_task() -> None:
    reward = rewards(BY_HAND, ReturnConfig(10))
    config = OptimalityConfig(horizon_steps=3, quantiles_over="task")
    labels = label_rows(VALUES, reward, 10.0, BY_HAND, np.zeros(8, bool), ["bottle", "lid"], config)
    np.testing.assert_allclose(labels.quantiles["bottle"], np.quantile(labels.advantage[:5], [0.6, 0.8]))
    np.testing.assert_allclose(labels.quantiles["lid"], np.quantile(labels.advantage[5:], [0.6, 0.8]))


def test_quantiles_of_what_the_human_does() -> None:
    """A row as good as the human's middling ones is as good as optimal, however many bad rows there are."""
    reward = rewards(BY_HAND, ReturnConfig(10))
    human = np.array([True] * 5 + [False] * 3)
    config = OptimalityConfig(horizon_steps=1, quantiles_over="human", low_quantile=0.1, high_quantile=0.5)
    labels = label_rows(VALUES, reward, 10.0, BY_HAND, human, ["bottle", "bottle"], config)
    low, high = np.quantile(labels.advantage[:5], [0.1, 0.5])
    assert labels.quantiles == {"human rows": (low, high)}
    np.testing.assert_allclose(labels.scored, optimality(labels.advantage, low, high, config))
    with pytest.raises(DexpieError, match="--quantiles-over dataset"):
        label_rows(VALUES, reward, 10.0, BY_HAND, np.zeros(8, bool), ["bottle", "bottle"], config)


def test_windows_of_mixed_sources() -> None:
    scored = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    human = np.array([True, False, False, True, True, True])
    windows = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4], [4, 5, 5]])
    assert window_optimality(scored, human, windows, "first_step").tolist() == [1.0, 0.2, 0.3, 1.0]
    assert window_optimality(scored, human, windows, "majority").tolist() == [0.1, 0.2, 1.0, 1.0]


def test_wrong_settings_are_refused() -> None:
    for settings in ({"horizon_steps": 0}, {"low_quantile": 0.8}, {"high_quantile": 1.5}, {"slope": 0.0}):
        with pytest.raises(ValueError):
            OptimalityConfig(**settings)
