"""Ways to hear a tracker. A backend is opened by name; its library is imported only then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from dexpie_core.errors import DexpieError, UsageError
from dexpie_hardware.tracker_sample import TrackerSample

BACKENDS: Final = ("pysurvive", "openvr", "stream")
HOW_TO_GET: Final = (
    "pysurvive: build libsurvive's Python package from its sources (there are wheels below Python 3.11); "
    "openvr: pip install openvr, and SteamVR running; backend stream needs neither"
)


class BackendUnavailable(DexpieError):
    """The device or the program behind a backend is not there now; trying again later may help."""


class Backend(Protocol):
    """What the driver needs of a backend."""

    def poll(self, now_s: float) -> list[TrackerSample]:
        """What has arrived since the last call, oldest first, at most one sample per new measurement.

        now_s is the host's monotonic clock. Never waits. Raises BackendUnavailable where the device's
        program has gone; the backend is then closed and opened again.
        """
        ...

    def notes(self) -> Mapping[str, object]:
        """What /diagnostics tells of it."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


def open_backend(kind: str, name: str, arguments: tuple[str, ...], address: str) -> Backend:
    """Open a backend for the tracker `name`; '' is the only one, or the first one heard.

    Raises UsageError where its library is missing, BackendUnavailable where the device's program is.
    """
    if kind == "stream":
        from dexpie_hardware.vive.backends.stream import StreamBackend

        return StreamBackend(name, address)
    if kind not in BACKENDS:
        raise UsageError(f"parameter backend: {kind!r} is not a choice; choose from {', '.join(BACKENDS)}")
    try:
        if kind == "pysurvive":
            from dexpie_hardware.vive.backends.survive import SurviveBackend

            return SurviveBackend(name, arguments)
        from dexpie_hardware.vive.backends.steamvr import open_steamvr

        return open_steamvr(name)
    except (ImportError, OSError) as error:  # OSError: a shared library of it is missing
        raise UsageError(f"backend {kind} cannot be imported ({error}): {HOW_TO_GET}") from error


class Choice:
    """Which tracker is meant: the named one, else the first one heard, for good."""

    def __init__(self, wanted: str) -> None:
        self.chosen = wanted
        self.others: set[str] = set()

    def takes(self, name: str) -> bool:
        """Whether this tracker's samples are wanted."""
        if not self.chosen:
            self.chosen = name
        if name != self.chosen:
            self.others.add(name)
        return name == self.chosen

    def notes(self) -> dict[str, object]:
        """For /diagnostics."""
        return {"tracker": self.chosen, "other_trackers": ", ".join(sorted(self.others))}
