"""The stop escalation: times by hand, no processes."""

import signal

from hypothesis import given
from hypothesis import strategies as st

from dexpie.stopping import DEADLINE_S, KILL_AT_S, StopEscalation


def test_signals_come_at_their_times() -> None:
    stop = StopEscalation(started_s=100.0)
    assert stop.due(100.0) == (signal.SIGINT,)
    assert stop.due(100.5) == ()
    assert stop.next_s(100.5) == 0.5
    assert stop.due(101.0) == (signal.SIGTERM,)
    assert stop.due(101.0) == ()
    assert stop.due(101.75) == (signal.SIGKILL,)
    assert stop.next_s(101.75) is None


def test_a_late_look_hands_out_everything_in_order() -> None:
    assert StopEscalation(0.0).due(9.0) == (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def test_asking_twice_skips_to_the_kill() -> None:
    stop = StopEscalation(50.0)
    assert stop.due(50.0) == (signal.SIGINT,)
    stop.hurry(50.25)
    assert stop.due(50.25) == (signal.SIGKILL,)
    assert stop.next_s(50.25) is None


def test_hurry_after_the_kill_sends_nothing_more() -> None:
    stop = StopEscalation(0.0)
    stop.due(5.0)
    stop.hurry(6.0)
    assert stop.due(6.0) == ()


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=20))
def test_each_signal_once_and_in_order_however_often_one_looks(times: list[float]) -> None:
    stop = StopEscalation(0.0)
    sent = [which for now_s in sorted(times) for which in stop.due(now_s)]
    assert sent == [signal.SIGINT, signal.SIGTERM, signal.SIGKILL][: len(sent)]
    assert (signal.SIGKILL in sent) == (max(times) >= KILL_AT_S)


def test_the_kill_comes_before_the_deadline() -> None:
    assert KILL_AT_S < DEADLINE_S
