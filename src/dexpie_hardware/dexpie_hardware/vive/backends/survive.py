"""libsurvive through pysurvive: lighthouse tracking without SteamVR.

libsurvive says nothing when it loses a tracker: it stops reporting, and the last pose stays (Kalman filter
over `report-ignore-threshold`). Its world is right handed with z up; its quaternions are w, x, y, z.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final

import numpy as np
import pysurvive

from dexpie_hardware.tracker_sample import TrackerSample
from dexpie_hardware.vive.backends import BackendUnavailable, Choice

PROGRAM: Final = "vive_tracker"  # element 0 of the arguments, as in any command line
LIGHTHOUSE_PREFIX: Final = "LH"
MAX_UPDATES: Final = 256  # in one poll; there are hundreds a second


class SurviveBackend:
    """Hears the tracker with a codename, e.g. WM0; its context runs a thread of its own."""

    def __init__(self, name: str, arguments: tuple[str, ...]) -> None:
        self._choice = Choice(name)
        self._context = pysurvive.SimpleContext([PROGRAM, *arguments])

    def poll(self, now_s: float) -> list[TrackerSample]:
        if not self._context.Running():
            raise BackendUnavailable("libsurvive has stopped; look at its messages and at the USB dongle")
        samples = []
        for updated in itertools.islice(iter(self._context.NextUpdated, None), MAX_UPDATES):
            name = updated.Name().decode(errors="replace")
            if name.startswith(LIGHTHOUSE_PREFIX) or not self._choice.takes(name):
                continue
            pose, device_s = updated.Pose()
            if device_s <= 0:  # no fix so far
                continue
            w, x, y, z = (float(pose.Rot[k]) for k in range(4))
            position_m = np.array([float(pose.Pos[k]) for k in range(3)])
            samples.append(TrackerSample(name, float(device_s), position_m, np.array([x, y, z, w])))
        return samples

    def notes(self) -> Mapping[str, object]:
        return self._choice.notes()

    def close(self) -> None:
        """Drop the context: pysurvive offers no way to end it before the process ends."""
        del self._context
