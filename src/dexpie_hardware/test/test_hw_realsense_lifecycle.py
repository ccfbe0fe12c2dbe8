"""The life of a camera and the watchdog that judges its silence, in a time of their own."""

import itertools

import numpy as np
import pytest

from dexpie_hardware.realsense.lifecycle import (
    MAX_STUCK_CALLS,
    TRANSITIONS,
    Event,
    Lifecycle,
    Limits,
    State,
)
from dexpie_hardware.realsense.watchdog import FrameWatchdog, Verdict

LIMITS = Limits(
    retry_period_s=0.5,
    open_deadline_s=15.0,
    close_deadline_s=2.0,
    first_frame_s=5.0,
    silence_s=0.1,
    lost_s=1.0,
)
TICK_S = 0.005


class Driver:
    """Ticks a lifecycle as the node does, and remembers what was due."""

    def __init__(self):
        self.now_s = 100.0
        self.life = Lifecycle(LIMITS, self.now_s)
        self.due = []

    def run(self, seconds, *, frames=False, stuck_calls=0):
        for _ in range(round(seconds / TICK_S)):
            self.now_s += TICK_S
            if frames:
                self.life.frame(self.now_s, self.now_s)
            due = self.life.due(self.now_s, stuck_calls)
            if due is not None:
                self.due.append((round(self.now_s - 100.0, 3), due[0]))
                self.life.handle(due[0], self.now_s, due[1])

    def tell(self, event, detail=""):
        return self.life.handle(event, self.now_s, detail)

    def stream(self):
        self.run(TICK_S)
        self.tell(Event.OPENED)
        self.run(0.5, frames=True)
        assert self.life.state is State.STREAMING
        self.due.clear()


@pytest.fixture
def driver():
    return Driver()


@pytest.fixture
def streaming(driver):
    driver.stream()
    return driver


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_what_is_not_in_the_table_changes_nothing(state, event):
    life = Lifecycle(LIMITS, 0.0)
    life.state = state
    taken = life.handle(event, 1.0, "detail")
    assert taken is ((state, event) in TRANSITIONS)
    if not taken:
        assert (life.state, life.trouble) == (state, "")


def test_every_state_can_be_reached_and_only_the_end_of_a_file_is_final():
    reached = {State.WAITING} | set(TRANSITIONS.values())
    left = {state for state, _ in TRANSITIONS}
    assert reached == set(State)
    assert set(State) - left == {State.ENDED}


def test_it_looks_at_once_and_again_after_every_retry_period(driver):
    for _ in range(400):
        driver.run(TICK_S)
        if driver.life.state is State.OPENING:
            driver.tell(Event.FAILED, "no camera")
    looks_s = [time_s for time_s, _ in driver.due]
    assert looks_s[0] == TICK_S
    assert np.diff(looks_s) == pytest.approx([0.5] * 3, abs=2 * TICK_S)
    assert driver.life.looks == 4
    assert driver.life.trouble == "no camera"


def test_a_look_that_is_due_can_be_hurried(driver):
    driver.run(TICK_S)
    driver.tell(Event.FAILED, "no camera")
    driver.life.hurry(driver.now_s)
    driver.due.clear()
    driver.run(2 * TICK_S)
    assert driver.due == [(2 * TICK_S, Event.LOOK)]


def test_the_trouble_is_over_with_the_first_frame_and_not_before(driver):
    driver.run(TICK_S)
    driver.tell(Event.FAILED, "no camera")
    driver.run(0.6)
    driver.tell(Event.OPENED)
    assert driver.life.trouble == "no camera"
    driver.run(TICK_S, frames=True)
    assert driver.life.trouble == ""
    assert driver.life.state is State.STREAMING


def test_silence_is_told_after_a_few_periods_and_ends_the_session_after_a_second(streaming):
    begin_s = streaming.now_s - 100.0
    streaming.run(1.2)
    told = [(round(time_s - begin_s, 3), event) for time_s, event in streaming.due]
    assert [event for _, event in told] == [Event.SILENCE, Event.LOST]
    assert told[0][0] == pytest.approx(0.1, abs=2 * TICK_S)
    assert told[1][0] == pytest.approx(1.0, abs=2 * TICK_S)
    assert streaming.life.state is State.CLOSING
    assert "no frame for 1 s" in streaming.life.trouble


def test_a_short_silence_is_over_with_the_next_frame(streaming):
    streaming.run(0.3)
    assert streaming.life.state is State.SILENT
    assert streaming.life.trouble.startswith("no frame for 1")
    streaming.run(TICK_S, frames=True)
    assert streaming.life.state is State.STREAMING
    assert streaming.life.trouble == ""
    assert streaming.life.losses == 0


def test_a_camera_that_opens_but_sends_nothing_is_lost_after_its_time(driver):
    driver.run(TICK_S)
    driver.tell(Event.OPENED)
    driver.run(4.9)
    assert driver.life.state is State.STARTED
    driver.run(0.2)
    assert driver.life.state is State.CLOSING
    assert "no frame for 5 s" in driver.life.trouble


def test_unplugging_ends_the_session_at_once_and_it_is_looked_for_again(streaming):
    streaming.tell(Event.LOST, "unplugged")
    assert streaming.life.state is State.CLOSING
    streaming.tell(Event.CLOSED)
    streaming.run(0.51)
    assert streaming.life.state is State.OPENING
    assert streaming.life.trouble == "unplugged"
    assert streaming.life.losses == 1


def test_a_closing_that_hangs_is_given_up_and_says_so(streaming):
    streaming.tell(Event.LOST, "unplugged")
    streaming.run(1.9)
    assert streaming.life.state is State.CLOSING
    streaming.run(0.2)
    assert streaming.life.state is State.WAITING
    assert streaming.life.trouble == "unplugged; closing did not return within 2 s: given up"
    assert streaming.life.stuck == 1
    streaming.run(0.6, stuck_calls=1)
    assert streaming.life.state is State.OPENING


def test_an_opening_that_hangs_is_given_up(driver):
    driver.run(15.2)
    assert [event for _, event in driver.due] == [Event.LOOK, Event.STUCK]
    assert "opening did not return within 15 s" in driver.life.trouble


def test_too_many_calls_that_hang_end_the_trying_until_one_returns(driver):
    driver.run(2.0, stuck_calls=MAX_STUCK_CALLS)
    assert driver.due == []
    assert "restart this node" in driver.life.trouble
    driver.run(TICK_S, stuck_calls=MAX_STUCK_CALLS - 1)
    assert driver.life.state is State.OPENING


def test_a_file_ends_once(streaming):
    streaming.run(0.2)
    streaming.tell(Event.FINISHED)
    streaming.run(5.0)
    assert streaming.life.state is State.ENDED
    assert streaming.life.openings == 1


def test_the_watchdog_does_not_count_time_in_which_nobody_watched():
    watchdog = FrameWatchdog(silence_s=0.1, lost_s=1.0, first_frame_s=5.0)
    watchdog.opened(0.0)
    watchdog.frame(0.01)
    assert watchdog.judge(0.02) is Verdict.ALIVE
    assert watchdog.judge(3.02) is Verdict.ALIVE  # the process stood still; frames may lie waiting
    assert watchdog.judge(3.10) is Verdict.ALIVE
    assert watchdog.judge(3.12) is Verdict.SILENT


def test_the_watchdog_knows_the_limits_of_the_first_frame_and_of_the_next():
    watchdog = FrameWatchdog(silence_s=0.1, lost_s=1.0, first_frame_s=5.0)
    watchdog.opened(10.0)
    waiting = [watchdog.judge(10.0 + 0.06 * k) for k in range(1, 100)]
    assert waiting.index(Verdict.LOST) == 83  # at 5.04 s
    assert Verdict.SILENT not in waiting
    watchdog.frame(15.94)
    silence = [watchdog.judge(15.94 + 0.06 * k) for k in range(1, 20)]
    assert silence == [Verdict.ALIVE] + [Verdict.SILENT] * 15 + [Verdict.LOST] * 3
