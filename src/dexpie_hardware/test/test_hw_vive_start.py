"""How the tracker driver starts, and what it says where it cannot."""

from pathlib import Path

import pytest
from hw_operator_for_tests import ERROR, Driver, Status

from dexpie_hardware.vive.tracker_node import TrackerParameters
from dexpie_ros.testing import Peer

pytestmark = pytest.mark.processes

NODE = "dexpie_hardware.vive.tracker_node"


def test_without_its_library_the_driver_ends_with_one_line(tmp_path: Path) -> None:
    with Driver(NODE, tmp_path / "log", {"backend": "pysurvive"}) as driver:
        assert driver.wait() == 2
    last = driver.log.read_text().splitlines()[-1]
    assert last.startswith("vive_tracker: backend pysurvive cannot be imported")
    assert "libsurvive" in last and "openvr" in last


def test_without_steamvr_the_driver_says_so_and_goes_on_trying(tmp_path: Path) -> None:
    with Peer() as peer, Driver(NODE, tmp_path / "log", {"backend": "openvr", "retry_s": 0.1}) as driver:
        Status(peer, "vive_tracker").await_level(ERROR, "no SteamVR (InitError_Init_")
        assert driver.stop() == 0


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"backend": "vicon"}, "backend 'vicon' is not a choice; choose from pysurvive, openvr, stream"),
        ({"stream_address": "here"}, "'here' is neither udp://HOST:PORT"),
        ({"rate_hz": 0.0}, "rate_hz"),
        ({"stale_s": -1.0}, "must be positive"),
        ({"jump_m": 0.0}, "jump_m must be positive"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(fields, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        TrackerParameters(**fields)
