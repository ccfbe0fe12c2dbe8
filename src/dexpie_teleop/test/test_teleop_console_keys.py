"""Which key means what in which mode, and which presses count."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_core import topics
from dexpie_core.modes import EVENT_FOR_REQUEST, Mode
from dexpie_teleop.console.keys import (
    BOUNCE_S,
    CONFIRM_WITHIN_S,
    HELD_S,
    KEYS,
    TARGETS,
    Action,
    Decision,
    Keypad,
    Situation,
    possible,
)
from dexpie_teleop.console.services import SERVICES, calls_for

RUNNING = {"episode": True, "collection": True, "prompt": True}
MODES = [None, *Mode]


def actions(mode: Mode | None, **there: bool) -> dict[str, Action]:
    return {row.key: row.action for row in possible(Situation(mode, **there))}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (None, {}),
        (Mode.IDLE, {"t": Action.TAKEOVER, "p": Action.START_POLICY}),
        (Mode.AUTONOMOUS, {"t": Action.ALIGN}),
        (Mode.ALIGNING, {"t": Action.TAKEOVER, "c": Action.CANCEL}),
        (Mode.HUMAN, {"r": Action.RECLUTCH, "b": Action.HAND_BACK}),
        (Mode.RELEASING, {"t": Action.TAKEOVER}),
        (Mode.FAULT, {}),
    ],
)
def test_what_a_mode_allows(mode: Mode | None, expected: dict[str, Action]) -> None:
    assert actions(mode) == {"space": Action.STOP, "q": Action.QUIT, **expected}


def test_recovery_is_offered_where_something_has_stopped() -> None:
    assert actions(Mode.FAULT, recovery=True)["v"] is Action.RECOVER
    assert actions(Mode.IDLE, recovery=True)["v"] is Action.RECOVER
    assert "v" not in actions(Mode.AUTONOMOUS, recovery=True)


@pytest.mark.parametrize("mode", MODES)
def test_in_every_mode_a_key_means_one_thing_and_stop_is_there(mode: Mode | None) -> None:
    rows = possible(Situation(mode, recovery=True, **RUNNING))
    assert max(Counter(row.key for row in rows).values()) == 1
    assert rows[0].action is Action.STOP


@pytest.mark.parametrize("mode", list(Mode))
def test_the_executor_knows_what_the_keys_ask_for(mode: Mode) -> None:
    for row in possible(Situation(mode)):
        if row.action in TARGETS and row.action is not Action.STOP:
            assert (mode, TARGETS[row.action]) in EVENT_FOR_REQUEST


def test_episode_and_collection_keys_appear_with_what_they_need() -> None:
    assert set(actions(Mode.IDLE)) == {"space", "t", "p", "q"}
    assert set(actions(Mode.IDLE, episode=True)) == {"space", "t", "p", "q", "s", "f", "d"}
    assert set(actions(None, collection=True)) == {"space", "n", "e", "q"}
    assert actions(None, prompt=True)["enter"] is Action.CONTINUE


def presses(key: str, times_s: list[float], situation: Situation) -> list[Action]:
    pad = Keypad()
    decisions = [pad.press(key, situation, time_s) for time_s in times_s]
    return [decision.action for decision in decisions if decision.action is not None]


ORDINARY = sorted({row.key for row in KEYS if row.action not in (Action.STOP, Action.DISCARD, Action.QUIT)})


@given(
    key=st.sampled_from(ORDINARY),
    delay_s=st.floats(0.0, 0.7),
    periods_s=st.lists(st.floats(0.001, 0.5), max_size=60),
    mode=st.sampled_from(list(Mode)),
    start_s=st.floats(0.0, 1e6),
)
def test_a_held_key_triggers_once(
    key: str, delay_s: float, periods_s: list[float], mode: Mode, start_s: float
) -> None:
    times_s = [start_s, start_s + delay_s]
    for period_s in periods_s:
        times_s.append(times_s[-1] + period_s)
    situation = Situation(mode, recovery=True, **RUNNING)
    meant = key in actions(mode, recovery=True, **RUNNING)
    assert len(presses(key, times_s, situation)) == int(meant)


@given(st.lists(st.floats(HELD_S + 1e-3, 20.0), min_size=1, max_size=20))
def test_presses_that_are_apart_all_count(gaps_s: list[float]) -> None:
    times_s = [0.0]
    for gap_s in gaps_s:
        times_s.append(times_s[-1] + gap_s)
    assert presses("t", times_s, Situation(Mode.IDLE)) == [Action.TAKEOVER] * len(times_s)


@given(st.lists(st.tuples(st.sampled_from(["t", "b", "c", "space", "y", "d", "x"]), st.floats(0.0, 1.0))))
def test_a_bounce_never_counts_twice(moves: list[tuple[str, float]]) -> None:
    pad, now_s, counted = Keypad(), 0.0, {}
    for key, gap_s in moves:
        now_s += gap_s
        decision = pad.press(key, Situation(Mode.ALIGNING, episode=True), now_s)
        if decision.action is not None and key != "y":
            assert now_s - counted.get(key, -1.0) >= BOUNCE_S
            counted[key] = now_s


def test_hammering_on_stop_goes_through_again_and_again() -> None:
    times_s = [0.1 * i for i in range(30)]
    stops = presses("space", times_s, Situation(None))
    assert 9 <= len(stops) <= 3.0 / BOUNCE_S


def test_the_press_that_comes_too_soon_is_told() -> None:
    pad, situation = Keypad(), Situation(Mode.AUTONOMOUS)
    assert pad.press("t", situation, 0.0).action is Action.ALIGN
    assert pad.press("t", situation, 0.1) == Decision()
    assert "too soon" in pad.press("t", situation, 0.5).hint
    assert pad.press("t", Situation(Mode.ALIGNING), 1.3).action is Action.TAKEOVER


def test_discard_needs_its_second_key_in_time() -> None:
    there = Situation(Mode.HUMAN, episode=True)

    def after(*moves: tuple[str, float], last: Situation = there) -> Decision:
        pad = Keypad()
        for key, now_s in moves[:-1]:
            assert pad.press(key, there, now_s).action in (None, Action.STOP)
        return pad.press(moves[-1][0], last, moves[-1][1])

    assert after(("d", 0.0), ("y", 1.9)).action is Action.DISCARD
    assert after(("d", 0.0), ("y", CONFIRM_WITHIN_S + 0.01)) == Decision()
    assert after(("d", 0.0), ("d", 1.0), ("y", 2.5)).action is Action.DISCARD
    assert after(("d", 0.0), ("d", 0.5), ("d", 0.53)).action is None  # a held key
    assert after(("d", 0.0), ("space", 0.5), ("y", 1.0)) == Decision()  # another key takes it back
    assert after(("y", 0.0)) == Decision()
    gone = after(("d", 0.0), ("y", 1.0), last=Situation(Mode.HUMAN))
    assert gone == Decision(hint="discard is not possible any more")


@pytest.mark.parametrize("mode", MODES)
def test_discard_asks_in_every_mode_and_quit_only_while_something_drives(mode: Mode | None) -> None:
    assert presses("d", [0.0], Situation(mode, episode=True)) == []
    quits = presses("q", [0.0], Situation(mode))
    assert quits == ([Action.QUIT] if mode in (None, Mode.IDLE, Mode.FAULT) else [])


def test_a_key_that_means_nothing_now_says_why() -> None:
    def hint(key: str, situation: Situation) -> str:
        return Keypad().press(key, situation, 0.0).hint

    assert hint("b", Situation(Mode.IDLE)) == "hand back: not possible in IDLE"
    assert hint("t", Situation(Mode.FAULT)) == "take over or align: not possible in FAULT"
    assert hint("t", Situation(None)) == "take over or align: no executor is heard"
    assert hint("s", Situation(Mode.HUMAN)) == "success: only while an episode is running"
    assert hint("x", Situation(Mode.HUMAN)) == ""


def test_every_action_calls_the_service_it_means() -> None:
    called = {action: [call.service for call in calls_for(action)] for action in Action}
    mode = topics.SET_MODE_SERVICE
    assert called.pop(Action.QUIT) == []
    assert {service for services in called.values() for service in services} == set(SERVICES) - {
        topics.ARM_RECOVER_SERVICE,
        topics.HAND_RECOVER_SERVICE,
    }
    assert [dict(c.fields) for c in calls_for(Action.TAKEOVER)] == [
        {"mode": int(Mode.HUMAN), "reason": "operator: take over"}
    ]
    assert calls_for(Action.DISCARD)[0].fields["outcome"] == "discard"
    recovery = calls_for(Action.RECOVER, arm_problem="protective stop", hand_problem="hand: stall")
    assert [c.service for c in recovery] == [topics.ARM_RECOVER_SERVICE, topics.HAND_RECOVER_SERVICE, mode]
    assert recovery[-1].fields["mode"] == int(Mode.IDLE)
    assert [c.service for c in calls_for(Action.RECOVER)] == [mode]
