"""The datagrams between emulators and physics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dexpie_core.plant import (
    ArmState,
    ArmTarget,
    HandState,
    HandTarget,
    PlantMessage,
    PlantMessageError,
    decode,
    encode,
)

six = arrays(np.float64, 6, elements=st.floats(-1e6, 1e6))
count = st.integers(0, 2**32 - 1)
number = st.floats(-1e6, 1e6)
plant_messages = st.one_of(
    st.builds(ArmTarget, count, six),
    st.builds(HandTarget, count, six),
    st.builds(ArmState, count, number, number, six, six),
    st.builds(HandState, count, number, six, six),
)


@given(plant_messages)
def test_a_message_comes_back_as_it_was(message: PlantMessage) -> None:
    back = decode(encode(message))
    assert type(back) is type(message)
    for name, value in vars(message).items():
        np.testing.assert_array_equal(getattr(back, name), value)


def test_the_layout_is_fixed() -> None:
    datagram = encode(ArmTarget(2, np.array([1.0, 0, 0, 0, 0, 0])))
    assert datagram == b"DPA>" + b"\x02\0\0\0" + b"\0\0\0\0\0\0\xf0\x3f" + bytes(40)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"DPA>",
        b"XXXX" + bytes(52),
        encode(ArmTarget(0, np.zeros(6)))[:-1],
        encode(HandTarget(0, np.zeros(6))) + b"\0",
        encode(ArmTarget(0, np.array([np.nan, 0, 0, 0, 0, 0]))),
    ],
)
def test_anything_else_is_refused(datagram: bytes) -> None:
    with pytest.raises(PlantMessageError):
        decode(datagram)
