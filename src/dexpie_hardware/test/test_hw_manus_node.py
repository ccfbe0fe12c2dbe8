"""The glove driver as a process, against emulated gloves on the maker's topics; and a capture of ranges."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import yaml
from hw_operator_for_tests import ERROR, OK, Capture, Driver, Emulator, Status, drain
from rclpy.context import Context
from rclpy.node import Node

from dexpie_core import messages, topics
from dexpie_core.retargeting import CHANNEL_SIGNALS, RetargetConfig, hand_from_glove
from dexpie_ros.own_domain import own_domain
from dexpie_ros.polling import PolledSubscription
from dexpie_ros.testing import Peer, await_true

pytestmark = pytest.mark.processes

LEFT_ONLY_DEG = 77.0
POSES = ("flat", "thumb_to_palm", "fist_thumb_up", "thumb_across")
READINGS_TO_SETTLE = 84  # of both gloves: 0.35 s; the hand needs 0.25 s


class Rig:
    """Emulator, driver of the right glove, and who listens to them."""

    def __init__(self, peer: Peer, emulator: Emulator) -> None:
        self.emulator = emulator
        self.status = Status(peer, "manus_glove")
        self.glove: PolledSubscription = peer.listen(topics.GLOVE)

    def collect(self, count: int) -> list[Any]:
        found: list[Any] = []
        await_true(lambda: bool(found.extend(drain(self.glove)) or len(found) >= count), f"{count} readings")
        return found

    def await_silent(self, reason: str) -> None:
        """Until the driver says so; then nothing must come, while the other glove goes on."""
        self.status.await_level(ERROR, reason)
        drain(self.glove)
        self.emulator.await_sent(30)
        assert drain(self.glove) == []


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("manus")
    with (
        Peer() as peer,
        Driver("dexpie_hardware.manus.glove_node", folder / "manus_glove.log") as driver,
        Emulator("dexpie_hardware.emulators.glove", folder) as emulator,
    ):
        emulator.tell("override", side="Left", signal="IndexMCPStretch", value_deg=LEFT_ONLY_DEG)
        rig = Rig(peer, emulator)
        yield rig
        assert driver.stop() == 0
        assert emulator.stop() == 0


@pytest.fixture(autouse=True)
def whole(rig: Rig) -> Iterator[None]:
    rig.emulator.tell("silence", side="Right", on=False)
    rig.emulator.tell("label", side="Right", says="Right")
    rig.emulator.tell("override", side="Right")
    rig.emulator.tell("names", anatomical=False)
    rig.collect(1)
    rig.status.await_level(OK, "live")
    yield


def index_deg(message: Any) -> float:
    return messages.glove_angles(message)["IndexMCPStretch"]


def test_the_right_glove_is_published_by_names_at_its_rate(rig: Rig) -> None:
    rig.emulator.tell("gesture", name="flat")
    rig.collect(60)  # the hand needs a quarter of a second to get there
    found = rig.collect(120)
    angles = messages.glove_angles(found[-1])
    assert set(CHANNEL_SIGNALS) <= set(angles) and len(angles) == 19
    assert hand_from_glove(angles).min() > 0.95
    assert {message.side for message in found} == {"right"}
    stamps_ns = [messages.stamp_ns(message) for message in found]
    assert all(before < after for before, after in pairwise(stamps_ns))
    assert (len(found) - 1) / (stamps_ns[-1] - stamps_ns[0]) * 1e9 >= 100.0


def test_gloves_that_change_their_topics_are_still_told_apart_by_side(rig: Rig) -> None:
    values = rig.status.await_level(OK)
    assert values["glove"].endswith("manus_glove_1") and "manus_glove_0" in values["topics"]
    before = rig.collect(20)
    assert rig.emulator.tell("swap")["order"] == ["Right", "Left"]
    after = rig.collect(150)
    assert LEFT_ONLY_DEG not in [index_deg(message) for message in before + after]
    await_true(lambda: rig.status.await_level(OK)["glove"].endswith("manus_glove_0"), "the other topic")
    assert int(rig.status.await_level(OK)["other_side"]) > 0
    rig.emulator.tell("swap")


def test_a_dead_glove_is_silence_and_an_error_and_heals(rig: Rig) -> None:
    rig.emulator.tell("silence", side="Right")
    rig.await_silent("silent for more than 0.1 s")
    rig.emulator.tell("silence", side="Right", on=False)
    rig.collect(10)
    rig.status.await_level(OK, "live")


@pytest.mark.parametrize("says", ["Invalid", "", "Left"])
def test_a_glove_that_does_not_say_right_is_not_taken(rig: Rig, says: str) -> None:
    rig.emulator.tell("label", side="Right", says=says)
    rig.await_silent("silent")


@pytest.mark.parametrize("value_deg", ["nan", 500.0])
def test_angles_that_cannot_be_are_refused_counted_and_named(rig: Rig, value_deg: Any) -> None:
    refused = int(rig.status.await_level(OK).get("refused", 0))
    rig.emulator.tell("override", side="Right", signal="RingMCPStretch", value_deg=value_deg)
    rig.await_silent("refused: RingMCPStretch is")
    assert int(rig.status.await_level(ERROR)["refused"]) > refused


def test_names_of_another_sdk_are_refused_with_what_to_set(rig: Rig) -> None:
    rig.emulator.tell("names", anatomical=True)
    rig.await_silent("set aliases to [ThumbCMCSpread=ThumbMCPSpread")


def hold(emulator: Emulator, gesture: str) -> None:
    emulator.tell("gesture", name=gesture)
    emulator.await_sent(READINGS_TO_SETTLE)


@pytest.mark.realtime  # the program wants half of the readings of the time that a pose is held
def test_four_poses_become_the_ranges_of_the_person(rig: Rig, tmp_path: Path) -> None:
    emulator = rig.emulator
    person = emulator.tell("person", seed=7)
    file = tmp_path / "ada.yaml"
    asked: list[int] = []
    with Capture(
        tmp_path, "--user", "Ada", "--out", str(file), "--seconds", "0.4", "--settle", "0.2"
    ) as capture:
        while (number := capture.await_pose(len(asked) + 1)) is not None:
            assert not file.exists()
            # The third is not understood at first. Any may be asked for again: readings come late at times.
            hold(emulator, POSES[number - 1] if number != 3 or 4 in asked else "flat")
            asked.append(number)
            capture.press_enter()
        assert capture.wait() == 0, capture.text
    assert [number for number, _ in groupby(asked)] == [1, 2, 3, 4, 3]
    assert "RingMCPStretch goes from" in capture.text and "repeat pose 3 (fist, thumb up)" in capture.text
    assert f"wrote {file}" in capture.text
    parameters = yaml.safe_load(file.read_text())["human_follower"]["ros__parameters"]
    ranges = RetargetConfig(tuple(parameters["glove_open_deg"]), tuple(parameters["glove_closed_deg"]))
    np.testing.assert_allclose(ranges.open_deg, person["open_deg"], atol=1.0)
    np.testing.assert_allclose(ranges.closed_deg, person["closed_deg"], atol=1.0)
    assert "Glove ranges of Ada, right hand" in file.read_text()
    _assert_ros_reads_it(file, ranges)


def _assert_ros_reads_it(file: Path, ranges: RetargetConfig) -> None:
    """The parser of ROS itself gives a node of the follower's name these parameters."""
    context = Context()
    rclpy.init(args=[], context=context, domain_id=own_domain())
    try:
        node = Node(
            "human_follower",
            context=context,
            cli_args=["--ros-args", "--params-file", str(file)],
            automatically_declare_parameters_from_overrides=True,
        )
        assert tuple(node.get_parameter("glove_open_deg").value) == ranges.open_deg
        assert tuple(node.get_parameter("glove_closed_deg").value) == ranges.closed_deg
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)
