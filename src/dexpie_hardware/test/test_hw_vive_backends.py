"""The libraries that hear a tracker: libsurvive by a fake of its Python API, SteamVR by its structures."""

from __future__ import annotations

import ctypes
import math
import sys
import types
from typing import Any

import numpy as np
import openvr
import pytest

from dexpie_core.errors import UsageError
from dexpie_hardware.tracker_sample import (
    Tracking,
)
from dexpie_hardware.vive.backends import BackendUnavailable, open_backend
from dexpie_hardware.vive.backends.steamvr import SteamvrBackend, open_steamvr, z_up

# --- pysurvive ------------------------------------------------------------------------------------


class SurvivePose(ctypes.Structure):
    """Position m, rotation w, x, y, z, as in libsurvive."""

    _fields_ = (("Pos", ctypes.c_double * 3), ("Rot", ctypes.c_double * 4))


class FakeObject:
    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self.pose = SurvivePose()
        self.time_s = 0.0

    def Name(self) -> bytes:
        return self._name

    def Pose(self) -> tuple[SurvivePose, float]:
        return self.pose, self.time_s


class FakeContext:
    """SimpleContext as the bindings have it: no close, NextUpdated without waiting."""

    def __init__(self, args: list[str]) -> None:
        self.args = args
        self.updated: list[FakeObject] = []
        self.running = True
        FakeContext.newest = self

    newest: FakeContext

    def Running(self) -> bool:
        return self.running

    def NextUpdated(self) -> FakeObject | None:
        return self.updated.pop(0) if self.updated else None


@pytest.fixture
def survive(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("pysurvive")
    fake.SimpleContext = FakeContext
    monkeypatch.setitem(sys.modules, "pysurvive", fake)
    monkeypatch.delitem(sys.modules, "dexpie_hardware.vive.backends.survive", raising=False)


def test_libsurvive_is_heard_with_its_own_order_of_the_quaternion(survive) -> None:
    backend = open_backend("pysurvive", "", ("--lighthouse-gen", "2"), "")
    context = FakeContext.newest
    assert context.args[1:] == ["--lighthouse-gen", "2"] and not context.args[0].startswith("-")
    lighthouse, tracker, other = FakeObject("LH0"), FakeObject("WM0"), FakeObject("WM1")
    lighthouse.time_s = 5.0
    context.updated = [lighthouse, tracker]
    assert backend.poll(0.0) == []  # a lighthouse, and a tracker before its first fix
    tracker.time_s, tracker.pose = 5.25, SurvivePose((1.0, 2.0, 3.0), (0.5, 0.1, 0.7, 0.5))
    other.time_s = 5.25
    context.updated = [tracker, other]
    (sample,) = backend.poll(0.0)
    assert (sample.name, sample.device_s, sample.tracking) == ("WM0", 5.25, Tracking.OK)
    assert sample.position_m.tolist() == [1.0, 2.0, 3.0]
    assert sample.quat_xyzw.tolist() == [0.1, 0.7, 0.5, 0.5]
    assert backend.notes() == {"tracker": "WM0", "other_trackers": "WM1"}
    assert backend.poll(0.0) == []  # nothing new: libsurvive is silent when it loses a tracker


def test_the_named_tracker_is_heard_and_a_stopped_libsurvive_is_unavailable(survive) -> None:
    backend = open_backend("pysurvive", "WM1", (), "")
    first, second = FakeObject("WM0"), FakeObject("WM1")
    first.time_s = second.time_s = 1.0
    FakeContext.newest.updated = [first, second]
    assert [sample.name for sample in backend.poll(0.0)] == ["WM1"]
    FakeContext.newest.running = False
    with pytest.raises(BackendUnavailable, match="libsurvive has stopped"):
        backend.poll(0.0)
    backend.close()


def test_a_missing_library_is_one_line_that_names_both_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, kind in (("pysurvive", "survive"), ("openvr", "steamvr")):
        monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.delitem(sys.modules, f"dexpie_hardware.vive.backends.{kind}", raising=False)
        with pytest.raises(UsageError) as raised:
            open_backend(module, "", (), "")
        text = str(raised.value)
        assert text.startswith(f"backend {module} cannot be imported")
        assert "build libsurvive" in text and "pip install openvr" in text and "\n" not in text
    with pytest.raises(UsageError, match="choose from pysurvive, openvr, stream"):
        open_backend("vicon", "", (), "")


# --- openvr ---------------------------------------------------------------------------------------

STANDING_UP = [[1, 0, 0, 0.2], [0, 1, 0, 1.5], [0, 0, 1, -0.3]]  # axes as the world's, 1.5 m above the floor


class FakeSystem:
    """IVRSystem with the genuine structures: a headset in slot 0, trackers by serial in others."""

    def __init__(self, **serials: int) -> None:
        self.slots = {index: serial for serial, index in serials.items()}
        self.poses = {index: openvr.TrackedDevicePose_t() for index in self.slots}
        self.events: list[int] = []
        self.acknowledged = False
        for pose in self.poses.values():
            self.set(pose, STANDING_UP)

    @staticmethod
    def set(pose: Any, matrix: Any, result: int = 200, valid: bool = True, connected: bool = True) -> None:
        for r in range(3):
            for c in range(4):
                pose.mDeviceToAbsoluteTracking.m[r][c] = matrix[r][c]
        pose.eTrackingResult, pose.bPoseIsValid, pose.bDeviceIsConnected = result, valid, connected

    def pollNextEvent(self, event: Any) -> bool:
        if not self.events:
            return False
        event.eventType = self.events.pop(0)
        return True

    def acknowledgeQuit_Exiting(self) -> None:
        self.acknowledged = True

    def getTrackedDeviceClass(self, index: int) -> int:
        if index in self.slots:
            return openvr.TrackedDeviceClass_GenericTracker
        return openvr.TrackedDeviceClass_HMD if index == 0 else openvr.TrackedDeviceClass_Invalid

    def getStringTrackedDeviceProperty(self, index: int, prop: int) -> str:
        assert prop == openvr.Prop_SerialNumber_String == 1002
        if not self.slots[index]:
            raise openvr.error_code.TrackedProp_InvalidDevice(1)
        return self.slots[index]

    def getDeviceToAbsoluteTrackingPose(self, origin: int, ahead_s: float, poses: Any) -> Any:
        assert origin == openvr.TrackingUniverseStanding and ahead_s == 0.0
        for index, pose in self.poses.items():
            poses[index] = pose
        return poses


def test_up_in_steamvr_is_up_in_ros() -> None:
    position, quat = z_up(np.array(STANDING_UP, dtype=float))
    np.testing.assert_allclose(position, [0.2, 0.3, 1.5])
    # The tracker's y axis, up in SteamVR, must be up here: a quarter turn about x.
    np.testing.assert_allclose(quat, [math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)])
    assert z_up(np.zeros((3, 4)))[1].tolist() == [0.0] * 4  # no rotation at all
    assert z_up(np.diag([1.0, 1.0, -1.0]) @ np.array(STANDING_UP))[1].tolist() == [0.0] * 4  # a mirror
    assert z_up(np.full((3, 4), np.nan))[1].tolist() == [0.0] * 4


def test_steamvr_s_tracker_is_found_by_its_serial_and_its_pose_turned() -> None:
    system = FakeSystem(LHR_1=3, LHR_2=5)
    backend = SteamvrBackend(system, "LHR_2", lambda: None)
    FakeSystem.set(system.poses[3], np.zeros((3, 4)))
    (sample,) = backend.poll(7.0)
    assert (sample.name, sample.device_s, sample.tracking) == ("LHR_2", 7.0, Tracking.OK)
    np.testing.assert_allclose(sample.position_m, [0.2, 0.3, 1.5], rtol=1e-6)
    assert backend.notes() == {"tracker": "LHR_2", "other_trackers": "LHR_1"}
    # Asked again it answers the same pose: that is no new measurement.
    assert backend.poll(7.01)[0].device_s == 7.0
    moved = np.array(STANDING_UP) + np.array([0.0, 0.0, 0.0, 1e-4])
    FakeSystem.set(system.poses[5], moved)
    assert backend.poll(7.02)[0].device_s == 7.02


@pytest.mark.parametrize(
    ("fields", "tracking"),
    [
        ({"result": openvr.TrackingResult_Running_OK}, Tracking.OK),
        ({"result": 300}, Tracking.ROTATION_ONLY),
        ({"result": 201}, Tracking.OUT_OF_RANGE),
        ({"result": 100}, Tracking.CALIBRATING),
        ({"result": 1}, Tracking.INVALID),
        ({"valid": False}, Tracking.INVALID),
        ({"connected": False}, Tracking.DISCONNECTED),
    ],
)
def test_only_a_valid_connected_running_pose_is_tracked(fields, tracking) -> None:
    system = FakeSystem(LHR_1=2)
    FakeSystem.set(system.poses[2], STANDING_UP, **fields)
    backend = SteamvrBackend(system, "", lambda: None)
    assert [backend.poll(now_s)[0].tracking for now_s in (1.0, 1.01)] == [tracking] * 2
    if tracking is not Tracking.OK:  # each of them is told, though the pose stands still
        assert backend.poll(1.02)[0].device_s == 1.02


def test_a_tracker_that_is_switched_on_later_is_found() -> None:
    system = FakeSystem(LHR_1=2)
    system.slots, slots = {}, system.slots
    backend = SteamvrBackend(system, "LHR_1", lambda: None)
    assert backend.poll(1.0) == []
    system.slots = {2: ""}  # in its slot, its properties not readable yet
    assert backend.poll(2.1) == []
    system.slots = slots
    assert backend.poll(2.2) == []  # it looks once a second
    assert backend.poll(3.2)[0].name == "LHR_1"


def test_steamvr_that_is_closed_is_answered_and_unavailable() -> None:
    system = FakeSystem(LHR_1=2)
    backend = SteamvrBackend(system, "", lambda: None)
    system.events = [openvr.VREvent_TrackedDeviceActivated, openvr.VREvent_Quit]
    with pytest.raises(BackendUnavailable, match="SteamVR has been closed"):
        backend.poll(1.0)
    assert system.acknowledged


def test_without_steamvr_the_genuine_library_gives_one_clear_line() -> None:
    with pytest.raises(BackendUnavailable) as raised:
        open_steamvr("")
    assert "InitError_Init_" in str(raised.value)
    assert "start it" in str(raised.value) and "\n" not in str(raised.value)
