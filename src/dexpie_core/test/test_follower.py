"""The takeover: continuous at the switch, following afterwards."""

import numpy as np
import pytest
from hypothesis import given
from strategies import actions, hands, transforms, vectors

from dexpie_core import se3
from dexpie_core.action_space import pack, unpack
from dexpie_core.follower import FollowerConfig, HumanFollower


@given(vectors, transforms, actions, hands)
def test_no_jump_at_the_switch(rotvec, tracker, command, glove):
    follower = HumanFollower(FollowerConfig(tracker_to_wrist_rotvec_rad=tuple(rotvec)))
    follower.clutch(10.0, tracker, command)
    np.testing.assert_allclose(follower.action(10.0, tracker, glove), command, atol=1e-9)


@given(transforms, transforms, transforms, actions)
def test_the_formula_of_the_paper(world, tracker_0, tracker_1, command):
    follower = HumanFollower()
    follower.clutch(0.0, world @ tracker_0, command)
    T, _ = unpack(follower.action(1.0, world @ tracker_1, np.ones(6)))
    T_0, _ = unpack(command)
    # Equal in every tracker world: the scheme never relies on absolute tracker poses.
    np.testing.assert_allclose(T, T_0 @ se3.invert(tracker_0) @ tracker_1, atol=1e-9)


def test_wrist_forward_is_tcp_forward_with_a_turned_tracker():
    # The tracker's x axis points along the TCP's y axis.
    follower = HumanFollower(FollowerConfig(tracker_to_wrist_rotvec_rad=(0.0, 0.0, np.pi / 2)))
    follower.clutch(0.0, np.eye(4), pack(np.eye(4), np.ones(6)))
    T, _ = unpack(follower.action(1.0, se3.make(np.eye(3), [0.1, 0, 0]), np.ones(6)))
    np.testing.assert_allclose(T[:3, 3], [0, 0.1, 0], atol=1e-12)


def test_ignoring_the_calibration_moves_another_way():
    follower = HumanFollower()
    follower.clutch(0.0, np.eye(4), pack(np.eye(4), np.ones(6)))
    T, _ = unpack(follower.action(1.0, se3.make(np.eye(3), [0.1, 0, 0]), np.ones(6)))
    assert np.linalg.norm(T[:3, 3] - [0, 0.1, 0]) > 0.1


def test_hand_blends_over_the_configured_time():
    follower = HumanFollower(FollowerConfig(hand_blend_s=0.4))
    follower.clutch(0.0, np.eye(4), pack(np.eye(4), np.ones(6)))
    hand_at = [follower.action(t, np.eye(4), np.zeros(6))[9] for t in (0.0, 0.1, 0.2, 0.4, 1.0)]
    np.testing.assert_allclose(hand_at, [1.0, 1 - 0.15625, 0.5, 0.0, 0.0])


def test_misalignment_by_hand():
    world = (0.0, 0.0, np.pi / 2)
    follower = HumanFollower(FollowerConfig(world_to_base_rotvec_rad=world))
    tracker = se3.make(se3.rotation_from_rotvec([0, 0, -np.pi / 2 + 0.2]), [5, 5, 5])
    error = follower.misalignment(tracker, np.full(6, 0.3), pack(np.eye(4), np.ones(6)))
    assert error.rotation_rad == pytest.approx(0.2)
    np.testing.assert_allclose(error.hand, -0.7)


def test_action_before_the_clutch_is_an_error():
    with pytest.raises(RuntimeError, match="clutch"):
        HumanFollower().action(0.0, np.eye(4), np.ones(6))
