"""A console that was heard and falls silent stops the robot; one that never was does not."""

import numpy as np
import pytest
from strategies import action_at

from dexpie_core.console_watch import ConsoleWatch
from dexpie_core.executor import Executor, HumanAction
from dexpie_core.follower import Misalignment
from dexpie_core.modes import DRIVING_MODES, Mode, ModeEvent

START = action_at(0.3, 0.0, 0.3)


def driving(mode: Mode, now_s: float = 0.0) -> Executor:
    core = Executor()
    core.reset(START)
    core.offer_human(HumanAction(now_s, 0, START, Misalignment(0.0, np.zeros(6))))
    core.request_mode(ModeEvent.TAKEOVER if mode is Mode.HUMAN else ModeEvent.START, now_s)
    return core


def feed(core: Executor, now_s: float) -> None:
    core.offer_human(HumanAction(now_s, core.epoch, START, Misalignment(0.0, np.zeros(6))))


def test_silence_counts_from_the_last_life_sign():
    watch = ConsoleWatch(1.0)
    assert watch.loss(100.0) == ""
    watch.hear(100.0)
    assert watch.loss(101.0) == ""
    assert watch.loss(101.1) == "console lost: silent for 1.1 s"
    watch.leave()
    assert watch.loss(200.0) == ""


@pytest.mark.parametrize("mode", [Mode.HUMAN, Mode.RELEASING])
def test_a_lost_console_is_idle_with_the_reason(mode):
    core = driving(mode)
    core.offer_console(0.0)
    feed(core, 0.9)
    assert core.tick(0.9).mode is mode
    feed(core, 1.1)
    out = core.tick(1.1)
    assert out.mode is Mode.IDLE
    assert out.reason == "console lost: silent for 1.1 s"
    np.testing.assert_array_equal(out.command, START)


def test_while_it_is_lost_nothing_starts_and_when_it_is_back_everything_does():
    core = driving(Mode.HUMAN)
    core.offer_console(0.0)
    core.tick(1.1)
    for target in (Mode.AUTONOMOUS, Mode.HUMAN):
        assert "console lost" in core.request_target_mode(target, 2.0).message
    assert core.request_target_mode(Mode.IDLE, 2.0).accepted
    core.offer_console(3.0)
    assert core.request_target_mode(Mode.AUTONOMOUS, 3.0).accepted


def test_without_any_console_everything_is_as_ever():
    core = driving(Mode.RELEASING)
    assert core.tick(3600.0).mode in DRIVING_MODES


def test_a_console_that_is_closed_stops_at_once_what_drives_and_is_not_missed_later():
    core = driving(Mode.HUMAN)
    core.offer_console(0.0)
    core.offer_console(0.1, leaving=True)
    out = core.tick(0.1)
    assert (out.mode, out.reason) == (Mode.IDLE, "console left")
    assert core.request_target_mode(Mode.AUTONOMOUS, 60.0).accepted
    assert core.tick(60.0).mode is Mode.RELEASING


def test_in_fault_the_reason_of_the_fault_stays():
    core = driving(Mode.HUMAN)
    core.offer_console(0.0)
    core.request_mode(ModeEvent.FAIL, 0.5, "arm: protective stop")
    core.offer_console(0.6, leaving=True)
    out = core.tick(5.0)
    assert (out.mode, out.reason) == (Mode.FAULT, "arm: protective stop")
