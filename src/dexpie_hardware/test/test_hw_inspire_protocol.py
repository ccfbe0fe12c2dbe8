"""Frames against the bytes of the maker's protocol description."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_hardware.inspire import protocol
from dexpie_hardware.inspire.protocol import BLOCK_BYTES, HOLD, MEASURED, Register, find_answer

SET_ANGLES = "eb 90 01 0f 12 ce 05 f4 01 ff ff 2c 01 00 00 e8 03 84 03 87"
ALL_OPEN = bytes.fromhex("90 eb 01 0f 11 0a 06 e8 03 e8 03 e8 03 e8 03 e8 03 e8 03 b3")
ACKNOWLEDGED = bytes.fromhex("90 eb 01 04 12 ce 05 01 eb")
READ_ANGLES = protocol.read(1, Register.ANGLE_ACT)
WRITE_ANGLES = protocol.write(1, Register.ANGLE_SET, [500, HOLD, 300, 0, 1000, 900])


def test_requests() -> None:
    assert WRITE_ANGLES.frame == bytes.fromhex(SET_ANGLES)
    assert WRITE_ANGLES.written == (500, -1, 300, 0, 1000, 900)
    assert READ_ANGLES.frame == bytes.fromhex("eb 90 01 04 11 0a 06 0c 32")
    assert protocol.read(1, Register.STATUS).frame == bytes.fromhex("eb 90 01 04 11 4c 06 06 6e")
    assert protocol.clear_errors(1).frame == bytes.fromhex("eb 90 01 04 12 ec 03 01 07")


def test_answers_are_found_and_decoded() -> None:
    received = ALL_OPEN + ACKNOWLEDGED
    data = find_answer(received, READ_ANGLES)
    assert data is not None
    assert protocol.values(Register.ANGLE_ACT, data) == (1000,) * 6
    assert find_answer(received, WRITE_ANGLES) == protocol.ACCEPTED
    assert protocol.values(Register.FORCE_ACT, bytes.fromhex("dfff") * 6) == (-33,) * 6
    assert protocol.values(Register.TEMP, bytes([40, 41, 42, 43, 44, 200])) == (40, 41, 42, 43, 44, 200)


@given(st.binary(max_size=60))
def test_an_answer_is_found_behind_any_noise(noise: bytes) -> None:
    assert find_answer(noise + ALL_OPEN, READ_ANGLES) is not None


def test_an_answer_is_found_behind_a_false_header_and_half_an_answer() -> None:
    for noise in (bytes.fromhex("90eb01ff11"), ALL_OPEN[:9], ALL_OPEN[:7] + ALL_OPEN[:19]):
        assert (
            protocol.values(Register.ANGLE_ACT, find_answer(noise + ALL_OPEN, READ_ANGLES) or b"")
            == (1000,) * 6
        )


@given(st.integers(0, len(ALL_OPEN) - 1), st.integers(1, 255))
def test_a_damaged_answer_is_none(index: int, flip: int) -> None:
    damaged = bytearray(ALL_OPEN)
    damaged[index] ^= flip
    assert find_answer(damaged, READ_ANGLES) is None
    assert find_answer(damaged + ALL_OPEN, READ_ANGLES) == ALL_OPEN[7:-1]


@given(st.integers(0, len(ALL_OPEN) - 1))
def test_a_part_of_an_answer_is_none(cut: int) -> None:
    assert find_answer(ALL_OPEN[:cut], READ_ANGLES) is None


def test_an_answer_to_something_else_is_none() -> None:
    for request in (
        protocol.read(2, Register.ANGLE_ACT),
        protocol.read(1, Register.FORCE_ACT),
        protocol.write(1, Register.SPEED_SET, [0] * 6),
        protocol.read_block(1),
    ):
        assert find_answer(ALL_OPEN + ACKNOWLEDGED, request) is None


def test_a_block_is_split_into_its_registers() -> None:
    data = bytearray(BLOCK_BYTES)
    data[0:2] = b"\xe8\x03"  # ANGLE_ACT of the little finger
    data[36 + 10 : 36 + 12] = b"\xff\xff"  # FORCE_ACT of the thumb's rotation
    data[60] = 2  # ERROR of the little finger
    data[77] = 45  # TEMP of the thumb's rotation
    found = protocol.split_block(bytes(data))
    assert set(found) == set(MEASURED)
    assert found[Register.ANGLE_ACT] == (1000, 0, 0, 0, 0, 0)
    assert found[Register.FORCE_ACT] == (0, 0, 0, 0, 0, -1)
    assert found[Register.ERROR] == (2, 0, 0, 0, 0, 0)
    assert found[Register.TEMP] == (0, 0, 0, 0, 0, 45)
    assert protocol.read_block(1).is_block
    assert not READ_ANGLES.is_block


def test_wrong_values_are_refused() -> None:
    for value in (-2, 1001):
        with pytest.raises(ValueError, match=r"ANGLE_SET must be in -1\.\.1000"):
            protocol.write(1, Register.ANGLE_SET, [0, 0, 0, 0, 0, value])
    with pytest.raises(ValueError, match="takes 6 values, got 5"):
        protocol.write(1, Register.ANGLE_SET, [0] * 5)
    for hand_id in (0, 255):
        with pytest.raises(ValueError, match=r"must be in 1\.\.254"):
            protocol.read(hand_id, Register.ERROR)
