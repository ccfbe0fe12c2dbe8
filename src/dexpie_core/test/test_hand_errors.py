"""Error bits of the hand in words, and which of them stop the robot."""

import pytest

from dexpie_core.hand_errors import HandError, error_words, hand_fault


@pytest.mark.parametrize(
    ("bits", "words"),
    [(0, ""), (1, "stall"), (2, "over temperature"), (9, "stall, motor"), (0x40, "unknown bits 0x40")],
)
def test_words(bits: int, words: str) -> None:
    assert error_words(bits) == words


def test_a_stalled_finger_does_not_stop_the_robot() -> None:
    assert hand_fault([HandError.STALL] * 6) == ""


def test_the_channel_is_named() -> None:
    assert hand_fault([0, 0, 0, 9, 2, 0]) == "hand: index motor; thumb_bend over temperature"


def test_a_fault_of_all_channels_is_told_once() -> None:
    assert hand_fault([16] * 6) == "hand: communication"
