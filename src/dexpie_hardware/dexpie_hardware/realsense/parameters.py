"""Parameters of a camera: what is asked of it, in units, and what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from dexpie_core import topics
from dexpie_hardware.realsense.lifecycle import Limits
from dexpie_ros.parameters import parameter

SOURCES: Final = ("device", "file", "software")
RANGES: Final = {
    "width_px": (320, 1920),
    "height_px": (180, 1080),
    "rate_hz": (5, 90),
    "recording_rate_hz": (0.1, 90),
    "jpeg_quality": (1, 100),
    "exposure_us": (100, 1_000_000),
    "gain": (0, 128),
    "retry_period_s": (0.05, 60),
    "silence_periods": (2, 100),
    "lost_s": (0.1, 60),
    "first_frame_s": (0.5, 60),
    "open_deadline_s": (1, 120),
    "close_deadline_s": (0.1, 60),
}


@dataclass(frozen=True)
class CameraParameters:
    """One camera of the cell."""

    camera: str = parameter("front", "which camera of the cell it is, and so its topics: front or wrist")
    source: str = parameter("device", "device, file (a recording is played) or software (test pattern)")
    serial: str = parameter(
        "", "device: serial number, a string; a leading underscore is dropped (_8316 stays a string in YAML)"
    )
    file: str = parameter("", "file: path of a .db3 recording of librealsense")
    repeat: bool = parameter(False, "file: begin anew at the end, instead of stopping there")
    control: str = parameter("", "software: path of the control socket for faults; empty: none")
    width_px: int = parameter(640, "width of the stream, px")
    height_px: int = parameter(480, "height of the stream, px")
    rate_hz: int = parameter(60, "rate of the stream, Hz; must be one that the camera offers")
    recording_rate_hz: float = parameter(25.0, "rate of the JPEG stream, Hz")
    jpeg_quality: int = parameter(90, "JPEG quality, 1 to 100")
    auto_exposure: bool = parameter(True, "whether the camera chooses exposure and gain")
    exposure_us: float = parameter(8000.0, "exposure where it does not, us; at most one period of the stream")
    gain: float = parameter(64.0, "gain where it does not, the camera's own unit, 0 to 128")
    auto_exposure_priority: bool = parameter(
        False, "whether automatic exposure may lower the rate when it is dark"
    )
    global_time: bool = parameter(True, "whether frames are stamped on the host's clock by librealsense")
    initial_reset: bool = parameter(False, "device: reset the camera once before it is opened first")
    retry_period_s: float = parameter(0.5, "time between two looks for a camera that is not there, s")
    silence_periods: float = parameter(6.0, "silence that is reported as a fault, periods of the stream")
    lost_s: float = parameter(1.0, "silence after which the camera is closed and opened anew, s")
    first_frame_s: float = parameter(5.0, "time that the first frame has to come after the opening, s")
    open_deadline_s: float = parameter(
        15.0, "time after which an opening that does not return is given up, s"
    )
    close_deadline_s: float = parameter(2.0, "time after which a closing that does not return is given up, s")

    def __post_init__(self) -> None:
        if self.camera not in topics.CAMERAS:
            raise ValueError(f"camera: {self.camera!r} is none of {', '.join(topics.CAMERAS)}")
        if self.source not in SOURCES:
            raise ValueError(f"source: {self.source!r} is none of {', '.join(SOURCES)}")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not math.isfinite(value) or not low <= value <= high:
                raise ValueError(f"{name}: {value:g} is not in [{low:g}, {high:g}]")
        self._check_source()
        self._check_times()

    def _check_source(self) -> None:
        if self.source == "device" and not self.serial_number:
            raise ValueError("serial: give the camera's serial number (rs-enumerate-devices -s lists them)")
        if self.source != "device" and self.initial_reset:
            raise ValueError("initial_reset: only source device can be reset")
        if self.source == "file" and not self.file:
            raise ValueError("file: source file needs the path of a .db3 recording")
        if self.source != "file" and (self.file or self.repeat):
            raise ValueError(f"file, repeat: source {self.source} plays no file")
        if self.source != "software" and self.control:
            raise ValueError(f"control: source {self.source} has no control socket")

    def _check_times(self) -> None:
        if self.recording_rate_hz > self.rate_hz:
            raise ValueError(
                f"recording_rate_hz: {self.recording_rate_hz:g} is above rate_hz, {self.rate_hz}"
            )
        if not self.auto_exposure and self.exposure_us > 1e6 / self.rate_hz:
            raise ValueError(
                f"exposure_us: {self.exposure_us:g} is longer than a period at {self.rate_hz} Hz, "
                f"{1e6 / self.rate_hz:.0f} us"
            )
        if self.silence_periods / self.rate_hz > self.lost_s:
            raise ValueError(
                f"lost_s: {self.lost_s:g} is shorter than silence_periods, {self.silence_periods:g}"
            )

    @property
    def serial_number(self) -> str:
        """The serial without the underscore that keeps YAML from making it a number."""
        return self.serial.removeprefix("_")

    @property
    def limits(self) -> Limits:
        """Times of the camera's life."""
        return Limits(
            retry_period_s=self.retry_period_s,
            open_deadline_s=self.open_deadline_s,
            close_deadline_s=self.close_deadline_s,
            first_frame_s=self.first_frame_s,
            silence_s=self.silence_periods / self.rate_hz,
            lost_s=self.lost_s,
        )
