"""Messages: every encoder has a decoder that gives the numbers back."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from strategies import action_at, actions, transforms

from dexpie_core import messages, topics, ur5
from dexpie_core.chunk_schedule import Chunk, PrefixRequest
from dexpie_core.executor import HumanAction, Source, TickOutput
from dexpie_core.follower import Misalignment
from dexpie_core.modes import Mode


def make(typename, /, **fields):
    return SimpleNamespace(typename=typename, **fields)


def output(command, **fields) -> TickOutput:
    return TickOutput(7, command, Source.POLICY, Mode.AUTONOMOUS, 3, **fields)


@given(transforms)
def test_pose(T):
    np.testing.assert_allclose(messages.pose_T(messages.pose(make, T)), T, atol=1e-12)


def test_stamp_keeps_every_nanosecond():
    stamp = 1_800_000_000_123_456_789
    assert messages.stamp_ns(messages.pose_stamped(make, np.eye(4), stamp)) == stamp


@given(actions)
def test_executed_action(command):
    message = messages.executed_action(make, output(command, policy_wish=command), 5)
    np.testing.assert_allclose(messages.action15(message), command, atol=1e-9)
    assert (message.tick, message.epoch, message.mode, message.source) == (7, 3, 1, 1)
    assert message.policy_valid


def test_without_a_wish_the_policy_is_not_valid():
    assert not messages.executed_action(make, output(action_at()), 5).policy_valid


@given(actions)
def test_mode_carries_the_reference(command):
    message = messages.mode(make, output(command), 5)
    np.testing.assert_allclose(messages.reference15(message), command, atol=1e-9)
    assert messages.mode_of(message) is Mode.AUTONOMOUS


@given(actions)
def test_human_action(command):
    human = HumanAction(1.0, 4, command, Misalignment(0.25, np.arange(6) / 10))
    back = messages.human_action(messages.action(make, human, 5), 2.0)
    np.testing.assert_allclose(back.action, command, atol=1e-9)
    assert (back.stamp_s, back.epoch, back.misalignment.rotation_rad) == (2.0, 4, 0.25)


@pytest.mark.parametrize("n", [0, 1, 4])
def test_request(n):
    prefix = np.stack([action_at(0.1 * i) for i in range(n)]) if n else np.zeros((0, 15))
    back = messages.prefix_request(messages.chunk_request(make, PrefixRequest(1, 2, 3, prefix), 4, 5))
    assert (back.epoch, back.sequence, back.tick) == (1, 2, 3)
    np.testing.assert_allclose(back.prefix, prefix, atol=1e-12)


def test_chunk():
    targets = np.stack([action_at(0.01 * i, hand=i / 24) for i in range(24)])
    message = messages.action_chunk(make, Chunk(1, 2, 3, targets), np.eye(4), 4, 0.05, "p", 6)
    np.testing.assert_allclose(messages.chunk(message).targets, targets, atol=1e-12)


def test_joint_states_are_matched_by_name():
    message = messages.joint_state(make, np.arange(6.0), np.zeros(6), 0)
    message.name, message.position = message.name[::-1], message.position[::-1]
    np.testing.assert_array_equal(messages.joint_positions(message), np.arange(6.0))
    message.name = ["a", *ur5.JOINT_NAMES[1:]]
    with pytest.raises(ValueError, match="shoulder_pan_joint"):
        messages.joint_positions(message)


def test_topic_names_are_unique_and_images_are_recorded_compressed():
    names = [spec.name for spec in topics.TOPICS]
    assert len(names) == len(set(names))
    recorded = {spec.name for spec in topics.RECORDED}
    assert "/camera/front/color/compressed" in recorded
    assert "/camera/front/color/image_raw" not in recorded
