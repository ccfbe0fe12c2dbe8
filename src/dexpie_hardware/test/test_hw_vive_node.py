"""The tracker driver as a process, against an emulated tracker that goes wrong in every way it can."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hw_operator_for_tests import ERROR, OK, Driver, Emulator, Status, drain

from dexpie_core import messages, topics
from dexpie_ros.polling import PolledSubscription
from dexpie_ros.testing import Peer, await_true

pytestmark = pytest.mark.processes

CONFIRM_S = 0.5
NODE = "dexpie_hardware.vive.tracker_node"


class Rig:
    """Emulator, driver and who listens to them."""

    def __init__(self, peer: Peer, emulator: Emulator) -> None:
        self.emulator = emulator
        self.status = Status(peer, "vive_tracker")
        self.poses: PolledSubscription = peer.listen(topics.TRACKER_POSE)

    def await_lost(self, reason: str) -> None:
        """Until the driver says so; then nothing must come, however much the tracker sends."""
        self.status.await_level(ERROR, f"lost: {reason}")

    def assert_silent(self, samples: int = 20) -> None:
        drain(self.poses)
        self.emulator.await_sent(samples)
        assert drain(self.poses) == []

    def await_pose(self) -> Any:
        """Until one has come; the newest one."""
        found: list[Any] = []
        await_true(lambda: bool(found.extend(drain(self.poses)) or found), "a pose")
        return found[-1]

    def await_tracking(self) -> Any:
        """Until a pose comes; the first one."""
        found: list[Any] = []
        await_true(lambda: bool(found.extend(drain(self.poses)) or found), "a pose")
        self.status.await_level(OK, "tracking")
        return found[0]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("vive")
    address = f"unix://{folder}/stream"
    parameters = {"backend": "stream", "stream_address": address}
    with (
        Peer() as peer,
        Driver(NODE, folder / "vive_tracker.log", parameters) as driver,
        Emulator("dexpie_hardware.emulators.tracker", folder, "--to", address) as emulator,
    ):
        rig = Rig(peer, emulator)
        rig.await_tracking()
        yield rig
        assert driver.stop() == 0
        assert emulator.stop() == 0
        assert not (folder / "stream").exists()


@pytest.fixture(autouse=True)
def whole(rig: Rig) -> Iterator[None]:
    rig.emulator.tell("clear")
    rig.await_tracking()
    yield


def stamp_s(message: Any) -> float:
    return messages.stamp_ns(message) * 1e-9


def test_a_tracked_tracker_is_published_at_its_rate_with_growing_stamps(rig: Rig) -> None:
    drain(rig.poses)
    found: list[Any] = []
    await_true(lambda: bool(found.extend(drain(rig.poses)) or len(found) >= 100), "a hundred poses")
    assert {message.header.frame_id for message in found} == {messages.TRACKER_FRAME}
    stamps_ns = [messages.stamp_ns(message) for message in found]
    assert all(before < after for before, after in pairwise(stamps_ns))
    assert (len(found) - 1) / (stamps_ns[-1] - stamps_ns[0]) * 1e9 >= 80.0
    positions = np.array([messages.pose_T(message.pose)[:3, 3] for message in found])
    assert np.ptp(positions, axis=0).max() > 0.05  # it draws its eight
    assert np.linalg.norm(np.diff(positions, axis=0), axis=1).max() < 0.05


def test_a_dropout_is_silence_and_an_error_and_heals(rig: Rig) -> None:
    last = rig.await_pose()
    rig.emulator.tell("silence")
    rig.await_lost("no new sample for more than 0.1 s")
    before = [last, *drain(rig.poses)]
    rig.emulator.tell("silence", on=False)
    after = rig.await_tracking()
    assert stamp_s(after) - stamp_s(before[-1]) >= CONFIRM_S


def test_a_jump_is_lost_and_the_new_place_is_taken_after_a_silence_that_nobody_misses(rig: Rig) -> None:
    last = rig.await_pose()
    rig.emulator.tell("jump", position_m=[0.2, 0.0, 0.1])
    rig.await_lost("jumped by")
    before = [last, *drain(rig.poses)]
    after = rig.await_tracking()
    assert stamp_s(after) - stamp_s(before[-1]) >= CONFIRM_S
    moved = messages.pose_T(after.pose)[:3, 3] - messages.pose_T(before[-1].pose)[:3, 3]
    assert np.linalg.norm(moved) > 0.05


def test_a_jump_of_the_rotation_alone_is_lost(rig: Rig) -> None:
    rig.emulator.tell("jump", rotvec_rad=[0.0, 0.0, 0.5])
    rig.await_lost("jumped by")
    rig.await_tracking()


@pytest.mark.parametrize(
    ("admits", "reason"), [(False, "turns while its position"), (True, "the tracker says")]
)
def test_rotation_only_is_lost_whether_the_tracker_says_so_or_not(
    rig: Rig, admits: bool, reason: str
) -> None:
    rig.emulator.tell("rotation_only", admits=admits)
    rig.await_lost(reason)
    rig.assert_silent()


def test_the_last_pose_again_and_again_is_lost(rig: Rig) -> None:
    rig.emulator.tell("freeze")
    rig.await_lost("no new sample")
    rig.assert_silent()
    assert int(rig.status.await_level(ERROR)["repeated"]) > 0


def test_numbers_that_are_none_are_lost(rig: Rig) -> None:
    rig.emulator.tell("nan")
    rig.await_lost("a number is not finite")
    rig.assert_silent()


def test_samples_that_come_late_are_lost(rig: Rig) -> None:
    rig.emulator.tell("delay", delay_s=0.3)
    rig.await_lost("its samples come 0.3")  # while the line fills nothing comes at all, then what is old
    rig.assert_silent()


def test_a_tracker_that_starts_again_with_another_clock_is_tracked_again(rig: Rig) -> None:
    last = rig.await_pose()
    rig.emulator.tell("restart")
    rig.await_lost("no new sample")
    before = [last, *drain(rig.poses)]
    after = rig.await_tracking()
    assert stamp_s(after) > stamp_s(before[-1])
