"""SteamVR through openvr.

openvr answers at any time, extrapolating, and gives no time of measurement: a sample counts as new when its
pose differs from the one before. Its world is right handed with y up; ours has z up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import openvr

from dexpie_core import se3
from dexpie_core.se3 import Array
from dexpie_hardware.tracker_sample import TrackerSample, Tracking
from dexpie_hardware.vive.backends import BackendUnavailable, Choice

SEARCH_PERIOD_S: Final = 1.0
NO_ROTATION: Final = np.zeros(4)
ORTHONORMAL_TOLERANCE: Final = 0.02
Z_UP_FROM_Y_UP: Final = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
RESULTS: Final = {
    openvr.TrackingResult_Running_OK: Tracking.OK,
    openvr.TrackingResult_Running_OutOfRange: Tracking.OUT_OF_RANGE,
    openvr.TrackingResult_Calibrating_InProgress: Tracking.CALIBRATING,
    openvr.TrackingResult_Calibrating_OutOfRange: Tracking.CALIBRATING,
    openvr.TrackingResult_Fallback_RotationOnly: Tracking.ROTATION_ONLY,
}


def open_steamvr(serial: str) -> SteamvrBackend:
    """Connect to a running SteamVR; BackendUnavailable where there is none."""
    try:
        # Background: never starts SteamVR by itself, and ends with it.
        system = openvr.init(openvr.VRApplication_Background)
    except openvr.error_code.InitError as error:
        raise BackendUnavailable(
            f"no SteamVR ({type(error).__name__}): install it, start it, switch the tracker on"
        ) from error
    return SteamvrBackend(system, serial, openvr.shutdown)


class SteamvrBackend:
    """Hears the tracker with a serial number, e.g. LHR-12345678, of an IVRSystem."""

    def __init__(self, system: Any, serial: str, shutdown: Callable[[], None]) -> None:
        self._system = system
        self._shutdown = shutdown
        self._choice = Choice(serial)
        self._index: int | None = None
        self._searched_s = float("-inf")
        self._poses = (openvr.TrackedDevicePose_t * openvr.k_unMaxTrackedDeviceCount)()
        self._last = b""
        self._changed_s = 0.0

    def poll(self, now_s: float) -> list[TrackerSample]:
        self._follow_events()
        if self._index is None or not self._poses[self._index].bDeviceIsConnected:
            self._search(now_s)
        if self._index is None:
            return []
        self._system.getDeviceToAbsoluteTrackingPose(openvr.TrackingUniverseStanding, 0.0, self._poses)
        pose = self._poses[self._index]
        tracking = _tracking(pose)
        seen = bytes(pose.mDeviceToAbsoluteTracking)
        if seen != self._last or tracking is not Tracking.OK:
            self._last, self._changed_s = seen, now_s
        position_m, quat = z_up(np.array(pose.mDeviceToAbsoluteTracking.m, dtype=np.float64))
        return [TrackerSample(self._choice.chosen, self._changed_s, position_m, quat, tracking)]

    def _follow_events(self) -> None:
        event = openvr.VREvent_t()
        while self._system.pollNextEvent(event):
            if event.eventType == openvr.VREvent_Quit:
                self._system.acknowledgeQuit_Exiting()  # else SteamVR kills this process
                raise BackendUnavailable("SteamVR has been closed; start it again")

    def _search(self, now_s: float) -> None:
        """Look for the tracker among the devices, once a second."""
        if now_s - self._searched_s < SEARCH_PERIOD_S:
            return
        self._searched_s = now_s
        for index in range(openvr.k_unMaxTrackedDeviceCount):
            if self._system.getTrackedDeviceClass(index) != openvr.TrackedDeviceClass_GenericTracker:
                continue
            try:
                serial = self._system.getStringTrackedDeviceProperty(index, openvr.Prop_SerialNumber_String)
            except openvr.error_code.TrackedPropertyError:  # it has just been switched on
                continue
            if self._choice.takes(serial):
                self._index = index

    def notes(self) -> Mapping[str, object]:
        return self._choice.notes()

    def close(self) -> None:
        self._shutdown()


def z_up(matrix: Array) -> tuple[Array, Array]:
    """Position (3,) and quaternion (4,) xyzw in a world with z up, of a device's (3, 4) in one with y up.

    Where the rotation is none, the quaternion is zero, which nobody takes for a pose.
    """
    turned = Z_UP_FROM_Y_UP @ matrix
    R = turned[:, :3]
    error = np.max(np.abs(R @ R.T - np.eye(3)))
    if not error < ORTHONORMAL_TOLERANCE or np.linalg.det(R) < 0.0:
        return turned[:, 3], NO_ROTATION
    return turned[:, 3], se3.quat_from_matrix(R)


def _tracking(pose: Any) -> Tracking:
    if not pose.bDeviceIsConnected:
        return Tracking.DISCONNECTED
    said = RESULTS.get(int(pose.eTrackingResult), Tracking.INVALID)
    if said is Tracking.OK and not pose.bPoseIsValid:
        return Tracking.INVALID
    return said
