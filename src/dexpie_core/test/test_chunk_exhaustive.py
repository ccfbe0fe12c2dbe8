"""Every (horizon, n, execution horizon, delays) of small sizes against a model of the schedule."""

from collections.abc import Iterator
from itertools import chain, islice, product, repeat

import numpy as np
import pytest
from strategies import action_at

from dexpie_core.chunk_schedule import Chunk, ChunkSchedule, ScheduleConfig

TICKS = 40
HOLD = (0, -1)
CONFIGS = [
    ScheduleConfig(horizon=horizon, max_delay=n, execution_horizon=s)
    for horizon in range(2, 7)
    for n in range(1, horizon // 2 + 1)
    for s in range(n, horizon - n + 1)
]


def name(config: ScheduleConfig) -> str:
    return f"H{config.horizon}-n{config.max_delay}-s{config.execution_horizon}"


def labelled(sequence: int, step: int) -> np.ndarray:
    """A target that tells which step of which chunk it is."""
    return action_at(0.01 * sequence, 0.01 * step)


def expected(config: ScheduleConfig, delays: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """(chunk, step) of every tick, HOLD where nothing is due; late chunks resume."""
    horizon, n, s = config.horizon, config.max_delay, config.execution_horizon
    waits = chain(delays, repeat(delays[-1]))
    yield from repeat(HOLD, max(n, next(waits)))
    step = n
    for sequence in range(1, TICKS):
        asked = max(step, s)  # the step at which n commanded ones remain; at once where it has passed
        takeover = asked + max(n, next(waits))
        shown = [(sequence, k) if k < horizon else HOLD for k in range(step, takeover)]
        yield from shown
        held_since_due = shown[asked + n - step :].count(HOLD)
        step = takeover - asked - held_since_due


def executed(config: ScheduleConfig, delays: tuple[int, ...]):
    """What the schedule says and what is commanded, tick by tick; a chunk is there `delay` ticks later."""
    schedule, last = ChunkSchedule(config), labelled(0, 0)
    arrivals: dict[int, Chunk] = {}
    log = []
    for tick in range(TICKS):
        if tick in arrivals:
            assert schedule.accept(arrivals.pop(tick)).accepted
        step = schedule.step(tick, last)
        last = last if step.target is None else step.target
        if request := step.request:
            targets = np.stack([labelled(request.sequence, k) for k in range(config.horizon)])
            targets[: len(request.prefix)] = request.prefix
            delay = delays[min(request.sequence, len(delays)) - 1]
            arrivals[tick + delay] = Chunk(request.epoch, request.sequence, tick, targets)
        log.append((step, last))
    return schedule, log


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_the_stream_is_that_of_the_model_for_every_sequence_of_delays(config):
    for delays in product(range(1, config.max_delay + 3), repeat=3):
        schedule, log = executed(config, delays)
        stream = [(step.chunk_sequence, step.chunk_step) for step, _ in log]
        assert stream == list(islice(expected(config, delays), TICKS)), delays
        from_first = [step.target is None for step, _ in log[max(config.max_delay, delays[0]) :]]
        assert schedule.counters["starved_ticks"] == sum(from_first), delays
        assert schedule.counters["stale_chunks"] == schedule.counters["refused_chunks"] == 0


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_in_time_the_stream_has_no_hold_and_its_seams_are_the_prefixes(config):
    n, s = config.max_delay, config.execution_horizon
    for delays in product(range(1, n + 1), repeat=3):
        _, log = executed(config, delays)
        stream = [(step.chunk_sequence, step.chunk_step) for step, _ in log]
        chunks = [(c, k) for c in range(1, TICKS) for k in range(n, n + s)]
        assert stream == ([HOLD] * n + chunks)[:TICKS], delays
        for tick, (step, _) in enumerate(log[: TICKS - n]):
            if step.request is not None:
                commands = np.stack([last for _, last in log[tick : tick + n]])
                np.testing.assert_array_equal(step.request.prefix, commands)


def test_the_model_itself_counts_what_is_lost_to_a_late_chunk():
    config = ScheduleConfig(horizon=8, max_delay=2, execution_horizon=6)
    stream = list(islice(expected(config, (1, 5, 2)), 14))
    # Held until tick 2; chunk 2, asked for at step 6 and late by 3 ticks, resumes at its step 2.
    assert stream == [HOLD] * 2 + [(1, k) for k in range(2, 8)] + [HOLD] * 3 + [(2, 2), (2, 3), (2, 4)]
