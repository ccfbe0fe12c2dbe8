"""A tracker heard as a stream of datagrams, and the datagram itself."""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_hardware.tracker_sample import (
    TrackerDatagramError,
    TrackerSample,
    Tracking,
    decode,
    encode,
    parse_address,
)
from dexpie_hardware.vive.backends import BackendUnavailable
from dexpie_hardware.vive.backends.stream import StreamBackend

pytestmark = pytest.mark.processes

HOST = f"127.{1 + os.getpid() % 250}.{os.getpid() // 250 % 250}.7"
LITERAL = (
    b'{"name": "wrist", "time_s": 12.5, "position_m": [1, 2.5, 3], "quaternion_xyzw": [0, 0, 0.6, 0.8], '
    b'"tracking": "rotation_only"}'
)

# --- the datagram ---------------------------------------------------------------------------------


def test_the_documented_datagram_is_understood() -> None:
    sample = decode(LITERAL)
    assert (sample.name, sample.device_s, sample.tracking) == ("wrist", 12.5, Tracking.ROTATION_ONLY)
    np.testing.assert_array_equal(sample.position_m, [1.0, 2.5, 3.0])
    np.testing.assert_array_equal(sample.quat_xyzw, [0.0, 0.0, 0.6, 0.8])
    assert json.loads(encode(sample)) == json.loads(LITERAL)


number = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.text(max_size=20),
    number,
    st.lists(number, min_size=3, max_size=3),
    st.lists(number, min_size=4, max_size=4),
    st.sampled_from(Tracking),
)
def test_what_is_encoded_is_decoded(name, time_s, position, quat, tracking) -> None:
    sample = decode(encode(TrackerSample(name, time_s, np.array(position), np.array(quat), tracking)))
    assert (sample.name, sample.device_s, sample.tracking) == (name, time_s, tracking)
    assert sample.position_m.tolist() == position and sample.quat_xyzw.tolist() == quat


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": 3}, "field name"),
        ({"time_s": "now"}, "field time_s is 'now', not a number"),
        ({"time_s": [1.0]}, "field time_s"),
        ({"position_m": [1, 2]}, "field position_m is [1, 2], not 3 numbers"),
        ({"position_m": [1, [2], 3]}, "field position_m"),
        ({"position_m": [True, False, True]}, "field position_m"),
        ({"quaternion_xyzw": None}, "field quaternion_xyzw is None, not 4 numbers"),
        ({"tracking": "fine"}, "field tracking is 'fine'"),
        ({"tracking": []}, "field tracking"),
    ],
)
def test_what_is_no_sample_is_refused_by_the_name_of_its_field(change, complaint) -> None:
    with pytest.raises(TrackerDatagramError) as raised:
        decode(json.dumps({**json.loads(LITERAL), **change}).encode())
    assert complaint in str(raised.value)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_sample_or_refused(datagram) -> None:
    with contextlib.suppress(TrackerDatagramError):
        decode(datagram)


def test_a_datagram_made_to_break_the_parser_is_refused() -> None:
    with pytest.raises(TrackerDatagramError, match="not a JSON object"):
        decode(b"[" * 2000)


def test_nan_passes_so_that_the_monitor_can_call_it_lost() -> None:
    sample = decode(LITERAL.replace(b" 2.5", b" NaN"))
    assert math.isnan(sample.position_m[1])


def test_addresses() -> None:
    assert parse_address("udp://127.0.0.1:47800") == (socket.AF_INET, ("127.0.0.1", 47800))
    assert parse_address("unix:///run/tracker") == (socket.AF_UNIX, "/run/tracker")
    for wrong in (
        "",
        "127.0.0.1:47800",
        "udp://127.0.0.1",
        "udp://h:99999",
        "tcp://h:1",
        "unix://run/tracker",
    ):
        with pytest.raises(ValueError, match="neither udp"):
            parse_address(wrong)


# --- the stream -----------------------------------------------------------------------------------


@pytest.fixture(params=["udp", "unix"])
def stream(request: Any, tmp_path: Path) -> Iterator[tuple[StreamBackend, Any]]:
    if request.param == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        address = f"udp://{HOST}:{port}"
    else:
        address = f"unix://{tmp_path}/tracker"
    family, target = parse_address(address)
    backend = StreamBackend("", address)
    sender = socket.socket(family, socket.SOCK_DGRAM)
    yield backend, lambda datagram: sender.sendto(datagram, target)
    backend.close()
    sender.close()
    assert not (tmp_path / "tracker").exists()


def test_the_stream_gives_what_came_in_order_and_counts_what_it_does_not_understand(stream) -> None:
    backend, send = stream
    assert backend.poll(0.0) == []
    for time_s in (b"1.0", b"2.0"):
        send(LITERAL.replace(b"12.5", time_s))
        send(b"hello")
    assert [sample.device_s for sample in backend.poll(0.0)] == [1.0, 2.0]
    assert backend.notes()["malformed_datagrams"] == 2
    assert "not a JSON object" in str(backend.notes()["newest_complaint"])


def test_the_first_tracker_heard_is_meant_and_the_others_are_told_of(stream) -> None:
    backend, send = stream
    for name in (b"wrist", b"elbow", b"wrist"):
        send(LITERAL.replace(b"wrist", name))
    assert [sample.name for sample in backend.poll(0.0)] == ["wrist", "wrist"]
    assert backend.notes()["tracker"] == "wrist"
    assert backend.notes()["other_trackers"] == "elbow"


def test_an_address_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        address = f"udp://{HOST}:{taken.getsockname()[1]}"
        with pytest.raises(BackendUnavailable, match=f"stream_address {address}: Address already in use"):
            StreamBackend("", address)


def test_a_file_in_the_place_of_the_socket_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BackendUnavailable, match=r"notes\.txt"):
        StreamBackend("", f"unix://{tmp_path}/notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"
