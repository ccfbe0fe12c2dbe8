"""Seams: what is executed is the old chunk's commanded steps followed by the new chunk's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import action_at

from dexpie_core.chunk_schedule import Chunk, ChunkSchedule, PrefixRequest, ScheduleConfig

REST = action_at(0.0)


def trajectory(tick: int) -> np.ndarray:
    """A known absolute trajectory by tick; position and hand both tell the tick."""
    return action_at(0.001 * tick, hand=(tick % 100) / 100)


def oracle(request: PrefixRequest, horizon: int, offset: int = 0) -> Chunk:
    """The chunk of a policy that repeats the trajectory, imposing the prefix."""
    targets = np.stack([trajectory(request.tick + k + offset) for k in range(horizon)])
    targets[: len(request.prefix)] = request.prefix
    return Chunk(request.epoch, request.sequence, request.tick, targets)


def run(schedule: ChunkSchedule, ticks: int, delay_of, offset: int = 0):
    """Drive the schedule; a chunk requested at tick t arrives before tick t + delay."""
    arrivals: dict[int, list[Chunk]] = {}
    executed, last = [], REST
    for tick in range(ticks):
        for chunk in arrivals.pop(tick, []):
            schedule.accept(chunk)
        step = schedule.step(tick, last)
        if step.target is not None:
            last = step.target
        if step.request is not None:
            due = tick + max(1, delay_of(step.request.sequence))
            arrivals.setdefault(due, []).append(oracle(step.request, schedule.config.horizon, offset))
        executed.append((step, last))
    return executed


configs = st.integers(1, 8).flatmap(
    lambda n: st.integers(2 * n, 32).flatmap(
        lambda horizon: st.integers(n, horizon - n).map(
            lambda s: ScheduleConfig(horizon=horizon, max_delay=n, execution_horizon=s)
        )
    )
)


@settings(max_examples=200, deadline=None)
@given(configs, st.lists(st.integers(0, 8), min_size=60, max_size=60))
def test_oracle_trajectory_is_repeated_at_any_delay_up_to_n(config, delays):
    schedule = ChunkSchedule(config)
    executed = run(schedule, 120, lambda i: min(delays[i % 60], config.max_delay))
    # The first prefix is holding; from the first takeover on it is the trajectory, tick by tick.
    for tick in range(config.max_delay, 120):
        np.testing.assert_allclose(executed[tick][1], trajectory(tick), atol=1e-12)
    assert schedule.counters["starved_ticks"] == 0
    assert schedule.counters["late_chunks"] == 0


def test_default_replans_every_twenty_steps():
    executed = run(ChunkSchedule(), 70, lambda _: 2)
    requests = [tick for tick, (step, _) in enumerate(executed) if step.request is not None]
    assert requests == [0, 20, 40, 60]
    steps = [step.chunk_step for step, _ in executed[:30]]
    assert steps == [-1] * 4 + list(range(4, 24)) + list(range(4, 10))


def test_prefix_is_what_will_be_commanded():
    executed = run(ChunkSchedule(), 30, lambda _: 3)
    request = executed[20][0].request
    commanded = np.stack([last for _, last in executed[20:24]])
    np.testing.assert_array_equal(request.prefix, commanded)


def test_first_prefix_holds_and_is_never_zero():
    step = ChunkSchedule().step(0, REST)
    np.testing.assert_array_equal(step.request.prefix, np.stack([REST] * 4))
    assert not np.any(np.all(step.request.prefix == 0.0, axis=1))


def test_delayed_request_pads_by_holding_the_last_target():
    schedule = ChunkSchedule()
    run(schedule, 20, lambda _: 1)
    for tick in range(20, 22):
        schedule.step(tick, REST, may_request=False)
    prefix = schedule.step(22, REST).request.prefix
    np.testing.assert_allclose(prefix, [trajectory(22), trajectory(23), trajectory(23), trajectory(23)])


def test_a_skip_by_latency_instead_of_consumption_would_jump():
    # The classic mistake: the chunk came after 1 tick, so start at its step 1 at the takeover tick.
    executed = run(ChunkSchedule(), 30, lambda _: 1)
    step_24 = executed[24][0]
    assert step_24.chunk_step == 4
    wrong = trajectory(20 + 1)
    assert wrong[0] < executed[23][1][0] < step_24.target[0]


@pytest.mark.parametrize(("rule", "first"), [("resume", 24), ("due", 27)])
def test_late_chunk_rules(rule, first):
    schedule = ChunkSchedule(ScheduleConfig(late_rule=rule))
    executed = run(schedule, 40, lambda i: 7 if i == 2 else 2)
    held = [last for _, last in executed[24:27]]
    np.testing.assert_allclose(held, [trajectory(23)] * 3)
    assert [step.starved for step, _ in executed[22:29]] == [False, False, True, True, True, False, False]
    np.testing.assert_allclose(executed[27][1], trajectory(first))
    np.testing.assert_allclose(executed[28][1], trajectory(first + 1))
    assert schedule.counters["late_chunks"] == 1
    assert schedule.counters["starved_ticks"] == 3


def test_late_chunk_dropped_is_asked_anew_from_rest():
    schedule = ChunkSchedule(ScheduleConfig(late_rule="drop"))
    executed = run(schedule, 40, lambda i: 7 if i == 2 else 2)
    request = executed[27][0].request
    assert request.sequence == 3
    np.testing.assert_allclose(request.prefix, [trajectory(23)] * 4)


def test_late_chunk_uses_up_the_rest_of_a_longer_chunk_first():
    schedule = ChunkSchedule(ScheduleConfig(execution_horizon=12))
    executed = run(schedule, 40, lambda i: 7 if i == 2 else 2)
    # Requested at 12, due at 16, there at 19: steps 16 to 18 come from the old chunk.
    for tick in range(4, 40):
        np.testing.assert_allclose(executed[tick][1], trajectory(tick), atol=1e-12)
    assert schedule.counters["late_chunks"] == 1
    assert schedule.counters["starved_ticks"] == 0


def test_slow_start_from_rest_skips_nothing_and_is_not_starvation():
    schedule = ChunkSchedule()
    executed = run(schedule, 20, lambda _: 9)
    assert [step.target is None for step, _ in executed[:10]] == [True] * 9 + [False]
    assert executed[9][0].chunk_step == 4
    assert schedule.counters["starved_ticks"] == 0


def test_chunk_of_an_older_epoch_is_never_executed():
    schedule = ChunkSchedule()
    old = schedule.step(0, REST).request
    schedule.reset(epoch=1)
    assert not schedule.accept(oracle(old, 24)).accepted
    assert schedule.step(1, REST).target is None
    assert schedule.counters["stale_chunks"] == 1


def test_reset_in_the_middle_drops_the_running_chunk():
    schedule = ChunkSchedule()
    run(schedule, 10, lambda _: 1)
    schedule.reset(epoch=1)
    step = schedule.step(10, REST)
    assert step.target is None
    np.testing.assert_array_equal(step.request.prefix, np.stack([REST] * 4))


def test_answer_to_nothing_or_twice_is_refused():
    schedule = ChunkSchedule()
    request = schedule.step(0, REST).request
    assert not schedule.accept(oracle(PrefixRequest(0, 99, 0, request.prefix), 24)).accepted
    assert schedule.accept(oracle(request, 24)).accepted
    assert not schedule.accept(oracle(request, 24)).accepted


@pytest.mark.parametrize("damage", ["short", "nan", "no rotation"])
def test_malformed_chunk_is_refused(damage):
    schedule = ChunkSchedule()
    good = oracle(schedule.step(0, REST).request, 24)
    broken = {"short": good.targets[:20], "nan": np.full((24, 15), np.nan), "no rotation": np.zeros((24, 15))}
    targets = broken[damage]
    assert not schedule.accept(Chunk(good.epoch, good.sequence, good.tick, targets)).accepted
    assert schedule.counters["refused_chunks"] == 1


def test_lost_request_is_asked_again():
    schedule = ChunkSchedule(ScheduleConfig(request_timeout=10))
    first = schedule.step(0, REST).request
    requests = [schedule.step(tick, REST).request for tick in range(1, 12)]
    again = [r for r in requests if r is not None]
    assert [r.tick for r in again] == [10]
    assert not schedule.accept(oracle(first, 24)).accepted
    assert schedule.accept(oracle(again[0], 24)).accepted


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([1, 2, 3, 4, -2, -3]), min_size=20, max_size=20))
def test_a_declined_request_is_asked_again_at_once_and_the_motion_goes_on_where_it_was(answers):
    """An answer after d ticks, or (-d) a refusal after d: nothing is skipped, and pauses are a few ticks."""
    schedule, arrivals, last = ChunkSchedule(), {}, REST
    moved, starved = [], 0
    for tick in range(120):
        for chunk in arrivals.pop(tick, []):
            assert schedule.accept(chunk).accepted is not chunk.declines
        step = schedule.step(tick, last)
        starved += step.starved
        if step.target is not None:
            last = step.target
            moved += [step.target[0]] if not moved or step.target[0] != moved[-1] else []
        if step.request is not None:
            delay = answers[step.request.sequence % 20]
            chunk = continuing(step.request, 24) if delay > 0 else Chunk.declining(step.request)
            arrivals.setdefault(tick + abs(delay), []).append(chunk)
    np.testing.assert_allclose(np.diff(moved), 0.001, atol=1e-9)
    declined = schedule.counters["declined_requests"]
    assert schedule.counters["request_timeouts"] == schedule.counters["late_chunks"] == 0
    assert starved == schedule.counters["starved_ticks"] <= 3 * declined


def continuing(request: PrefixRequest, horizon: int) -> Chunk:
    """The chunk of a policy that goes on by 1 mm a tick from where the prefix ends."""
    n, end = len(request.prefix), request.prefix[-1]
    targets = np.stack([end] * horizon)
    targets[:n] = request.prefix
    targets[n:, 0] += 0.001 * np.arange(1, horizon - n + 1)
    return Chunk(request.epoch, request.sequence, request.tick, targets)


def test_synchronous_mode_pauses_and_executes_from_step_zero():
    schedule = ChunkSchedule(ScheduleConfig(synchronous=True, execution_horizon=5, max_delay=4))
    executed = run(schedule, 24, lambda _: 3)
    steps = [step.chunk_step for step, _ in executed]
    assert steps == [-1] * 3 + [0, 1, 2, 3, 4] + [-1] * 3 + [0, 1, 2, 3, 4] + [-1] * 3 + [0, 1, 2, 3, 4]
    assert executed[0][0].request.prefix.shape == (0, 15)
    assert schedule.counters["starved_ticks"] == 0


@pytest.mark.parametrize(
    "fields", [{"max_delay": 0}, {"execution_horizon": 21}, {"execution_horizon": 3}, {"request_timeout": 4}]
)
def test_impossible_timing_is_refused_by_name(fields):
    with pytest.raises(ValueError, match=f"schedule.{next(iter(fields))}"):
        ScheduleConfig(**fields)


def test_a_chunk_is_awaited_in_the_tick_that_it_takes_over_and_only_there():
    schedule = ChunkSchedule()
    delays = {1: 4, 2: 5}  # the second one misses its tick 24
    awaited, arrivals, last = [], {}, REST
    for tick in range(30):
        for chunk in arrivals.pop(tick, []):
            schedule.accept(chunk)
        if schedule.awaits(tick):
            awaited.append(tick)
        step = schedule.step(tick, last)
        last = last if step.target is None else step.target
        if step.request is not None:
            late = tick + delays[step.request.sequence]
            arrivals[late] = [oracle(step.request, schedule.config.horizon)]
    assert awaited == [24] and schedule.counters["starved_ticks"] == 1


def test_an_awaited_chunk_that_comes_in_time_starves_nothing():
    schedule, last = ChunkSchedule(), REST
    request = None
    for tick in range(60):
        if request is not None and (schedule.awaits(tick) or tick == request.tick + 4):
            schedule.accept(oracle(request, schedule.config.horizon))
            assert not schedule.awaits(tick)
        step = schedule.step(tick, last)
        last = last if step.target is None else step.target
        request = step.request or request
        assert tick < 4 or step.target is not None
    assert schedule.counters["starved_ticks"] == 0


def test_no_chunk_is_awaited_from_rest_or_by_the_synchronous():
    for config in (ScheduleConfig(), ScheduleConfig(synchronous=True)):
        schedule = ChunkSchedule(config)
        request = schedule.step(0, REST).request
        assert request is not None and not any(schedule.awaits(tick) for tick in range(1, 30))
    synchronous = ChunkSchedule(ScheduleConfig(synchronous=True))
    run(synchronous, 20, lambda i: 1)
    assert not any(synchronous.awaits(tick) for tick in range(20, 40))
