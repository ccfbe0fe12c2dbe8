"""RTDE packages against bytes written by hand, and in any pieces a socket may cut them into."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_hardware.emulators.ur import protocol
from dexpie_hardware.emulators.ur.protocol import (
    DOUBLE,
    INT32,
    UINT8,
    VECTOR3D,
    Level,
    Package,
    ProtocolError,
    Recipe,
)


def test_package_is_size_type_payload():
    assert protocol.encode(Package.VERSION, b"\x01") == bytes.fromhex("00 04 56 01")


def test_text_message():
    expected = bytes.fromhex("00 0b 4d 03") + b"off" + b"\x02" + b"me" + b"\x01"
    assert protocol.encode_text(Level.ERROR, "me", "off") == expected


def test_long_text_is_cut_to_its_length_byte():
    package = protocol.encode_text(Level.INFO, "me", "x" * 300)
    assert package[3] == 255
    assert len(package) == 3 + 1 + 255 + 1 + 2 + 1


@given(st.lists(st.tuples(st.sampled_from(list(Package)), st.binary(max_size=40)), max_size=6), st.data())
def test_packages_survive_any_cutting_of_the_stream(packages, data):
    stream = b"".join(protocol.encode(kind, payload) for kind, payload in packages)
    buffer, taken = bytearray(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        buffer += stream[:cut]
        stream = stream[cut:]
        taken += protocol.take_packages(buffer)
    assert taken == [(int(kind), payload) for kind, payload in packages]
    assert not buffer


@pytest.mark.parametrize("size", [0, 1, 2])
def test_size_below_the_header_is_refused(size):
    with pytest.raises(ProtocolError, match="shorter than its header"):
        list(protocol.take_packages(bytearray(struct.pack(">HB", size, ord("U")))))


def test_output_setup_with_trailing_comma():
    payload = struct.pack(">d", 125.0) + b"timestamp,actual_q,"
    assert protocol.parse_output_setup(payload) == (125.0, ["timestamp", "actual_q"])


def test_output_setup_without_frequency_is_refused():
    with pytest.raises(ProtocolError, match="no frequency"):
        protocol.parse_output_setup(b"abc")


def test_recipe_packs_big_endian_without_padding():
    recipe = Recipe(7, ["mask", "count", "force"], [UINT8, INT32, VECTOR3D])
    package = recipe.encode([255, -2, 1.0, 2.0, 3.0])
    assert package == bytes.fromhex("00 21 55 07 ff ff ff ff fe") + struct.pack(">3d", 1.0, 2.0, 3.0)


def test_recipe_unpacks_by_name():
    recipe = Recipe(2, ["input_int_register_0", "wrench"], [INT32, VECTOR3D])
    payload = struct.pack(">Bi3d", 2, 24, 0.5, 0.25, 0.125)
    assert recipe.decode(payload) == {"input_int_register_0": 24, "wrench": (0.5, 0.25, 0.125)}


@pytest.mark.parametrize("missing", [1, 8])
def test_short_data_package_is_refused(missing):
    recipe = Recipe(1, ["a", "b"], [DOUBLE, DOUBLE])
    with pytest.raises(ProtocolError, match="17"):
        recipe.decode(bytes(17 - missing))
