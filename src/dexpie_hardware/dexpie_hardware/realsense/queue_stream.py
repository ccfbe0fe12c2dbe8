"""Frames out of a librealsense queue, whatever fills it."""

from __future__ import annotations

import array
import time
from typing import Any, Final

from dexpie_hardware.realsense.frames import Domain, Identity, Intrinsics, RawFrame

# Frames that wait while this process is busy: a quarter of a second at 60 Hz. The library itself has 16.
QUEUE_FRAMES: Final = 15


class QueueStream:
    """Reads a queue of colour frames of one profile."""

    def __init__(self, rs: Any, queue: Any, profile: Any, identity: Identity) -> None:
        self.identity = identity
        self.intrinsics = _intrinsics(profile.as_video_stream_profile().get_intrinsics())
        self._queue = queue
        self._domains = {getattr(rs.timestamp_domain, domain.value): domain for domain in Domain}
        self._bytes = self.intrinsics.width * self.intrinsics.height * 3

    def read(self, timeout_s: float) -> RawFrame | None:
        """The next frame, None if none comes in time; the library's wait lets other threads run."""
        found, frame = self._queue.try_wait_for_frame(round(1e3 * timeout_s))
        if not found:
            return None
        arrival_ns, arrival_s = time.time_ns(), time.monotonic()
        video = frame.as_frameset().get_color_frame() if frame.is_frameset() else frame.as_video_frame()
        pixels = array.array("B")
        pixels.frombytes(video.get_data())
        if len(pixels) != self._bytes:
            raise RuntimeError(f"a frame has {len(pixels)} bytes instead of {self._bytes}: is it rgb8?")
        return RawFrame(
            number=video.get_frame_number(),
            timestamp_ms=video.get_timestamp(),
            domain=self._domains[video.get_frame_timestamp_domain()],
            arrival_ns=arrival_ns,
            arrival_s=arrival_s,
            pixels=pixels,
        )


def color_profiles(device: Any, rs: Any) -> list[tuple[Any, Any]]:
    """(sensor, profile) of every colour stream that a device offers."""
    return [
        (sensor, profile)
        for sensor in device.query_sensors()
        for profile in sensor.get_stream_profiles()
        if profile.stream_type() == rs.stream.color
    ]


def describe(profile: Any) -> str:
    """E.g. '640x480 rgb8 60 Hz'."""
    video = profile.as_video_stream_profile()
    return f"{video.width()}x{video.height()} {video.format().name} {video.fps()} Hz"


def rgb_stream(width: int, height: int, rate_hz: int) -> str:
    """What `describe` says of such a stream."""
    return f"{width}x{height} rgb8 {rate_hz} Hz"


def identify(device: Any, rs: Any, notes: tuple[str, ...] = ()) -> Identity:
    """What a device says of itself."""

    def info(key: Any) -> str:
        return str(device.get_info(key)) if device.supports(key) else ""

    keys = rs.camera_info
    return Identity(
        name=info(keys.name),
        serial=info(keys.serial_number),
        usb_type=info(keys.usb_type_descriptor),
        firmware=info(keys.firmware_version),
        notes=notes,
    )


def _intrinsics(found: Any) -> Intrinsics:
    return Intrinsics(
        found.width, found.height, found.fx, found.fy, found.ppx, found.ppy,
        found.model.name, tuple(float(c) for c in found.coeffs),
    )  # fmt: skip
