"""Frames against the bytes of the maker's protocol description."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_hardware.inspire_protocol import READ, WRITE, Register, read_request, take_reply, write_request

SET_ANGLES = "eb 90 01 0f 12 ce 05 f4 01 ff ff 2c 01 00 00 e8 03 84 03 87"
ALL_OPEN = "90 eb 01 0f 11 0a 06 e8 03 e8 03 e8 03 e8 03 e8 03 e8 03 b3"
ACKNOWLEDGED = "90 eb 01 04 12 ce 05 01 eb"


def test_write_angles():
    assert write_request(1, Register.ANGLE_SET, [500, -1, 300, 0, 1000, 900]) == bytes.fromhex(SET_ANGLES)


def test_read_angles():
    assert read_request(1, Register.ANGLE_ACT, 12) == bytes.fromhex("eb 90 01 04 11 0a 06 0c 32")


def test_replies_are_decoded():
    buffer = bytearray.fromhex(ALL_OPEN + ACKNOWLEDGED)
    reply = take_reply(buffer)
    assert (reply.hand_id, reply.command, reply.address) == (1, READ, Register.ANGLE_ACT)
    assert reply.int16() == (1000,) * 6
    assert take_reply(buffer).command == WRITE
    assert take_reply(buffer) is None


@given(st.binary(max_size=40).filter(lambda noise: b"\x90\xeb" not in noise and not noise.endswith(b"\x90")))
def test_resynchronises_after_noise(noise):
    buffer = bytearray(noise + bytes.fromhex(ALL_OPEN))
    assert take_reply(buffer).int16() == (1000,) * 6


def test_damaged_reply_is_skipped_and_the_next_one_found():
    damaged = bytearray.fromhex(ALL_OPEN)
    damaged[8] ^= 0xFF
    buffer = damaged + bytearray.fromhex(ACKNOWLEDGED)
    assert take_reply(buffer).command == WRITE


@given(st.integers(0, 19))
def test_partial_reply_waits_for_the_rest(cut):
    whole = bytes.fromhex(ALL_OPEN)
    buffer = bytearray(whole[:cut])
    assert take_reply(buffer) is None
    buffer += whole[cut:]
    assert take_reply(buffer).int16() == (1000,) * 6


@pytest.mark.parametrize("value", [-2, 2001])
def test_value_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match=r"-1\.\.2000"):
        write_request(1, Register.ANGLE_SET, [value])
