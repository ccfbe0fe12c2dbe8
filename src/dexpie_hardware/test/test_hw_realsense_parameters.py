"""What is asked of a camera is checked before anything is opened."""

import dataclasses

import pytest

from dexpie_hardware.realsense.parameters import RANGES, CameraParameters

GOOD = CameraParameters(serial="_831612073525")


def changed(**values):
    return dataclasses.replace(GOOD, **values)


def test_the_underscore_that_keeps_a_serial_a_string_is_dropped():
    assert GOOD.serial_number == "831612073525"
    assert changed(serial="f0190427").serial_number == "f0190427"


def test_times_of_the_watchdog_follow_the_rate():
    limits = changed(rate_hz=30, silence_periods=6.0).limits
    assert limits.silence_s == pytest.approx(0.2)
    assert limits.lost_s == GOOD.lost_s


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("end", [0, 1])
def test_a_value_outside_its_range_is_refused_by_name(name, end):
    low, high = RANGES[name]
    outside = (low - 1, high + 1)[end]
    with pytest.raises(ValueError, match=rf"^{name}: .* is not in \["):
        changed(**{name: type(getattr(GOOD, name))(outside)})


@pytest.mark.parametrize("name", [name for name in RANGES if isinstance(getattr(GOOD, name), float)])
def test_a_value_that_is_not_a_number_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"^{name}: nan"):
        changed(**{name: float("nan")})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"camera": "left"}, "camera: 'left' is none of front, wrist"),
        ({"source": "usb"}, "source: 'usb' is none of device, file, software"),
        ({"serial": ""}, "serial: give the camera's serial number"),
        ({"serial": "_"}, "serial: give the camera's serial number"),
        ({"source": "file"}, "file: source file needs the path"),
        ({"file": "x.db3"}, "file, repeat: source device plays no file"),
        ({"repeat": True}, "file, repeat: source device plays no file"),
        ({"control": "/tmp/x"}, "control: source device has no control socket"),
        ({"source": "software", "initial_reset": True}, "initial_reset: only source device"),
        ({"recording_rate_hz": 61.0}, "recording_rate_hz: 61 is above rate_hz, 60"),
        ({"auto_exposure": False, "exposure_us": 17_000.0}, "exposure_us: 17000 is longer than a period"),
        ({"lost_s": 0.1, "silence_periods": 7.0}, "lost_s: 0.1 is shorter than silence_periods"),
    ],
)
def test_what_does_not_fit_together_is_refused(values, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        changed(**values)


def test_a_long_exposure_is_nobodys_business_while_the_camera_chooses_it():
    assert changed(exposure_us=30_000.0).auto_exposure
