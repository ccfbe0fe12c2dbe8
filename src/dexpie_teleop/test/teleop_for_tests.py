"""What the tests of executor and follower play: an arm with a hand, an operator's devices, key presses."""

import time
from itertools import pairwise
from typing import Any

import numpy as np

from dexpie_core import messages, se3, topics
from dexpie_core.action_space import pack
from dexpie_core.executor import HumanAction
from dexpie_core.follower import Misalignment
from dexpie_core.limits import MotionLimits, step_sizes
from dexpie_core.modes import Mode
from dexpie_core.retargeting import glove_from_hand
from dexpie_ros.factory import make
from dexpie_ros.testing import Peer

HOME = se3.make(se3.rotation_from_rotvec([0.0, np.pi / 2, 0.0]), [0.4, 0.1, 0.3])
HAND = np.full(6, 0.9)
START = pack(HOME, HAND)
ALIGNED = Misalignment(0.0, np.zeros(6))


class FakeArm:
    """An arm that stays where it is, and an operator whose wish the test sets."""

    def __init__(self, peer: Peer) -> None:
        self.ready = True
        self.hand_error = 0
        self.hand_on = True
        self.human: HumanAction | None = None
        self._tcp = peer.advertise(topics.TCP_POSE)
        self._hand = peer.advertise(topics.HAND_STATE)
        self._status = peer.advertise(topics.ARM_STATUS)
        self._action = peer.advertise(topics.TELEOP_ACTION)

    def publish(self) -> None:
        stamp_ns = time.time_ns()
        self._tcp.publish(messages.pose_stamped(make, HOME, stamp_ns))
        if self.hand_on:
            error = [self.hand_error] * 6
            self._hand.publish(messages.hand_state(make, HAND, np.zeros(6), stamp_ns, error=error))
        self._status.publish(messages.arm_status(make, stamp_ns, ready=self.ready))
        if self.human is not None:
            self._action.publish(messages.action(make, self.human, stamp_ns))


class Devices:
    """Tracker and glove of an operator; the test sets where wrist and fingers are."""

    def __init__(self, peer: Peer, tracker_T: se3.Array, hand: se3.Array) -> None:
        self.tracker_T = tracker_T
        self.hand = hand
        self.glove_on = True
        self.tracker_sane = True
        self.way_m = np.zeros(3)  # of the wrist from one sample to the next, in its own axes
        self._tracker = peer.advertise(topics.TRACKER_POSE)
        self._glove = peer.advertise(topics.GLOVE)

    def publish(self) -> None:
        stamp_ns = time.time_ns()
        self.tracker_T = self.tracker_T @ se3.make(np.eye(3), self.way_m)
        frame = messages.TRACKER_FRAME
        tracker = messages.pose_stamped(make, self.tracker_T, stamp_ns, frame)
        if not self.tracker_sane:
            tracker.pose.position.x = float("nan")
        self._tracker.publish(tracker)
        if self.glove_on:
            self._glove.publish(messages.glove_state(make, glove_from_hand(self.hand), stamp_ns))


def set_mode(peer: Peer, mode: Mode) -> Any:
    """Ask the executor for a mode."""
    return peer.call(topics.SET_MODE_SERVICE, "dexpie_msgs/srv/SetMode", mode=int(mode), reason="test")


def has(mode: Mode) -> Any:
    """Whether any of the messages found is of a mode."""
    return lambda found: any(messages.mode_of(m) is mode for m in found)


def assert_within_limits(executed: list[Any]) -> None:
    """No step between two executed actions is beyond the default limits."""
    limits = MotionLimits()
    rows = [messages.action15(m) for m in executed]
    for before, after in pairwise(rows):
        linear_m, angular_rad, hand = step_sizes(before, after)
        assert linear_m <= limits.linear_step_m + 1e-9
        assert angular_rad <= limits.angular_step_rad + 1e-9
        assert hand <= limits.hand_step + 1e-9
