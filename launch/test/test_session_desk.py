"""What a session does next and what it answers to its operator: by hand, without ROS."""

from __future__ import annotations

import pytest

from dexpie.session_desk import Answer, SessionDesk
from dexpie.session_prompts import prompt_for
from dexpie_core.collection import CollectedEpisode, CollectionPlan, Phase, PlannedEpisode
from dexpie_msgs.msg import CollectionStatus


def a_desk(episodes: int = 4) -> SessionDesk:
    return SessionDesk(CollectionPlan(("initial", "grasped"), episodes, corrections=True), [])


def record(desk: SessionDesk, name: str, outcome: str) -> None:
    assert desk.planned is not None
    desk.add(CollectedEpisode(name, desk.planned.stage, desk.planned.seed, outcome, desk.planned.pair_id))  # type: ignore[arg-type]


def test_phases_are_those_of_the_message() -> None:
    assert {phase.name: int(phase) for phase in Phase} == {
        name: getattr(CollectionStatus, name) for name in Phase.__members__
    }


def test_it_walks_the_protocol_and_ends() -> None:
    desk = a_desk(3)
    walked = []
    for name, outcome in (("a", "failure"), ("c", "success"), ("b", "success")):
        walked.append(desk.plan_next())
        record(desk, name, outcome)
    assert walked == [
        PlannedEpisode("initial", 0), PlannedEpisode("initial", 0, "a"), PlannedEpisode("grasped", 1),
    ]  # fmt: skip
    assert desk.plan_next() is None
    assert (desk.phase, desk.count) == (Phase.FINISHED, 3)


def test_a_discarded_episode_is_planned_again() -> None:
    desk = a_desk()
    first = desk.plan_next()
    record(desk, "a", "discard")
    assert desk.plan_next() == first
    assert desk.count == 0


@pytest.mark.parametrize("phase", list(Phase))
def test_only_a_waiting_session_is_continued(phase: Phase) -> None:
    desk = a_desk()
    desk.plan_next()
    desk.enter(phase)
    assert desk.ask_continue().accepted is desk.continued is (phase is Phase.WAITING)


def test_a_continuation_is_forgotten_with_its_prompt() -> None:
    desk = a_desk()
    desk.plan_next()
    desk.enter(Phase.WAITING, "put it back")
    desk.ask_continue()
    desk.enter(Phase.ATTEMPT)
    assert (desk.continued, desk.prompt) == (False, "")


def test_stop_lets_the_episode_end_and_nothing_follow() -> None:
    desk = a_desk()
    desk.plan_next()
    desk.enter(Phase.ATTEMPT)
    assert desk.ask_stop() == Answer(True, "stopping after this episode")
    assert desk.ask_stop() == Answer(False, "the collection is stopped already")
    record(desk, "a", "failure")
    assert desk.plan_next() is None
    assert not desk.ask_stop().accepted
    assert not desk.ask_next_stage().accepted


def test_the_next_stage_comes_at_once_while_nothing_runs() -> None:
    desk = a_desk()
    desk.plan_next()
    desk.enter(Phase.WAITING, "put it back")
    assert desk.ask_next_stage() == Answer(True, "stage grasped now")
    assert desk.left
    assert desk.plan_next() == PlannedEpisode("grasped", 0)
    assert not desk.left


def test_the_next_stage_comes_after_the_running_episode_and_the_stage_is_come_back_to() -> None:
    desk = a_desk()
    desk.plan_next()
    desk.enter(Phase.ATTEMPT)
    assert desk.ask_next_stage() == Answer(True, "stage grasped after this episode")
    assert not desk.left
    record(desk, "a", "failure")
    for name in "bc":
        assert desk.plan_next().stage == "grasped"  # type: ignore[union-attr]
        record(desk, name, "success")
    assert desk.plan_next() == PlannedEpisode("initial", 0, "a")


def test_there_may_be_no_other_stage() -> None:
    desk = SessionDesk(CollectionPlan(("initial",), 2), [])
    desk.plan_next()
    assert desk.ask_next_stage() == Answer(False, "no other stage than initial wants episodes")


def test_prompts_say_what_to_do_with_the_real_scene_and_what_was_done_with_a_simulated_one() -> None:
    attempt, again = PlannedEpisode("grasped", 7), PlannedEpisode("initial", 7, "bottle-1")
    assert prompt_for(attempt, "lid", False, False) == (
        "bring robot and objects to stage grasped, the objects at a new place; "
        "the policy will drive: watch, and judge it"
    )
    assert prompt_for(again, "bottle", False, False) == (
        "bring robot and objects back to where bottle-1 began (the start of task bottle); "
        "the policy will drive: take over before it fails"
    )
    assert prompt_for(attempt, "lid", True, True) == (
        "the scene is at stage grasped, seed 7; you will show the task"
    )
    assert prompt_for(again, "lid", True, False, "protective stop").endswith("protective stop; recover it")
