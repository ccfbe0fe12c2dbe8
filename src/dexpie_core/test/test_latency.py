"""Distribution and prediction by hand, and advice that the schedule accepts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_core.chunk_schedule import ScheduleConfig
from dexpie_core.latency import LatencyTracker, budget_advice, delay_ticks

RATE_HZ = 25.0


def test_the_distribution_is_of_the_newest_durations():
    tracker = LatencyTracker(window=5)
    assert tracker.latency() is None
    for duration_s in (9.0, 0.1, 0.2, 0.3, 0.4, 0.5):
        tracker.add(duration_s)
    latency = tracker.latency()
    assert (latency.count, latency.max_s) == (5, 0.5)
    assert latency.p50_s == pytest.approx(0.3)
    assert latency.p90_s == pytest.approx(0.46)  # a tenth of the way back from 0.5 to 0.1
    assert latency.p99_s == pytest.approx(0.496)
    tracker.clear()
    assert tracker.latency() is None


@pytest.mark.parametrize(
    ("duration_s", "ticks"), [(0.0, 1), (0.04, 1), (0.0401, 2), (0.16, 4), (0.161, 5), (0.4, 10)]
)
def test_a_chunk_is_there_at_the_first_tick_after_it_came(duration_s, ticks):
    assert delay_ticks(duration_s, RATE_HZ) == ticks


def test_what_fits_needs_no_advice():
    assert budget_advice(0.16, 4, ScheduleConfig(), RATE_HZ) == ""
    assert budget_advice(9.0, 4, ScheduleConfig(synchronous=True), RATE_HZ) == ""


def test_the_advice_names_the_parameters_and_what_the_policy_was_trained_for():
    line = budget_advice(0.23, 4, ScheduleConfig(), RATE_HZ)
    assert line == (
        "inference takes 230 ms (p99) of the 160 ms of max_delay 4: use a smaller preset, or give "
        "the executor max_delay 6 with execution_horizon 18 (and a policy trained for it, this one was for 4)"
    )
    assert "trained" not in budget_advice(0.23, 6, ScheduleConfig(), RATE_HZ)
    assert "execution_horizon" not in budget_advice(0.23, 6, ScheduleConfig(execution_horizon=12), RATE_HZ)
    assert "no max_delay of a chunk of 24 steps" in budget_advice(0.6, 4, ScheduleConfig(), RATE_HZ)


@given(st.floats(0.161, 0.479), st.integers(4, 20))
def test_what_is_advised_is_a_schedule_that_fits(p99_s, execution_horizon):
    schedule = ScheduleConfig(execution_horizon=execution_horizon)
    line = budget_advice(p99_s, 4, schedule, RATE_HZ)
    advised = {
        name: int(value)
        for name, value in re.findall(r"(max_delay|execution_horizon) (\d+)", line.split(":")[1])
    }
    changed = ScheduleConfig(
        max_delay=advised["max_delay"],
        execution_horizon=advised.get("execution_horizon", execution_horizon),
    )
    assert budget_advice(p99_s, advised["max_delay"], changed, RATE_HZ) == ""
