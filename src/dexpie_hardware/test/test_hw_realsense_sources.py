"""The sources on the genuine library: its software devices stand on the bus in place of cameras."""

import sqlite3
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dexpie_core.errors import DexpieError, UsageError
from dexpie_hardware.realsense import library
from dexpie_hardware.realsense.device_source import DeviceSource, Wanted
from dexpie_hardware.realsense.file_source import check_file
from dexpie_hardware.realsense.frames import Change, Domain, SourceError
from dexpie_hardware.realsense.pattern import Pattern
from dexpie_hardware.realsense.software import SoftwareCamera
from dexpie_ros.testing import Repeating

pytestmark = pytest.mark.processes

try:
    rs = library.load()
except DexpieError as error:
    pytest.skip(str(error), allow_module_level=True)

PATTERN = Pattern(640, 480)
WANTED = Wanted(
    serial="111",
    width=640,
    height=480,
    rate_hz=60,
    auto_exposure=True,
    exposure_us=8000.0,
    gain=64.0,
    auto_exposure_priority=False,
    global_time=True,
    initial_reset=False,
)
MANUAL = replace(WANTED, auto_exposure=False, exposure_us=4000.0, gain=20.0, global_time=False)


class Bus:
    """The library's context with software devices on it."""

    def __init__(self, *cameras):
        self.devices = [camera.device for camera in cameras]
        self.callback = None

    def query_devices(self):
        return self.devices

    def set_devices_changed_callback(self, callback):
        self.callback = callback


class BusEvent:
    def __init__(self, removed=(), added=()):
        self.removed, self.added = removed, added

    def was_removed(self, device):
        return device in self.removed

    def get_new_devices(self):
        return self.added


def camera(serial, *, usb_type="3.2", rate_hz=60):
    made = SoftwareCamera(rs, 640, 480, rate_hz, usb_type)
    made.device.update_info(rs.camera_info.serial_number, serial)
    return made


def test_the_camera_with_the_serial_number_is_opened_and_its_frames_come_through():
    front, wrist = camera("111"), camera("222")
    stream = DeviceSource(rs, Bus(wrist, front), WANTED).open()
    wrist.send(PATTERN.draw(5), 5, 5.0, Domain.GLOBAL_TIME)
    front.send(PATTERN.draw(7), 7, 1234.5, Domain.HARDWARE_CLOCK)
    frame = stream.read(1.0)
    assert (frame.number, frame.timestamp_ms, frame.domain) == (7, 1234.5, Domain.HARDWARE_CLOCK)
    np.testing.assert_array_equal(np.array(frame.pixels).reshape(480, 640, 3), PATTERN.draw(7))
    assert stream.read(0.01) is None
    assert stream.identity.serial == "111"
    assert stream.identity.usb_type == "3.2"
    assert stream.identity.notes == ()
    assert (stream.intrinsics.fx, stream.intrinsics.cx) == (pytest.approx(614.4), 320.0)
    assert stream.temperature_c() == 36.5
    assert not stream.ended()
    stream.close()


def test_a_camera_can_be_opened_again_after_it_was_closed():
    front = camera("111")
    source = DeviceSource(rs, Bus(front), WANTED)
    for number in (1, 2):
        stream = source.open()
        front.send(PATTERN.draw(number), number, 1.0, Domain.GLOBAL_TIME)
        assert stream.read(1.0).number == number
        stream.close()


def test_a_missing_camera_is_told_with_those_that_are_there():
    with pytest.raises(SourceError, match="camera 111 is not connected; connected: 222, 333"):
        DeviceSource(rs, Bus(camera("222"), camera("333")), WANTED).open()


def test_an_empty_bus_is_told_at_once_with_what_to_check():
    library_that_cannot_wait = SimpleNamespace(camera_info=rs.camera_info)  # pipeline.start waits for 15 s
    source = DeviceSource(library_that_cannot_wait, rs.context(), WANTED)
    with pytest.raises(SourceError, match="not connected; none is: check cable, USB 3 port, udev rules"):
        source.open()


def test_other_threads_run_while_a_frame_is_waited_for():
    ticks = []
    stream = DeviceSource(rs, Bus(camera("111")), WANTED).open()
    with Repeating(100.0, lambda: ticks.append(time.monotonic())):
        begin_s = time.monotonic()
        assert stream.read(1.0) is None
        within = [t for t in ticks if begin_s < t < begin_s + 0.9]
    assert len(within) >= 5
    stream.close()


def test_a_stream_that_the_camera_does_not_have_is_told_with_those_it_has():
    source = DeviceSource(rs, Bus(camera("111", usb_type="2.1", rate_hz=30)), WANTED)
    with pytest.raises(
        SourceError, match=r"\(USB 2.1\) has no colour stream 640x480 rgb8 60 Hz; it has .* 30 Hz"
    ):
        source.open()


def test_manual_exposure_is_set_in_the_cameras_units():
    front = camera("111")
    stream = DeviceSource(rs, Bus(front), MANUAL).open()
    options = {
        name: front.sensor.get_option(getattr(rs.option, name))
        for name in (
            "enable_auto_exposure",
            "exposure",
            "gain",
            "auto_exposure_priority",
            "global_time_enabled",
        )
    }
    assert options == {
        "enable_auto_exposure": 0.0,
        "exposure": 40.0,
        "gain": 20.0,
        "auto_exposure_priority": 0.0,
        "global_time_enabled": 0.0,
    }
    stream.close()


def test_automatic_exposure_leaves_exposure_and_gain_alone():
    assert [name for name, _ in WANTED.options()] == [
        "global_time_enabled",
        "enable_auto_exposure",
        "auto_exposure_priority",
    ]


def test_a_setting_that_is_not_taken_is_a_note_and_no_end():
    wanted = replace(MANUAL, gain=500.0)
    stream = DeviceSource(rs, Bus(camera("111")), wanted).open()
    (note,) = stream.identity.notes
    assert note.startswith("gain = 500 is refused (out of range")
    stream.close()


def test_a_bus_event_counts_only_for_the_camera_in_use():
    front, wrist = camera("111"), camera("222")
    bus = Bus(front, wrist)
    source = DeviceSource(rs, bus, WANTED)
    bus.callback(BusEvent(removed=[front.device]))
    assert source.changes() == []  # it was not open
    stream = source.open()
    bus.callback(BusEvent(removed=[wrist.device]))
    assert source.changes() == []
    bus.callback(BusEvent(removed=[front.device]))
    bus.callback(BusEvent(added=[wrist.device]))
    assert source.changes() == [Change.REMOVED, Change.ADDED]
    assert source.changes() == []
    stream.close()


class SensorWithoutTemperature:
    def __init__(self, sensor):
        self.sensor = sensor

    def get_option(self, option):
        raise RuntimeError("xioctl failed")

    def __getattr__(self, name):
        return getattr(self.sensor, name)


class DeviceWithoutTemperature:
    def __init__(self, device):
        self.device = device

    def query_sensors(self):
        return [SensorWithoutTemperature(sensor) for sensor in self.device.query_sensors()]

    def __getattr__(self, name):
        return getattr(self.device, name)


def test_a_temperature_that_cannot_be_read_is_unknown_and_no_loss():
    front = camera("111")
    bus = Bus(front)
    bus.devices[0] = DeviceWithoutTemperature(front.device)
    stream = DeviceSource(rs, bus, WANTED).open()
    assert stream.temperature_c() is None
    stream.close()


class ResettableDevice:
    """A software device knows no reset; this one counts them."""

    def __init__(self, device):
        self.device = device
        self.resets = 0

    def hardware_reset(self):
        self.resets += 1

    def __getattr__(self, name):
        return getattr(self.device, name)


def test_the_reset_comes_once_and_the_camera_has_time_to_come_back(monkeypatch):
    now_s = 50.0
    monkeypatch.setattr("dexpie_hardware.realsense.device_source.time.monotonic", lambda: now_s)
    bus = Bus(camera("111"))
    bus.devices[0] = device = ResettableDevice(bus.devices[0])
    source = DeviceSource(rs, bus, replace(WANTED, initial_reset=True))
    with pytest.raises(SourceError, match="is being reset"):
        source.open()
    now_s = 52.9
    with pytest.raises(SourceError, match="waiting for it to come back"):
        source.open()
    now_s = 53.1
    source.open().close()
    assert device.resets == 1


def sqlite(path, script):
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


def test_a_file_that_is_no_recording_is_refused_in_one_line(tmp_path):
    (tmp_path / "empty.db3").touch()
    (tmp_path / "text.db3").write_text("not a database at all, though long enough to be looked at as one")
    (tmp_path / "old.bag").write_text("#ROSBAG V2.0")
    sqlite(tmp_path / "other.db3", "create table numbers(n)")
    sqlite(tmp_path / "ros2.db3", "create table topics(id, name); insert into topics values (1, '/tf')")
    for name, words in (
        ("missing.db3", "does not exist"),
        (".", "is a folder"),
        ("empty.db3", "is empty"),
        ("text.db3", "file is not a database"),
        ("old.bag", "does not end with .db3"),
        ("other.db3", "no such table: topics"),
        ("ros2.db3", "is another kind of .db3 file"),
    ):
        with pytest.raises(UsageError) as refusal:
            check_file(tmp_path / name)
        assert str(refusal.value) == f"{tmp_path / name}: {words}; give a .db3 file recorded by librealsense"


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(
        DexpieError, match=r"pyrealsense2 cannot be imported .*libusb-1.0-0 or pip install libusb"
    ):
        library.load()
