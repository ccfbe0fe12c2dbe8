"""A camera without hardware: librealsense's own software device, fed with the test pattern.

It stands in for the USB bus (the library's context), so that the driver finds, opens, reads and loses it
through the same code as a real camera. Faults are injected through a control socket.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dexpie_hardware.emulators.control import ControlServer
from dexpie_hardware.realsense.device_source import DeviceSource, Wanted
from dexpie_hardware.realsense.frames import Domain
from dexpie_hardware.realsense.pattern import Pattern
from dexpie_ros.loop import RateLoop

SERIAL: Final = "software"
TEMPERATURE_C: Final = 36.5
OPTIONS: Final = {  # low, high, default, step
    "global_time_enabled": (0, 1, 1, 1),
    "enable_auto_exposure": (0, 1, 1, 1),
    "auto_exposure_priority": (0, 1, 1, 1),
    "exposure": (1, 10_000, 156, 1),
    "gain": (0, 128, 64, 1),
}


class SoftwareCamera:
    """librealsense's software device with one colour sensor, as a D415 has it."""

    def __init__(self, rs: Any, width: int, height: int, rate_hz: int, usb_type: str = "3.2") -> None:
        self._rs = rs
        self.device = rs.software_device()
        self.device.register_info(rs.camera_info.name, "Software camera")
        self.device.register_info(rs.camera_info.serial_number, SERIAL)
        self.device.register_info(rs.camera_info.usb_type_descriptor, usb_type)
        self.sensor = self.device.add_sensor("RGB Camera")
        for name, (low, high, default, step) in OPTIONS.items():
            limits = rs.option_range()
            limits.min, limits.max, limits.default, limits.step = low, high, default, step
            self.sensor.add_option(getattr(rs.option, name), limits, True)
        self.sensor.add_read_only_option(rs.option.asic_temperature, TEMPERATURE_C)
        stream = self.sensor.add_video_stream(_video_stream(rs, width, height, rate_hz), True)
        self.profile = stream.as_video_stream_profile()

    @property
    def streams(self) -> bool:
        """Whether somebody has opened it."""
        return bool(self.sensor.get_active_streams())

    def send(self, image: NDArray[np.uint8], number: int, timestamp_ms: float, domain: Domain) -> None:
        """One frame (height, width, 3) rgb8 with its number and time."""
        frame = self._rs.software_video_frame()
        frame.pixels = image
        frame.bpp = 3
        frame.stride = 3 * image.shape[1]
        frame.timestamp = timestamp_ms
        frame.domain = getattr(self._rs.timestamp_domain, domain.value)
        frame.frame_number = number
        frame.profile = self.profile
        self.sensor.on_video_frame(frame)


def _video_stream(rs: Any, width: int, height: int, rate_hz: int) -> Any:
    intrinsics = rs.intrinsics()
    intrinsics.width, intrinsics.height = width, height
    intrinsics.fx = intrinsics.fy = 0.96 * width  # near a D415's
    intrinsics.ppx, intrinsics.ppy = 0.5 * width, 0.5 * height
    intrinsics.model = rs.distortion.inverse_brown_conrady
    intrinsics.coeffs = [0.0] * 5
    stream = rs.video_stream()
    stream.type, stream.index, stream.uid, stream.fmt = rs.stream.color, 0, 1, rs.format.rgb8
    stream.width, stream.height, stream.fps, stream.bpp = width, height, rate_hz, 3
    stream.intrinsics = intrinsics
    return stream


class SoftwareSource(DeviceSource):
    """The device's source with one software camera on its bus."""

    def __init__(self, rs: Any, wanted: Wanted, control: Path | None = None) -> None:
        self._bus = SoftwareBus(rs, wanted.width, wanted.height, wanted.rate_hz, control)
        super().__init__(rs, self._bus, dataclasses.replace(wanted, serial=SERIAL))

    def close(self) -> None:
        """End the camera."""
        self._bus.close()


class SoftwareBus:
    """Context with one software camera, which can be unplugged; feeds it on a thread of its own."""

    def __init__(self, rs: Any, width: int, height: int, rate_hz: int, control: Path | None = None) -> None:
        self._make = lambda: SoftwareCamera(rs, width, height, rate_hz)
        self._pattern = Pattern(width, height)
        self._lock = threading.Lock()
        self._camera: SoftwareCamera | None = self._make()
        self._callback: Callable[[Any], None] = lambda info: None
        self._number = 0
        self._paused = False
        self._repeats = 0
        self._domain = Domain.GLOBAL_TIME
        self._shift_ms = 0.0
        self._hangs_s = {"open": 0.0, "close": 0.0}
        self._control = ControlServer(control, self._commands()) if control else None
        self._loop = RateLoop(float(rate_hz), self._feed)
        self._thread = threading.Thread(target=self._loop.run, name="feeder", daemon=True)
        self._thread.start()

    def query_devices(self) -> list[_Device]:
        """As rs.context.query_devices."""
        camera = self._camera
        return [_Device(self, camera)] if camera is not None else []

    def set_devices_changed_callback(self, callback: Callable[[Any], None]) -> None:
        """As rs.context.set_devices_changed_callback."""
        self._callback = callback

    def close(self) -> None:
        """Stop feeding and take the control socket away."""
        self._loop.stop()
        self._thread.join()
        if self._control is not None:
            self._control.close()

    def hang(self, call: str) -> None:
        """Block as `call` of a camera that does not answer would; once."""
        seconds, self._hangs_s[call] = self._hangs_s[call], 0.0
        time.sleep(seconds)

    def _feed(self) -> None:
        with self._lock:
            camera = self._camera
            if camera is None or self._paused or not camera.streams:
                return
            self._number += 1
            now_ms = 1e3 * (time.monotonic() if self._domain is Domain.HARDWARE_CLOCK else time.time())
            count, self._repeats = 1 + self._repeats, 0
            image = self._pattern.draw(self._number)
            for _ in range(count):
                camera.send(image, self._number, now_ms + self._shift_ms, self._domain)

    def _commands(self) -> Mapping[str, Callable[..., Mapping[str, Any] | None]]:
        return {
            "pause": lambda: self._set(_paused=True),
            "resume": lambda: self._set(_paused=False),
            "unplug": self._unplug,
            "plug": self._plug,
            "drop": self._drop,
            "duplicate": lambda count=1: self._set(_repeats=int(count)),
            "domain": lambda name: self._set(_domain=Domain(name)),
            "shift_clock": lambda ms: self._set(_shift_ms=float(ms)),
            "hang": self._hang_next,
            "status": lambda: {"number": self._number, "plugged": self._camera is not None},
        }

    def _set(self, **values: object) -> None:
        with self._lock:
            for name, value in values.items():
                setattr(self, name, value)

    def _drop(self, count: int = 1) -> None:
        with self._lock:
            self._number += int(count)

    def _hang_next(self, call: str, seconds: float) -> None:
        if call not in self._hangs_s:
            raise ValueError(f"call {call!r} is none of {', '.join(self._hangs_s)}")
        self._hangs_s[call] = float(seconds)

    def _unplug(self) -> None:
        with self._lock:
            gone, self._camera = self._camera, None
        self._callback(_BusEvent(removed=gone))

    def _plug(self) -> None:
        with self._lock:
            if self._camera is not None:
                raise ValueError("it is plugged in")
            self._camera = self._make()
        self._callback(_BusEvent(added=self._camera))


class _BusEvent:
    """As rs.event_information."""

    def __init__(self, removed: SoftwareCamera | None = None, added: SoftwareCamera | None = None) -> None:
        self._removed = removed
        self._added = [added] if added is not None else []

    def was_removed(self, device: _Device) -> bool:
        return device.camera is self._removed

    def get_new_devices(self) -> list[SoftwareCamera]:
        return self._added


class _Device:
    """The genuine software device; its sensors can be made to hang."""

    def __init__(self, bus: SoftwareBus, camera: SoftwareCamera) -> None:
        self.camera = camera
        self._bus = bus

    def query_sensors(self) -> list[_Sensor]:
        return [_Sensor(self._bus, sensor) for sensor in self.camera.device.query_sensors()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.camera.device, name)


class _Sensor:
    """The genuine software sensor; `open` and `stop` can be made to block."""

    def __init__(self, bus: SoftwareBus, sensor: Any) -> None:
        self._bus = bus
        self._sensor = sensor

    def open(self, profile: Any) -> None:
        self._bus.hang("open")
        self._sensor.open(profile)

    def stop(self) -> None:
        self._bus.hang("close")
        self._sensor.stop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sensor, name)
