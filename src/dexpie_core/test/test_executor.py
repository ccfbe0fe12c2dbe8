"""The executor over whole sequences: modes, epochs, continuity, refusals."""

import numpy as np
import pytest
from strategies import action_at

from dexpie_core import se3
from dexpie_core.action_space import pack
from dexpie_core.chunk_schedule import Chunk
from dexpie_core.executor import Executor, ExecutorConfig, HumanAction, Source
from dexpie_core.follower import HumanFollower, Misalignment
from dexpie_core.limits import step_sizes
from dexpie_core.modes import Mode, ModeEvent

DT = 0.04
START = action_at(0.3, 0.0, 0.3)
ALIGNED = Misalignment(0.0, np.zeros(6))


def started(config: ExecutorConfig | None = None) -> Executor:
    core = Executor(config)
    core.reset(START)
    return core


def answer(core: Executor, out, end: np.ndarray) -> None:
    """Reply to the tick's request, if any, with a straight chunk from the prefix to `end`."""
    if out.request is None:
        return
    n, horizon = len(out.request.prefix), core.config.schedule.horizon
    first = out.request.prefix[-1] if n else core.last_command
    targets = np.linspace(first, end, horizon)
    targets[:n] = out.request.prefix
    core.offer_chunk(Chunk(out.request.epoch, out.request.sequence, out.request.tick, targets))


def drive(core: Executor, ticks: int, end: np.ndarray, now_s: float = 0.0) -> list:
    outs = []
    for i in range(ticks):
        out = core.tick(now_s + i * DT)
        answer(core, out, end)
        outs.append(out)
    return outs


def test_nothing_is_commanded_before_the_robot_is_known():
    core = Executor()
    assert core.tick(0.0).command is None
    assert not core.request_mode(ModeEvent.START, 0.0).accepted


def test_the_first_command_is_the_measured_pose():
    core = Executor()
    T = se3.make(np.eye(3), [0.1, 0.2, 0.3])
    core.offer_state(0.0, T, np.full(6, 0.4))
    np.testing.assert_allclose(core.tick(0.0).command, pack(T, np.full(6, 0.4)))


def test_start_holds_until_the_first_chunk_takes_over():
    core = started()
    assert core.request_mode(ModeEvent.START, 0.0).accepted
    outs = drive(core, 8, action_at(0.35, 0.0, 0.3))
    assert [o.mode for o in outs] == [Mode.RELEASING] * 4 + [Mode.AUTONOMOUS] * 4
    assert [o.source for o in outs] == [Source.HOLD] * 4 + [Source.POLICY] * 4
    assert outs[4].policy_wish is not None


def test_a_chunk_is_awaited_only_while_the_policy_drives():
    core = started()
    core.request_mode(ModeEvent.START, 0.0)
    end = action_at(0.35, 0.0, 0.3)
    drive(core, 24, end)  # the second request, of the 21st tick, is answered too
    assert not core.awaits_chunk
    outs = [core.tick(24 * DT + i * DT) for i in range(20)]  # the third one is not
    due = next(o.tick for o in outs if o.request is not None) + 4
    assert due == core.tick_count + 1 and core.awaits_chunk
    core.request_mode(ModeEvent.STOP, 44 * DT)
    assert not core.awaits_chunk


def test_the_prefix_is_what_the_limits_will_let_through():
    core = started()
    core.request_mode(ModeEvent.START, 0.0)
    far = action_at(0.3, 0.6, 0.3)
    outs = drive(core, 40, far)
    request = next(o.request for o in outs[5:] if o.request is not None)
    commanded = [o.command for o in outs if request.tick <= o.tick < request.tick + 4]
    np.testing.assert_allclose(request.prefix, commanded, atol=1e-12)


def test_takeover_needs_fresh_aligned_devices_and_says_why():
    core = started()
    assert "no fresh tracker" in core.request_mode(ModeEvent.TAKEOVER, 1.0).message
    core.offer_human(HumanAction(1.0, 0, START, Misalignment(np.radians(80), np.zeros(6))))
    assert "wrist 80 deg" in core.request_mode(ModeEvent.TAKEOVER, 1.0).message
    core.offer_human(HumanAction(1.0, 0, START, Misalignment(0.0, np.full(6, -0.9))))
    assert "thumb_bend 0.90" in core.request_mode(ModeEvent.TAKEOVER, 1.0).message
    core.offer_human(HumanAction(1.0, 0, START, ALIGNED))
    assert core.request_mode(ModeEvent.TAKEOVER, 1.0).accepted
    assert core.counters["mode_requests_refused"] == 3


def human_mode(now_s: float = 0.0) -> Executor:
    core = started()
    core.offer_human(HumanAction(now_s, 0, START, ALIGNED))
    assert core.request_mode(ModeEvent.TAKEOVER, now_s).accepted
    return core


def test_action_clutched_before_the_switch_is_not_executed():
    core = human_mode()
    core.offer_human(HumanAction(0.0, core.epoch - 1, action_at(0.31, 0.0, 0.3), ALIGNED))
    out = core.tick(0.0)
    assert out.source is Source.HUMAN  # what the human wants at the switch is the last command
    np.testing.assert_allclose(out.command, START, atol=1e-15)


def test_human_action_is_executed():
    core = human_mode()
    wanted = action_at(0.31, 0.0, 0.3)
    core.offer_human(HumanAction(0.0, core.epoch, wanted, ALIGNED))
    out = core.tick(0.0)
    assert out.source is Source.HUMAN
    np.testing.assert_allclose(out.command, wanted)


def test_stale_tracker_holds_and_faults():
    core = human_mode()
    core.offer_human(HumanAction(0.0, core.epoch, START, ALIGNED))
    assert core.tick(0.2).mode is Mode.HUMAN
    out = core.tick(0.3)
    assert out.mode is Mode.FAULT
    assert "no fresh tracker" in out.reason
    np.testing.assert_array_equal(out.command, START)


def test_a_first_action_far_from_the_last_command_is_a_jump_too():
    core = human_mode()
    core.offer_human(HumanAction(0.0, core.epoch, action_at(0.4, 0.0, 0.3), ALIGNED))
    out = core.tick(0.0)
    assert out.mode is Mode.FAULT and "10.0 cm" in out.reason
    np.testing.assert_array_equal(out.command, START)


def test_tracker_jump_faults_instead_of_moving():
    core = human_mode()
    core.offer_human(HumanAction(0.0, core.epoch, START, ALIGNED))
    core.tick(0.0)
    core.offer_human(HumanAction(DT, core.epoch, action_at(0.4, 0.0, 0.3), ALIGNED))
    out = core.tick(DT)
    assert out.mode is Mode.FAULT
    assert "10.0 cm" in out.reason
    np.testing.assert_array_equal(out.command, START)


def test_chunk_computed_before_a_takeover_never_lands_after_the_hand_back():
    core = started()
    core.request_mode(ModeEvent.START, 0.0)
    late = core.tick(0.0).request
    core.offer_human(HumanAction(0.0, core.epoch, START, ALIGNED))
    core.request_mode(ModeEvent.TAKEOVER, 0.0)
    core.request_mode(ModeEvent.RELEASE, 0.0)
    stale = Chunk(late.epoch, late.sequence, late.tick, np.tile(action_at(0.8, 0.0, 0.3), (24, 1)))
    assert not core.offer_chunk(stale).accepted
    outs = drive(core, 10, START)
    assert all(np.allclose(o.command, START) for o in outs)


@pytest.mark.parametrize("damage", [(0, np.nan), (slice(3, 9), 0.0), (12, 4.0)])
def test_refused_target_is_held_and_counted(damage):
    core = human_mode()
    core.offer_human(HumanAction(0.0, core.epoch, START, ALIGNED))
    core.tick(0.0)
    broken = START.copy()
    broken[damage[0]] = damage[1]
    core.offer_human(HumanAction(0.0, core.epoch, broken, ALIGNED))
    out = core.tick(0.0)
    assert out.source is Source.HOLD
    assert out.mode is Mode.HUMAN
    np.testing.assert_array_equal(out.command, START)
    assert core.counters["refused_commands"] == 1


def test_a_measured_state_that_cannot_be_is_no_state():
    core = Executor()
    T = se3.make(np.eye(3), [0.2, np.nan, 0.3])
    core.offer_state(0.0, T, np.ones(6))
    assert core.tick(0.0).command is None
    assert "not finite" in core.request_mode(ModeEvent.START, 0.0).message
    core.offer_state(0.1, se3.make(np.eye(3), [0.2, 0.1, 0.3]), np.ones(6))
    assert core.tick(0.1).command is not None


def test_protective_stop_faults_and_recovery_starts_from_the_measured_pose():
    core = started()
    core.request_mode(ModeEvent.START, 0.0)
    core.tick(0.0)
    T = se3.make(np.eye(3), [0.2, 0.1, 0.3])
    core.offer_state(0.1, T, np.ones(6), "arm: protective stop")
    assert core.tick(0.1).mode is Mode.FAULT
    assert not core.request_mode(ModeEvent.RECOVER, 0.1).accepted
    core.offer_state(0.2, T, np.ones(6))
    assert core.request_mode(ModeEvent.RECOVER, 0.2).accepted
    np.testing.assert_allclose(core.tick(0.2).command, pack(T, np.ones(6)))


def test_stale_state_stops_requests_but_not_the_running_chunk():
    core = started()
    core.offer_state(0.0, se3.make(np.eye(3), START[:3]), np.ones(6))
    core.request_mode(ModeEvent.START, 0.0)
    outs = drive(core, 40, action_at(0.35, 0.0, 0.3))
    assert sum(o.request is not None for o in outs) == 1
    assert outs[10].source is Source.POLICY
    assert core.counters["stale_state_ticks"] > 0


def test_takeover_at_the_measured_pose_would_step_back():
    # The classic mistake: a moving arm lags its command, so the measured reference is behind.
    core = started()
    core.request_mode(ModeEvent.START, 0.0)
    drive(core, 12, action_at(0.5, 0.0, 0.3))
    before = core.last_command
    lagging = before.copy()
    lagging[0] -= 0.012
    right, wrong = HumanFollower(), HumanFollower()
    right.clutch(1.0, np.eye(4), before)
    wrong.clutch(1.0, np.eye(4), lagging)
    assert step_sizes(before, right.action(1.0, np.eye(4), before[9:]))[0] < 1e-9
    assert step_sizes(before, wrong.action(1.0, np.eye(4), before[9:]))[0] == pytest.approx(0.012)
