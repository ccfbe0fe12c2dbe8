"""The protocol of staged DAgger: by hand, and as properties over any outcomes and interruptions."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_core.collection import (
    CollectedEpisode,
    CollectionPlan,
    PlannedEpisode,
    StageCoverage,
    Unit,
    coverage,
    next_episode,
    next_unit,
    uncorrected,
)
from dexpie_core.episode import Outcome

Judge = Callable[[PlannedEpisode], Outcome]
STAGES = ("initial", "opened", "grasped")
BOTTLE = CollectionPlan(("initial", "grasped"), 6, corrections=True)


def taken(planned: PlannedEpisode, outcome: Outcome) -> CollectedEpisode:
    """The record of a planned episode, under a name that tells all about it."""
    what = "correction" if planned.is_correction else "attempt"
    name = f"{what}-{planned.stage}-{planned.seed}"
    return CollectedEpisode(name, planned.stage, planned.seed, outcome, planned.pair_id)


def walk(plan: CollectionPlan, judge: Judge, recorded: tuple[CollectedEpisode, ...] = ()) -> list[str]:
    """Names of all episodes, one after the other."""
    episodes = list(recorded)
    while planned := next_episode(plan, episodes):
        episodes.append(taken(planned, judge(planned)))
    return [e.episode_id for e in episodes]


def test_a_policy_that_always_fails_is_corrected_each_time() -> None:
    assert walk(BOTTLE, lambda p: "success" if p.is_correction else "failure") == [
        "attempt-initial-0", "correction-initial-0", "attempt-initial-1", "correction-initial-1",
        "attempt-grasped-2", "correction-grasped-2",
    ]  # fmt: skip


def test_a_correction_knows_how_long_the_attempt_went_on() -> None:
    failed = CollectedEpisode("a", "initial", 0, "failure", duration_s=4.2)
    assert next_episode(BOTTLE, [failed]) == PlannedEpisode("initial", 0, "a", 4.2)


def test_a_policy_that_always_succeeds_needs_nobody() -> None:
    assert walk(BOTTLE, lambda p: "success") == [
        *(f"attempt-initial-{seed}" for seed in (0, 1, 2)),
        *(f"attempt-grasped-{seed}" for seed in (3, 4, 5)),
    ]


def test_a_failed_correction_is_not_corrected_again() -> None:
    assert len(walk(BOTTLE, lambda p: "failure")) == 6
    assert walk(BOTTLE, lambda p: "failure").count("correction-initial-0") == 1


def test_only_the_very_last_episode_stays_without_a_correction() -> None:
    plan = CollectionPlan(("initial",), 3, corrections=True)
    episodes: list[CollectedEpisode] = []
    while planned := next_episode(plan, episodes):
        episodes.append(taken(planned, "failure"))
    assert [e.episode_id for e in uncorrected(plan, episodes)] == ["attempt-initial-1"]


def test_rollouts_alone_are_attempts_alone() -> None:
    plan = CollectionPlan(("initial",), 3, first_seed=10)
    assert walk(plan, lambda p: "failure") == [f"attempt-initial-{seed}" for seed in (10, 11, 12)]


def test_shares_are_even_and_the_remainder_goes_to_the_earlier_stages() -> None:
    rows = coverage(CollectionPlan(STAGES, 8), ())
    assert [row.quota for row in rows] == [3, 3, 2]


def test_a_correction_beyond_the_share_takes_its_place_from_the_others() -> None:
    attempts = [
        CollectedEpisode("a0", "initial", 0, "success"),
        CollectedEpisode("a1", "initial", 1, "success"),
        CollectedEpisode("a2", "initial", 2, "failure"),
    ]
    assert next_episode(BOTTLE, attempts) == PlannedEpisode("initial", 2, "a2")
    four = [*attempts, CollectedEpisode("c2", "initial", 2, "success", "a2")]
    assert coverage(BOTTLE, four) == (
        StageCoverage("initial", quota=4, episodes=4, attempts=3, successes=2),
        StageCoverage("grasped", quota=2, episodes=0, attempts=0, successes=0),
    )


def test_discarded_and_foreign_episodes_do_not_count() -> None:
    episodes = [
        CollectedEpisode("cut-off", "initial", 0, "discard"),
        CollectedEpisode("of another stage", "opened", 1, "success"),
        CollectedEpisode("of another seed", "initial", 100, "success"),
    ]
    assert next_episode(BOTTLE, episodes) == PlannedEpisode("initial", 0)
    assert sum(row.episodes for row in coverage(BOTTLE, episodes)) == 0


def test_the_same_bag_twice_counts_once() -> None:
    episode = CollectedEpisode("a", "initial", 0, "success")
    assert coverage(BOTTLE, [episode, episode])[0].episodes == 1


def test_a_stage_that_is_left_early_is_come_back_to() -> None:
    failed = CollectedEpisode("a", "initial", 0, "failure")
    assert next_episode(BOTTLE, [failed], "grasped") == PlannedEpisode("grasped", 1)
    assert next_episode(BOTTLE, [failed], "initial") == PlannedEpisode("initial", 0, "a")
    full = [CollectedEpisode(f"g{seed}", "grasped", seed, "success") for seed in (1, 2, 3)]
    assert next_episode(BOTTLE, [failed, *full], "grasped") == PlannedEpisode("initial", 0, "a")


def test_a_larger_collection_goes_on_from_a_smaller_one() -> None:
    small = CollectionPlan(("initial", "grasped"), 2)
    recorded = (
        CollectedEpisode("a", "initial", 0, "success"),
        CollectedEpisode("b", "grasped", 1, "success"),
    )
    assert next_episode(small, recorded) is None
    large = CollectionPlan(("initial", "grasped"), 4)
    assert walk(large, lambda p: "success", recorded) == ["a", "b", "attempt-initial-2", "attempt-grasped-3"]


@pytest.mark.parametrize("stages", [(), ("initial", "initial")])
def test_a_plan_without_stages_or_with_one_twice_is_refused(stages: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="at least one, each once"):
        CollectionPlan(stages, 3)


plans = st.builds(
    CollectionPlan,
    st.sampled_from([STAGES[:1], STAGES[:2], STAGES]),
    st.integers(1, 14),
    st.sampled_from([0, 7]),
    st.booleans(),
)
failing_seeds = st.sets(st.integers(0, 20))


def judge_of(failing: set[int]) -> Judge:
    """A cell whose outcome depends on the seed alone; some corrections fail too."""
    return lambda p: "failure" if p.seed in failing and not (p.is_correction and p.seed % 5) else "success"


def assert_fulfilled(plan: CollectionPlan, episodes: list[CollectedEpisode]) -> None:
    """Exactly as many as wanted, each once, and every correction belongs to a failed attempt."""
    kept = {e.episode_id: e for e in episodes if e.outcome != "discard"}
    assert len(kept) == plan.episodes
    corrections = [e for e in kept.values() if e.pair_id]
    assert len({e.pair_id for e in corrections}) == len(corrections)
    for e in corrections:
        attempt = kept[e.pair_id]
        assert (attempt.outcome, attempt.pair_id) == ("failure", "")
        assert (attempt.stage, attempt.seed) == (e.stage, e.seed)
    assert plan.corrections or not corrections
    attempts = [(e.stage, e.seed) for e in kept.values() if not e.pair_id]
    assert len(set(attempts)) == len(attempts)


@given(
    plans, failing_seeds, st.lists(st.sampled_from(["recorded", "discarded", "lost", "left"]), max_size=40)
)
def test_any_interruptions_end_in_exactly_the_wanted_episodes(
    plan: CollectionPlan, failing: set[int], events: list[str]
) -> None:
    """`left`: the operator goes on to the next stage; `lost`: killed before anything was written."""
    episodes: list[CollectedEpisode] = []
    judge, stage, fate = judge_of(failing), "", iter(events)
    while planned := next_episode(plan, episodes, stage):
        event = next(fate, "recorded")
        if event == "left":
            stage = plan.stages[(plan.stages.index(planned.stage) + 1) % len(plan.stages)]
        elif event == "discarded":
            episodes.append(CollectedEpisode("cut-off", planned.stage, planned.seed, "discard"))
        elif event == "recorded":
            episodes.append(taken(planned, judge(planned)))
        assert sum(row.quota for row in coverage(plan, episodes)) == plan.episodes
    assert_fulfilled(plan, episodes)
    if plan.corrections and "left" not in events:
        assert len(uncorrected(plan, episodes)) <= 1


@given(plans, failing_seeds, st.integers(1, 5), st.randoms(use_true_random=False), st.integers(0, 20))
def test_workers_side_by_side_record_what_one_alone_would(
    plan: CollectionPlan, failing: set[int], workers: int, chance: object, kill_at: int
) -> None:
    """Units end in any order; at one moment everything under way is lost, perhaps between attempt and
    correction."""
    episodes: list[CollectedEpisode] = []
    under_way: list[Unit] = []
    judge = judge_of(failing)
    for turn in range(200):
        while len(under_way) < workers and (unit := next_unit(plan, episodes, under_way)):
            under_way.append(unit)
        if not under_way:
            break
        unit = under_way.pop(chance.randrange(len(under_way)))  # type: ignore[attr-defined]
        attempt = taken(unit.episode, judge(unit.episode))
        episodes.append(attempt)
        if turn == kill_at:
            under_way.clear()
        elif unit.correct and attempt.outcome == "failure":
            again = PlannedEpisode(attempt.stage, attempt.seed, attempt.episode_id)
            episodes.append(taken(again, judge(again)))
    assert_fulfilled(plan, episodes)
    assert sorted(e.episode_id for e in episodes) == sorted(walk(plan, judge))


def test_a_worker_does_not_begin_what_may_not_be_needed() -> None:
    plan = CollectionPlan(("initial",), 2, corrections=True)
    first = next_unit(plan, [], [])
    assert first == Unit(PlannedEpisode("initial", 0), correct=True)
    assert next_unit(plan, [], [first]) is None, "its correction may take the second place"
    third = next_unit(CollectionPlan(("initial",), 3, corrections=True), [], [first])
    assert third == Unit(PlannedEpisode("initial", 1), correct=False)
