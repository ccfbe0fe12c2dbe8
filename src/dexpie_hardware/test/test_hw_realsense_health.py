"""When a camera that streams is worth a warning."""

import pytest

from dexpie_hardware.realsense.frames import Identity
from dexpie_hardware.realsense.health import doubts
from dexpie_hardware.realsense.stamps import Rule

GOOD = Identity("D415", "1", "3.2", "5.16")


def test_a_camera_as_it_should_be_gives_no_doubt():
    assert doubts(GOOD, Rule.GLOBAL, 59.5, 60) == ()
    assert doubts(GOOD, Rule.REPLAY, 54.1, 60) == ()


def test_what_is_not_known_gives_no_doubt():
    assert doubts(Identity(), None, None, 60) == ()


@pytest.mark.parametrize(
    ("identity", "rule", "rate_hz", "words"),
    [
        (Identity(usb_type="2.1"), Rule.GLOBAL, 60.0, "USB 2.1 instead of 3.x: use another cable or port"),
        (GOOD, Rule.GLOBAL, 53.9, "53.9 Hz instead of 60 Hz"),
        (GOOD, Rule.OFFSET, 60.0, "the camera's own clock"),
        (GOOD, Rule.SYSTEM, 60.0, "no metadata"),
        (GOOD, Rule.ARRIVAL, 60.0, "means nothing"),
        (Identity(notes=("gain is not supported",)), Rule.GLOBAL, 60.0, "gain is not supported"),
    ],
)
def test_each_fault_is_one_doubt(identity, rule, rate_hz, words):
    (doubt,) = doubts(identity, rule, rate_hz, 60)
    assert words in doubt


def test_all_faults_are_told_together():
    found = doubts(Identity(usb_type="2.1", notes=("a", "b")), Rule.SYSTEM, 30.0, 60)
    assert len(found) == 5
