"""Absolute and relative chunks."""

import numpy as np
import pytest
from hypothesis import given
from strategies import action_at, actions, transforms

from dexpie_core import se3
from dexpie_core.action_space import (
    absolute_from_relative,
    pack,
    re_reference,
    relative_from_absolute,
    unpack,
)


def test_relative_of_a_turned_reference_by_hand():
    # The TCP looks along base y; a target 0.1 m further along base y is 0.1 m along the TCP's x.
    reference = se3.make(se3.rotation_from_rotvec([0, 0, np.pi / 2]), [0.3, 0.2, 0.4])
    target = pack(se3.make(reference[:3, :3], [0.3, 0.3, 0.4]), np.full(6, 0.7))
    relative = relative_from_absolute(reference, target)
    np.testing.assert_allclose(relative, [0.1, 0, 0, 1, 0, 0, 0, 1, 0, *[0.7] * 6], atol=1e-12)


@given(transforms, actions)
def test_round_trip(reference, target):
    back = absolute_from_relative(reference, relative_from_absolute(reference, target))
    np.testing.assert_allclose(back, target, atol=1e-12)


@given(transforms, transforms, actions)
def test_re_reference_equals_the_way_through_absolute(old, new, target):
    relative = relative_from_absolute(old, target)
    expected = relative_from_absolute(new, target)
    np.testing.assert_allclose(re_reference(relative, old, new), expected, atol=1e-11)


def test_a_prefix_left_in_the_stale_frame_is_wrong():
    old, new = np.eye(4), se3.make(np.eye(3), [0.05, 0, 0])
    relative = relative_from_absolute(old, action_at(0.1))
    stale = absolute_from_relative(new, relative)
    assert abs(stale[0] - 0.1) == pytest.approx(0.05)
    np.testing.assert_allclose(absolute_from_relative(new, re_reference(relative, old, new))[0], 0.1)


def test_the_hand_is_never_relative():
    action = action_at(hand=0.25)
    _, hand = unpack(relative_from_absolute(se3.make(np.eye(3), [1, 2, 3]), action))
    np.testing.assert_array_equal(hand, np.full(6, 0.25))


def test_wrong_length_is_refused():
    with pytest.raises(ValueError, match="15 numbers"):
        unpack(np.zeros(14))
