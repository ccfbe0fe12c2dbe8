"""A camera on the USB bus, chosen by its serial number.

It is opened through its sensor, not through `pipeline`: `pipeline.start` waits up to 15 s for a camera that
is not there and holds the interpreter for all of it, whereas `sensor.open`, `start` and `stop` let other
threads run. What still holds the interpreter is the making of the device object, a few control transfers.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from dexpie_hardware.realsense.frames import Change, SourceError
from dexpie_hardware.realsense.queue_stream import (
    QUEUE_FRAMES,
    QueueStream,
    color_profiles,
    describe,
    identify,
    rgb_stream,
)

RESET_S: Final = 3.0  # a camera that was reset is still on the bus for a moment
EXPOSURE_UNIT_US: Final = 100.0  # of a UVC camera's exposure time (absolute)


@dataclass(frozen=True)
class Wanted:
    """The stream that is asked of a camera, and its settings; exposure and gain are for manual exposure."""

    serial: str
    width: int
    height: int
    rate_hz: int
    auto_exposure: bool
    exposure_us: float
    gain: float
    auto_exposure_priority: bool
    global_time: bool
    initial_reset: bool

    def options(self) -> tuple[tuple[str, float], ...]:
        """librealsense's options in the order in which they have to be set."""
        chosen = [
            ("global_time_enabled", float(self.global_time)),
            ("enable_auto_exposure", float(self.auto_exposure)),
            ("auto_exposure_priority", float(self.auto_exposure_priority)),
        ]
        if not self.auto_exposure:
            chosen += [("exposure", self.exposure_us / EXPOSURE_UNIT_US), ("gain", self.gain)]
        return tuple(chosen)


class DeviceSource:
    """Finds the camera among the context's devices and opens its colour sensor."""

    def __init__(self, rs: Any, context: Any, wanted: Wanted) -> None:
        self.name = f"camera {wanted.serial}"
        self._rs = rs
        self._context = context
        self._wanted = wanted
        self._device: Any = None
        self._changes: deque[Change] = deque(maxlen=16)
        self._reset_due = wanted.initial_reset
        self._ready_s = 0.0
        context.set_devices_changed_callback(self._changed)

    def open(self) -> DeviceStream:
        """Start the stream of the camera with this serial number."""
        if time.monotonic() < self._ready_s:
            raise SourceError(f"{self.name} was reset, as initial_reset asks; waiting for it to come back")
        device = self._find()
        if self._reset_due:
            self._reset_due = False
            self._ready_s = time.monotonic() + RESET_S
            device.hardware_reset()
            raise SourceError(f"{self.name} is being reset, as initial_reset asks")
        sensor, profile = self._choose(device)
        notes = apply(self._rs, sensor, self._wanted)
        queue = self._rs.frame_queue(QUEUE_FRAMES)
        sensor.open(profile)
        try:
            sensor.start(queue)
        except RuntimeError:
            sensor.close()
            raise
        self._device = device
        return DeviceStream(self._rs, queue, profile, device, sensor, notes)

    def changes(self) -> list[Change]:
        """Removals of the camera in use and additions since the last call."""
        return [self._changes.popleft() for _ in range(len(self._changes))]

    def close(self) -> None:
        """The context stays until the process ends: taking it down can wait for a callback of its own."""

    def _changed(self, info: Any) -> None:
        """Called by the library on a thread of its own."""
        if self._device is not None and info.was_removed(self._device):
            self._device = None
            self._changes.append(Change.REMOVED)
        if len(info.get_new_devices()):
            self._changes.append(Change.ADDED)

    def _find(self) -> Any:
        devices = self._context.query_devices()
        others = []
        for index in range(len(devices)):
            try:
                device = devices[index]
                serial = device.get_info(self._rs.camera_info.serial_number)
            except RuntimeError as error:
                others.append(f"one that cannot be asked ({error})")
                continue
            if serial == self._wanted.serial:
                return device
            others.append(serial)
        there = (
            f"connected: {', '.join(others)}" if others else "none is: check cable, USB 3 port, udev rules"
        )
        raise SourceError(f"{self.name} is not connected; {there}")

    def _choose(self, device: Any) -> tuple[Any, Any]:
        wanted = rgb_stream(self._wanted.width, self._wanted.height, self._wanted.rate_hz)
        offered = color_profiles(device, self._rs)
        for sensor, profile in offered:
            if describe(profile) == wanted:
                return sensor, profile
        usb = identify(device, self._rs).usb_type
        rgb = [text for _, profile in offered if " rgb8 " in (text := describe(profile))]
        raise SourceError(
            f"{self.name} (USB {usb or '?'}) has no colour stream {wanted}; it has "
            f"{', '.join(rgb) or 'none in rgb8'}"
        )


class DeviceStream(QueueStream):
    """A camera's colour sensor that streams."""

    def __init__(
        self, rs: Any, queue: Any, profile: Any, device: Any, sensor: Any, notes: tuple[str, ...]
    ) -> None:
        super().__init__(rs, queue, profile, identify(device, rs, notes))
        self._sensor = sensor
        self._temperature = next(
            (s for s in device.query_sensors() if s.supports(rs.option.asic_temperature)), None
        )
        self._temperature_option = rs.option.asic_temperature

    def ended(self) -> bool:
        """A camera never ends."""
        return False

    def temperature_c(self) -> float | None:
        """Temperature of the camera's ASIC, where a sensor of it tells."""
        if self._temperature is None:
            return None
        with contextlib.suppress(RuntimeError):  # not knowing it is no reason to lose the camera
            return float(self._temperature.get_option(self._temperature_option))
        return None

    def close(self) -> None:
        """Stop and close the sensor; can block, or raise RuntimeError where the camera is gone."""
        try:
            self._sensor.stop()
        finally:
            self._sensor.close()


def apply(rs: Any, sensor: Any, wanted: Wanted) -> tuple[str, ...]:
    """Set the options; what the camera does not know or does not take, in words."""
    refused = []
    for name, value in wanted.options():
        option = getattr(rs.option, name)
        if not sensor.supports(option):
            refused.append(f"{name} is not supported")
            continue
        try:
            sensor.set_option(option, value)
        except RuntimeError as error:
            refused.append(f"{name} = {value:g} is refused ({error})")
    return tuple(refused)
