"""The operator watches a policy that goes wrong, aligns, takes over and brings the task to its end."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sim_policies_for_tests import Replay, demonstrate, lets_go, offset, stalled

from dexpie_bags import summarise
from dexpie_core.action_space import pack
from dexpie_core.executor import ExecutorConfig, Source
from dexpie_core.limits import MotionLimits, step_sizes
from dexpie_core.modes import Mode, ModeEvent
from dexpie_sim.cell import Cell
from dexpie_sim.config import CellConfig
from dexpie_sim.interventions import Intervention, InterventionLog
from dexpie_sim.lockstep import (
    EpisodeRequest,
    EpisodeResult,
    LockstepCell,
    LockstepConfig,
    Tick,
    run_episode,
)
from dexpie_sim.operator import FORESEEN, OperatorConfig, VirtualOperator
from dexpie_sim.progress import OracleConfig
from dexpie_sim.tasks.bottle import BottleTask

LIMITS = MotionLimits()


@pytest.fixture(scope="module")
def lockstep() -> LockstepCell:
    return LockstepCell()


@pytest.fixture(scope="module")
def carried(lockstep: LockstepCell) -> np.ndarray:
    """Commands of a demonstration from `grasped`."""
    return demonstrate(lockstep, 1, "grasped")


def corrected(
    cell: LockstepCell,
    commands: np.ndarray,
    seed: int,
    stage: str = "grasped",
    record: Path | None = None,
    failed_after_s: float = 0.0,
) -> tuple[EpisodeResult, list[Tick]]:
    ticks: list[Tick] = []
    request = EpisodeRequest(
        "rollout", stage, seed, Replay(commands), record_dir=record, cameras=False, correct=True,
        failed_after_s=failed_after_s,
    )  # fmt: skip
    return run_episode(cell, request, ticks.append), ticks


def assert_smooth(ticks: list[Tick]) -> None:
    """No command is further from the one before than one tick's step."""
    for before, after in pairwise(ticks):
        linear_m, angular_rad, hand = step_sizes(before.output.command, after.output.command)
        assert linear_m <= LIMITS.linear_step_m + 1e-9
        assert angular_rad <= LIMITS.angular_step_rad + 1e-9
        assert hand <= LIMITS.hand_step + 1e-9


def test_a_policy_that_stalls_half_way_is_corrected(lockstep: LockstepCell, tmp_path: Path) -> None:
    commands = demonstrate(lockstep, 4)
    k = len(commands) // 2
    result, ticks = corrected(lockstep, stalled(commands, k), 4, "initial", tmp_path)
    assert result.success, result
    (taken_over,) = result.interventions
    announced, taken = taken_over.announced, taken_over.taken
    assert k + 25 < announced < taken < announced + 50
    assert (taken_over.refusals, "no progress" in taken_over.reason) == (0, True)
    modes = [tick.output.mode for tick in ticks]
    assert set(modes[:announced]) == {Mode.RELEASING, Mode.AUTONOMOUS}
    assert set(modes[announced:taken]) == {Mode.ALIGNING}
    assert modes[taken] is Mode.HUMAN
    assert_smooth(ticks)
    jump_m, jump_rad, jump_hand = step_sizes(ticks[taken - 1].output.command, ticks[taken].output.command)
    assert jump_m < 1e-4 and jump_rad < 2e-4 and jump_hand < 1e-6
    # Nothing of the policy's is executed after the switch, though a chunk was under way.
    switched = [tick.output for tick in ticks[taken:]]
    assert {output.epoch for output in switched if output.mode is Mode.HUMAN} == {
        ticks[taken - 1].output.epoch + 1
    }
    assert Source.POLICY not in {output.source for output in switched}
    assert_recorded(result, ticks)


def assert_recorded(result: EpisodeResult, ticks: list[Tick]) -> None:
    assert result.bag is not None
    bag = summarise(result.bag)
    (episode,) = bag.episodes
    assert (episode.kind, episode.outcome, episode.operator) == ("rollout", "success", "virtual")
    counts = {topic.name: topic.count for topic in bag.topics}
    for name in ("/teleop/tracker_pose", "/teleop/glove", "/teleop/action", "/executor/action"):
        assert counts[name] == len(ticks)
    assert counts["/executor/mode"] == sum(tick.output.mode_changed for tick in ticks)


@pytest.mark.parametrize("task", ["drawer", "lid"])
def test_a_stall_is_corrected_in_the_other_tasks(task: str) -> None:
    cell = LockstepCell(LockstepConfig(cell=CellConfig(task=task)))
    commands = demonstrate(cell, 1, "grasped")
    result, ticks = corrected(cell, stalled(commands, len(commands) // 3), 1)
    assert result.success, result
    assert len(result.interventions) == 1
    assert_smooth(ticks)


def test_handing_back_it_watches_on_and_takes_over_again(carried: np.ndarray) -> None:
    cell = LockstepCell(LockstepConfig(operator=OperatorConfig(hand_back=True)))
    first, second = 15, len(carried) - 35
    commands = stalled(stalled(carried, second), first)
    result, ticks = corrected(cell, commands, 1)
    assert result.success, result
    assert len(result.interventions) == 2
    one, two = result.interventions
    assert one.ended is not None and one.taken < one.ended < two.announced
    after = [tick.output for tick in ticks[one.ended : two.announced]]
    assert after[0].mode is Mode.RELEASING
    assert Source.POLICY in {output.source for output in after}
    assert Source.HUMAN not in {output.source for output in after}
    assert_smooth(ticks)


def test_same_seed_same_correction(lockstep: LockstepCell, carried: np.ndarray) -> None:
    commands = stalled(carried, 30)
    runs = [corrected(lockstep, commands, 1) for _ in range(2)]
    assert runs[0][0].interventions == runs[1][0].interventions
    rows = [np.array([tick.output.command for tick in ticks]) for _, ticks in runs]
    np.testing.assert_array_equal(rows[0], rows[1])


def test_who_only_watches_changes_nothing(lockstep: LockstepCell, carried: np.ndarray) -> None:
    watched, ticks = corrected(lockstep, carried, 1)
    alone: list[np.ndarray] = []
    request = EpisodeRequest("rollout", "grasped", 1, Replay(carried))
    assert run_episode(lockstep, request, lambda tick: alone.append(tick.output.command)).success
    assert watched.interventions == ()
    np.testing.assert_array_equal(alone, [tick.output.command for tick in ticks])


def test_refused_it_aligns_on_and_asks_again(carried: np.ndarray) -> None:
    strict = LockstepConfig(
        executor=ExecutorConfig(takeover_max_rotation_rad=0.02, takeover_max_hand=0.05),
        operator=OperatorConfig(rest_rad=1.2, ready_s=0.04),
    )
    result, ticks = corrected(LockstepCell(strict), stalled(carried, 30), 1)
    assert result.success, result
    (taken_over,) = result.interventions
    assert taken_over.refusals > 0
    asked = [i for i, tick in enumerate(ticks) if tick.signals and ModeEvent.TAKEOVER in tick.signals.events]
    assert len(asked) == taken_over.refusals + 1
    assert asked[-1] == taken_over.taken
    assert ticks[asked[0] - 1].human is not None
    assert ticks[asked[0] - 1].human.misalignment.rotation_rad < 0.35 + 0.05


def test_a_bottle_that_falls_is_not_taken_over(lockstep: LockstepCell, carried: np.ndarray) -> None:
    def knock_over(tick: Tick) -> None:
        task, data = lockstep.cell.task, lockstep.cell.data
        assert isinstance(task, BottleTask)
        if lockstep.tick_index == 20:
            task.put(data, np.array([0.5, -0.2, 0.03]), 0.0, data.mocap_pos[0, :2].copy(), np.pi / 2)

    request = EpisodeRequest("rollout", "grasped", 1, Replay(lets_go(carried, 15)), correct=True)
    result = run_episode(lockstep, request, knock_over)
    assert (result.outcome, result.reason, result.interventions) == ("failure", "bottle fell over", ())


def test_who_saw_the_attempt_fail_takes_over_before_it_fails_again(lockstep: LockstepCell) -> None:
    """A hand that comes 5 cm beside the bottle knocks it over: seen tipping, it cannot be saved any more."""
    commands = offset(demonstrate(lockstep, 1), 30, (0.0, 0.05))
    attempt = run_episode(lockstep, EpisodeRequest("rollout", "initial", 1, Replay(commands)))
    assert (attempt.outcome, attempt.reason) == ("failure", "bottle fell over")
    surprised, _ = corrected(lockstep, commands, 1, "initial")
    assert surprised.outcome == "failure" and surprised.interventions[0].reason == "bottle tips"
    foreseen, ticks = corrected(lockstep, commands, 1, "initial", failed_after_s=attempt.duration_s)
    (taken_over,) = foreseen.interventions
    assert foreseen.success and taken_over.reason == FORESEEN
    lead_s = attempt.duration_s - 0.04 * taken_over.announced
    assert 0.6 * 2.5 - 0.04 <= lead_s <= 1.6 * 2.5 + 0.04  # people differ
    assert_smooth(ticks)


def test_only_rollouts_are_corrected() -> None:
    with pytest.raises(ValueError, match="rollout"):
        EpisodeRequest(correct=True)
    with pytest.raises(ValueError, match="give correct too"):
        EpisodeRequest("rollout", policy=Replay(np.zeros((1, 15))), failed_after_s=1.0)


def test_it_rests_until_the_alarm_and_asks_only_once_it_is_aligned() -> None:
    cell = Cell()
    state, scene = cell.observe(), cell.scene()
    command = pack(state.tcp_T, state.hand)
    config = OperatorConfig(rest_rad=2.5, oracle=OracleConfig(patience_s=0.5), patience_spread=0.0)
    operator, mode = VirtualOperator(config), Mode.AUTONOMOUS
    operator.begin(2, state, watching=True)
    pressed: dict[ModeEvent, float] = {}
    rotations: list[np.ndarray] = []
    for t in np.arange(0.0, 4.0, 0.04):
        signals = operator.step(t, scene, state, mode, command)
        rotations.append(signals.tracker_T[:3, :3])
        for event in signals.events:
            pressed.setdefault(event, t)
            mode = Mode.ALIGNING
    assert list(pressed) == [ModeEvent.ALIGN, ModeEvent.TAKEOVER]
    assert pressed[ModeEvent.ALIGN] == pytest.approx(0.5 + config.reaction_s, abs=0.05)
    turned = [np.arccos(np.clip((np.trace(R @ rotations[0].T) - 1) / 2, -1, 1)) for R in rotations]
    assert max(turned[: round(pressed[ModeEvent.ALIGN] * 25)]) < 0.02  # tremor alone
    # The wrist takes its time at human speed, and has turned before it asks.
    assert pressed[ModeEvent.TAKEOVER] - pressed[ModeEvent.ALIGN] > (turned[-1] - config.ask_rad) / 1.4
    assert turned[-1] > 0.5


def test_the_log_tells_announcement_takeover_refusals_and_end() -> None:
    log = InterventionLog()
    align, ask = ModeEvent.ALIGN, ModeEvent.TAKEOVER
    rows = [
        (Mode.AUTONOMOUS, []),
        (Mode.ALIGNING, [align]),
        (Mode.ALIGNING, [ask]),
        (Mode.HUMAN, [ask]),
        (Mode.RELEASING, [ModeEvent.RELEASE]),
        (Mode.AUTONOMOUS, []),
        (Mode.ALIGNING, [align]),
        (Mode.AUTONOMOUS, [ModeEvent.CANCEL]),
        (Mode.ALIGNING, [align]),
        (Mode.HUMAN, [ask]),
    ]
    for index, (mode, events) in enumerate(rows):
        log.tick(index, mode, events, "bottle tips" if events else "")
    first = Intervention(1, 3, 4, 1, "bottle tips")
    assert log.interventions == [first, replace(first, announced=8, taken=9, ended=None, refusals=0)]


def test_a_judged_attempt_that_gets_no_further_fails_where_one_alone_goes_on(
    lockstep: LockstepCell, carried: np.ndarray
) -> None:
    alone = EpisodeRequest("rollout", "grasped", 1, Replay(stalled(carried, 30, ticks=240)))
    result = run_episode(lockstep, replace(alone, judged=True))
    assert (result.outcome, result.reason[:33]) == ("failure", "given up, no progress for 8 s: ca")
    assert 8.0 < result.duration_s < 10.0
    assert run_episode(lockstep, alone).outcome == "success"
