"""Re-clutching: pause the coupling, turn the wrist back, couple again, and nothing moves."""

import numpy as np
import pytest
from strategies import action_at

from dexpie_core import se3
from dexpie_core.executor import Executor, HumanAction, Source
from dexpie_core.follower import FollowerConfig, HumanFollower
from dexpie_core.limits import step_sizes
from dexpie_core.modes import Mode, ModeEvent
from dexpie_core.tremor import TremorConfig

DT = 0.04
START = action_at(0.3, 0.0, 0.3, hand=0.5)


class Operator:
    """A wrist, open fingers, and the follower between them and the executor."""

    def __init__(self) -> None:
        self.core = Executor()
        self.core.reset(START)
        self.follower = HumanFollower(FollowerConfig(tremor=TremorConfig()))
        self.tracker = np.eye(4)
        self.hand = np.full(6, 0.5)
        self.epoch = 0
        self.now_s = 0.0
        self.offer()

    def offer(self) -> None:
        core, action = self.core, self.core.last_command
        error = self.follower.misalignment(self.tracker, self.hand, core.last_command)
        if core.mode is Mode.HUMAN:
            if self.epoch != core.epoch:
                self.follower.clutch(self.now_s, self.tracker, core.last_command)
                self.epoch = core.epoch
            action = self.follower.action(self.now_s, self.tracker, self.hand)
        core.offer_human(HumanAction(self.now_s, self.epoch, action, error))

    def press(self):
        reply = self.core.request_target_mode(Mode.HUMAN, self.now_s, "key")
        self.offer()
        return reply

    def move(self, ticks: int, metres: float = 0.0, radians: float = 0.0) -> list:
        """Ticks in which the wrist moves along its x and turns about it, so much a tick."""
        outs = []
        for _ in range(ticks):
            self.now_s += DT
            way = se3.make(se3.rotation_from_rotvec([radians, 0.0, 0.0]), [metres, 0.0, 0.0])
            self.tracker = self.tracker @ way
            self.offer()
            outs.append(self.core.tick(self.now_s))
        return outs


@pytest.fixture
def operator() -> Operator:
    operator = Operator()
    assert operator.press().accepted
    return operator


def test_a_cap_is_turned_further_than_a_wrist_turns(operator):
    turned = 0.0
    for _ in range(3):
        before = operator.core.last_command
        operator.move(25, radians=0.04)
        operator.move(25)  # the filter arrives
        turned += step_sizes(before, operator.core.last_command)[1]
        assert operator.press().accepted
        assert "coupling paused" in operator.core.reason
        held = operator.core.last_command
        outs = operator.move(25, radians=-0.04)
        assert all(o.source is Source.HOLD and o.mode is Mode.HUMAN for o in outs)
        assert all(step_sizes(held, o.command)[1] < 1e-9 for o in outs)
        reply = operator.press()
        assert reply.accepted, reply.message  # although the wrist is 57 degrees away from the robot's
        assert "coupled again" in operator.core.reason
        metres, radians, hand = step_sizes(held, operator.move(1)[0].command)
        assert metres < 1e-4 and radians < np.radians(0.01) and hand < 1e-9
        operator.move(13)
    assert turned == pytest.approx(3.0, abs=0.01)


def test_one_key_press_that_arrives_twice_is_one(operator):
    reply = operator.press()
    assert not reply.accepted and "same key twice" in reply.message
    assert operator.move(1)[0].source is Source.HUMAN


def test_fingers_are_absolute_and_must_fit_before_it_couples_again(operator):
    operator.move(13)
    assert operator.press().accepted
    operator.hand = np.array([0.5, 0.5, 0.5, 1.3, 0.5, 0.5])
    operator.move(13)
    reply = operator.press()
    assert not reply.accepted
    assert reply.message == "not aligned: index 0.80 (at most 0.60 of the travel)"


def test_while_it_is_paused_a_silent_tracker_is_a_fault_and_hand_back_and_stop_work(operator):
    operator.move(13)
    assert operator.press().accepted
    assert operator.core.tick(operator.now_s + 0.3).mode is Mode.FAULT
    for event, after in ((ModeEvent.RELEASE, Mode.RELEASING), (ModeEvent.STOP, Mode.IDLE)):
        other = Operator()
        other.press()
        other.move(13)
        assert other.press().accepted
        assert other.core.request_mode(event, other.now_s).accepted
        assert other.core.mode is after
        other.move(1)
        other.core.request_mode(ModeEvent.STOP, other.now_s)
        assert other.press().accepted, "a new takeover is coupled"
        other.hand = np.full(6, 0.45)
        moved = other.move(10, metres=0.01)[-1]
        assert moved.source is Source.HUMAN and moved.command[0] > START[0] + 0.05
