"""A policy that repeats a known motion is executed as that motion, whatever it took and wherever the TCP is.

And what comes of the known mistakes of real-time chunking, each made on purpose.
"""

import numpy as np
import pytest
from chunk_rig_for_tests import (
    DT_S,
    continuing,
    drive,
    extrapolated,
    largest_step_m,
    measured_T,
    oracle,
    trajectory,
)  # fmt: skip
from hypothesis import given, settings
from hypothesis import strategies as st

from dexpie_core.action_space import absolute_from_relative, relative_from_absolute
from dexpie_core.chunk_schedule import Chunk, ScheduleConfig
from dexpie_core.executor import Executor
from dexpie_core.modes import Mode, ModeEvent

N = ScheduleConfig().max_delay
SEAM_M = 0.008  # no step of the trajectory is longer


def assert_repeated(log, tolerance: float = 1e-6) -> None:
    for entry in log:
        np.testing.assert_allclose(
            entry.command, trajectory(entry.tick), atol=tolerance, err_msg=f"{entry.tick}"
        )


@pytest.mark.parametrize("delay", range(N + 1))
def test_the_oracle_is_executed_at_every_delay_up_to_n(delay):
    core, log = drive(oracle, [delay])
    assert_repeated(log)
    assert core.schedule.counters["starved_ticks"] == core.counters["clamped_commands"] == 0
    assert largest_step_m(log) < SEAM_M


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 6).flatmap(lambda n: st.tuples(st.just(n), st.integers(n, 24 - n))),
    st.lists(st.integers(0, 6), min_size=1, max_size=12),
)
def test_the_oracle_is_executed_at_any_timing_and_sequence_of_delays(timing, delays):
    n, s = timing
    _, log = drive(oracle, [min(d, n) for d in delays], ticks=80, max_delay=n, execution_horizon=s)
    assert_repeated(log)


def test_a_late_chunk_holds_and_goes_on_without_a_jump():
    core, log = drive(continuing, [2, 10, 2], ticks=80)
    starved = [entry.tick for entry in log if entry.starved]
    assert len(starved) == 10 - N == core.schedule.counters["starved_ticks"]
    held = {tuple(entry.command) for entry in log if entry.tick in starved}
    assert held == {tuple(log[starved[0] - 2].command)}
    assert largest_step_m(log) < SEAM_M


def test_a_prefix_is_the_commands_also_where_the_limits_bend_the_targets():
    def far(prefix, observed_T, tick):
        targets = oracle(prefix, observed_T, tick)
        targets[len(prefix) :, 0] += 0.3  # more than the speed limit lets through in a chunk
        return targets

    core, log = drive(far, [3], ticks=60)
    assert core.counters["clamped_commands"] > 10
    for entry in log[:50]:
        if entry.request is not None:
            commands = [later.command for later in log[entry.tick - 1 :][:N]]
            np.testing.assert_allclose(entry.request.prefix, commands, atol=1e-12)


def test_a_prefix_asked_for_late_says_holding_where_the_chunk_is_used_up_before_its_target_is_reached():
    core = Executor()
    core.reset(trajectory(0))
    core.request_mode(ModeEvent.START, 0.0)
    outs = []
    for tick in range(1, 60):
        if tick < 14 or tick > 23:  # no measured state for a while: the chunk's end passes, its target is far
            core.offer_state(tick * DT_S, measured_T(tick), np.full(6, 0.5))
        out = core.tick(tick * DT_S)
        outs.append(out)
        if (request := out.request) is not None:
            targets = np.tile(trajectory(0), (24, 1))
            targets[:, 0] += 0.5
            targets[: len(request.prefix)] = request.prefix
            core.offer_chunk(Chunk(request.epoch, request.sequence, request.tick, targets))
    late = next(out.request for out in outs if out.request is not None and out.tick > 20)
    assert late.tick > 1 + 20
    commands = [out.command for out in outs[late.tick - 1 :][:N]]
    np.testing.assert_allclose(late.prefix, commands, atol=1e-12)
    assert core.counters["clamped_commands"] > 0


def test_mistake_skipping_by_latency_instead_of_consumption():
    delay = 1

    def skipped_by_latency(prefix, observed_T, tick):
        targets = oracle(prefix, observed_T, tick)
        return np.concatenate([targets[:N], targets[delay : delay + 24 - N]])

    _, log = drive(skipped_by_latency, [delay], ticks=80)
    seam = next(entry for entry in log if entry.chunk_step == N and entry.tick > 40)
    behind = np.linalg.norm(seam.wish[:3] - trajectory(seam.tick)[:3])
    assert behind > 3 * np.linalg.norm(trajectory(seam.tick)[:3] - trajectory(seam.tick - 1)[:3])


def test_mistake_a_prefix_padded_with_zeros():
    def padded(prefix, observed_T, tick):
        known = relative_from_absolute(observed_T, prefix[:2])
        zeros = relative_from_absolute(observed_T, np.repeat(prefix[1:2], 2, axis=0))
        zeros[:, :3], zeros[:, 9:] = 0.0, 0.0  # the TCP where it is, the hand closed
        return absolute_from_relative(observed_T, extrapolated(np.concatenate([known, zeros]), 24))

    _, right = drive(continuing, [2], ticks=80)
    _, wrong = drive(padded, [2], ticks=80)
    assert largest_step_m(right) < SEAM_M
    assert largest_step_m(wrong) > 2 * SEAM_M


def test_mistake_a_prefix_in_the_frame_of_the_previous_observation():
    observed = [measured_T(1)]

    def stale_frame(prefix, observed_T, tick):
        relative = extrapolated(relative_from_absolute(observed[-1], prefix), 24)
        observed.append(observed_T)
        return absolute_from_relative(observed_T, relative)

    _, right = drive(continuing, [2], ticks=80)
    _, wrong = drive(stale_frame, [2], ticks=80)
    assert largest_step_m(right) < SEAM_M
    assert largest_step_m(wrong) > 2 * SEAM_M


def test_mistake_a_chunk_from_before_a_takeover():
    core, log = drive(oracle, [2], ticks=40)
    old = next(entry.request for entry in reversed(log) if entry.request is not None)
    core.request_mode(ModeEvent.STOP, 0.0)
    elsewhere = trajectory(40)
    elsewhere[1] += 0.15  # while the human drove
    core.reset(elsewhere)
    core.request_mode(ModeEvent.START, 0.0)
    request = core.tick(0.0).request
    targets = oracle(old.prefix, measured_T(old.tick), old.tick)
    assert "epoch" in core.offer_chunk(Chunk(old.epoch, old.sequence, old.tick, targets)).reason
    # The same numbers under the new request's name, which is what the epoch is there to prevent:
    assert core.offer_chunk(Chunk(request.epoch, request.sequence, request.tick, targets)).accepted
    outs = [core.tick(0.0) for _ in range(N)]
    wish = outs[-1].policy_wish
    assert np.linalg.norm(wish[:3] - elsewhere[:3]) > 0.1
    assert np.linalg.norm(outs[-1].command[:3] - elsewhere[:3]) <= core.config.limits.linear_step_m + 1e-12


def test_the_end_of_an_episode_ends_the_chunk_and_the_answer_under_way():
    core, log = drive(oracle, [2], ticks=40)
    request = next(entry.request for entry in reversed(log) if entry.request is not None)
    assert core.request_mode(ModeEvent.STOP, 0.0).accepted
    out = core.tick(41 * DT_S)
    assert (out.mode, out.request) == (Mode.IDLE, None)
    np.testing.assert_array_equal(out.command, log[-1].command)
    targets = oracle(request.prefix, measured_T(request.tick), request.tick)
    assert not core.offer_chunk(Chunk(request.epoch, request.sequence, request.tick, targets)).accepted
    assert core.request_mode(ModeEvent.START, 0.0).accepted
    asked = core.tick(42 * DT_S).request
    np.testing.assert_array_equal(asked.prefix, np.repeat(out.command[None], N, axis=0))
