"""The test picture's number survives the way through JPEG, and a damaged one is not taken for another."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_hardware.realsense.pattern import NUMBERS, Pattern, PatternError, read_number

PATTERN = Pattern(640, 480)
SMALL = Pattern(256, 17)


@given(st.integers(0, NUMBERS - 1))
def test_the_number_is_read_back(number):
    assert read_number(SMALL.draw(number)) == number


@pytest.mark.parametrize("number", [0, 1, 0x555555, NUMBERS - 1])
@pytest.mark.parametrize("quality", [30, 90])
def test_the_number_survives_jpeg(number, quality):
    _, jpeg = cv2.imencode(".jpg", PATTERN.draw(number), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert read_number(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)) == number


def test_every_picture_differs_from_the_next_all_over():
    first, second = PATTERN.draw(7), PATTERN.draw(8)
    assert first.shape == (480, 640, 3)
    assert (first[16:] != second[16:]).any(axis=-1).all()


def test_it_is_no_window_into_another_picture():
    first = PATTERN.draw(7)
    kept = first.copy()
    PATTERN.draw(8)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("block", range(32))
def test_a_flipped_block_is_noticed(block):
    image = PATTERN.draw(1234)
    image[:16, block * 20 : (block + 1) * 20] = 255 - image[:16, block * 20 : (block + 1) * 20]
    with pytest.raises(PatternError, match="check sum"):
        read_number(image)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_plain_picture_has_no_number(grey):
    with pytest.raises(PatternError):
        read_number(np.full((480, 640, 3), grey, np.uint8))


def test_a_picture_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="256 x 17"):
        Pattern(255, 480)
    with pytest.raises(PatternError, match="too small"):
        read_number(np.zeros((10, 640, 3), np.uint8))
