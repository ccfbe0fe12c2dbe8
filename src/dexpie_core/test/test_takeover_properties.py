"""Takeovers and hand-backs at random states, speeds, lags, rates and tracker poses; and each classic mistake.

DEXPIE_EXAMPLES=2000 runs thousands of them; a session has about eight switches.
"""

import os
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from takeover_for_tests import Plan, Session, plans, violations

from dexpie_core import limits, se3
from dexpie_core.action_space import pack, unpack
from dexpie_core.chunk_schedule import ChunkSchedule
from dexpie_core.executor import Source
from dexpie_core.modes import Mode

EXAMPLES = int(os.environ.get("DEXPIE_EXAMPLES", "40"))
TRIES = 30


@settings(max_examples=EXAMPLES)
@given(plans)
def test_no_step_beyond_bounds_no_motion_at_the_switch_nothing_of_an_older_epoch(plan):
    assert violations(Session(plan)) == []


def test_the_random_sessions_go_everywhere():
    rows = [row for seed in range(12) for row in Session(Plan(seed, still=3)).play()]
    assert {row.out.mode for row in rows} == set(Mode)
    assert {row.out.source for row in rows} == set(Source)
    assert sum(row.since_switch == 0 for row in rows) > 20
    assert any(row.out.mode is Mode.HUMAN and row.out.source is Source.HOLD for row in rows)  # paused


def seen(words: str, plan: Callable[[int], Plan], spoil: Callable[[Session], None]) -> bool:
    """Whether a violation with these words is seen in sessions with a mistake."""
    for seed in range(TRIES):
        session = Session(plan(seed))
        spoil(session)
        if any(words in told for told in violations(session)):
            return True
    return False


def test_a_reference_at_the_measured_pose_would_be_seen():
    def spoil(session: Session) -> None:
        session.reference = lambda last, measured: measured

    assert seen("motionless tracker moved the command", lambda seed: Plan(seed, still=6), spoil)


def test_a_filter_that_is_not_begun_anew_would_be_seen():
    def spoil(session: Session) -> None:
        follower, clutch = session.follower, session.follower.clutch

        def keep_filter(now_s, tracker_T, command):
            kept = getattr(follower, "_filter", None)
            clutch(now_s, tracker_T, command)
            follower._filter = kept or follower._filter

        follower.clutch = keep_filter

    assert seen("motionless tracker moved the command", lambda seed: Plan(seed, still=6), spoil)


def test_a_chunk_that_survives_the_switch_would_be_seen():
    def spoil(session: Session) -> None:
        schedule = session.core.schedule
        schedule.reset = lambda epoch: setattr(schedule, "epoch", epoch)

    assert seen("chunk of epoch", Plan, spoil)


def test_a_prefix_kept_over_the_takeover_would_be_seen():
    def spoil(session: Session) -> None:
        schedule, reset = session.core.schedule, session.core.schedule.reset
        request: Callable = ChunkSchedule._request
        kept: list[np.ndarray] = []

        def keep(epoch: int) -> None:
            kept[:] = [schedule._pending.request.prefix] if schedule._pending else kept
            reset(epoch)

        def first_request(*arguments):
            made = request(schedule, *arguments)
            if made is not None and kept:
                made.prefix[:] = kept.pop()
            return made

        schedule.reset, schedule._request = keep, first_request

    assert seen("was not commanded", Plan, spoil)


def test_an_old_human_action_would_be_seen():
    def spoil(session: Session) -> None:
        core, offer = session.core, session.core.offer_human
        core.offer_human = lambda human: offer(
            type(human)(human.stamp_s, core.epoch, human.action, human.misalignment)
        )

    assert seen("human action of epoch", lambda seed: Plan(seed, human_lag=2), spoil)


def test_interpolated_rotation_vectors_would_be_seen(monkeypatch: pytest.MonkeyPatch):
    def by_rotation_vectors(previous, target, bounds):
        right = limits.limit_step(previous, target, bounds)
        (T, hand), (T_prev, _), (T_goal, _) = unpack(right.command), unpack(previous), unpack(target)
        angle = float(se3.rotation_angle(T_prev[:3, :3], T_goal[:3, :3]))
        s = min(1.0, bounds.angular_step_rad / max(angle, 1e-12))
        a, b = se3.rotvec_from_rotation(T_prev[:3, :3]), se3.rotvec_from_rotation(T_goal[:3, :3])
        rotation = se3.rotation_from_rotvec((1.0 - s) * a + s * b)
        return limits.Limited(pack(se3.make(rotation, T[:3, 3]), hand), right.clamped)

    monkeypatch.setattr("dexpie_core.executor.limit_step", by_rotation_vectors)
    assert seen("rotation step", lambda seed: Plan(seed, near_half_turn=True), lambda session: None)
