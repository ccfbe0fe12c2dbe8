"""Glove angles to hand targets."""

import numpy as np
import pytest
from hypothesis import given
from strategies import hands

from dexpie_core.retargeting import CHANNEL_SIGNALS, RetargetConfig, glove_from_hand, hand_from_glove

MIDDLE = {
    "PinkyMCPStretch": 37.5,
    "RingMCPStretch": 45.0,
    "MiddleMCPStretch": 47.5,
    "IndexMCPStretch": 47.5,
    "ThumbMCPStretch": 25.0,
    "ThumbMCPSpread": 15.0,
}


def test_middle_of_every_range_is_half_open():
    np.testing.assert_allclose(hand_from_glove(MIDDLE), np.full(6, 0.5))


def test_channels_are_found_by_name_and_order_does_not_matter():
    angles = {**MIDDLE, "IndexMCPStretch": 90.0}
    shuffled = dict(reversed(list(angles.items())))
    np.testing.assert_allclose(hand_from_glove(shuffled), [0.5, 0.5, 0.5, 0.0, 0.5, 0.5])


def test_inverted_channel():
    config = RetargetConfig(invert=(False, False, False, False, False, True))
    angles = {**MIDDLE, "ThumbMCPSpread": 35.0}
    assert hand_from_glove(angles, config)[5] == 1.0
    assert hand_from_glove(angles)[5] == 0.0


@given(hands)
def test_round_trip(hand):
    np.testing.assert_allclose(hand_from_glove(glove_from_hand(hand)), hand, atol=1e-12)


def test_beyond_the_range_is_clipped():
    np.testing.assert_array_equal(hand_from_glove(dict.fromkeys(CHANNEL_SIGNALS, 300.0)), np.zeros(6))


def test_missing_signal_is_named():
    with pytest.raises(ValueError, match="ThumbMCPSpread"):
        hand_from_glove({name: 0.0 for name in CHANNEL_SIGNALS if name != "ThumbMCPSpread"})


def test_narrow_range_is_refused():
    with pytest.raises(ValueError, match="capture at least"):
        RetargetConfig(open_deg=(5.0,) * 6, closed_deg=(70.0, 80.0, 85.0, 12.0, 60.0, 35.0))
