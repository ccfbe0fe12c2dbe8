"""The camera's driver as a process: without a camera, from a recording, and with a camera of software."""

import signal
import sqlite3
import subprocess
import sys
import time
from itertools import pairwise

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")

from dexpie_core import messages, topics
from dexpie_core.errors import DexpieError
from dexpie_hardware.emulators.control import request
from dexpie_hardware.realsense import library
from dexpie_hardware.realsense.pattern import read_number
from dexpie_ros.testing import NodeProcess, Peer, await_true

pytestmark = pytest.mark.processes

try:
    library.load()
except DexpieError as error:
    pytest.skip(str(error), allow_module_level=True)

NODE = "dexpie_hardware.realsense.camera_node"
FRAMES = 60
SIZE = {"width_px": 320, "height_px": 240}  # small: a busy machine, too, is to pass it on whole
PERIOD_NS = 1e9 / 60
OK, WARN, ERROR = b"\x00", b"\x01", b"\x02"


class Diagnosis:
    """What the driver says of itself on /diagnostics."""

    def __init__(self, peer):
        self._heard = peer.listen(topics.DIAGNOSTICS)
        self.level = self.message = None
        self.values = {}

    def hear(self):
        """Take the oldest report that has not been looked at; False if there is none."""
        for taken in self._heard.take():
            status = taken.message.status[0]
            if status.name != "realsense_camera":
                continue
            self.level, self.message = status.level, status.message
            self.values = {item.key: item.value for item in status.values}
            return True
        return False

    def forget(self):
        while self.hear():
            pass

    def await_report(self, level, words, **at_least):
        """The next report of a level with these words and values of at least so much."""
        self._await(
            lambda: self.level == level and words in self.message, at_least, f"{level!r} with {words!r}"
        )

    def await_streaming(self, **at_least):
        """The next report of a camera that works, though perhaps slowly: other work may keep it back."""
        self._await(
            lambda: self.level in (OK, WARN) and self.values["state"] == "streaming", at_least, "a stream"
        )

    def _await(self, condition, at_least, what):
        def fits():
            while self.hear():
                if condition() and all(float(self.values[key]) >= value for key, value in at_least.items()):
                    return True
            return False

        try:
            await_true(fits, f"{what} and {at_least}")
        except TimeoutError as error:
            raise AssertionError(f"{error}; last was {self.message!r}, {self.values}") from error


@pytest.fixture(scope="module")
def peer():
    with Peer() as peer:
        yield peer


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "pattern.db3"
    size = ["--width-px", str(SIZE["width_px"]), "--height-px", str(SIZE["height_px"])]
    command = [sys.executable, "-m", "dexpie_hardware.realsense.record", str(path), "--frames", str(FRAMES)]
    subprocess.run(command + size, check=True, timeout=60)
    return path


def image(message):
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def test_without_a_camera_it_says_so_and_keeps_trying(peer, tmp_path):
    diagnosis = Diagnosis(peer)
    with NodeProcess(NODE, tmp_path / "log", {"serial": "_000000000000"}) as process:
        diagnosis.await_report(ERROR, "camera 000000000000 is not connected; none is")
        diagnosis.await_report(ERROR, "is not connected", looks=3)
        assert diagnosis.values["openings"] == "0"
        assert process.stop(signal.SIGTERM) == 0
    assert process.log.read_text().count("is not connected") == 1


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"source": "file", "file": "/nowhere/x.db3"}, "/nowhere/x.db3: does not exist; give a .db3 file"),
        ({"serial": 831612073525}, "parameter serial: needs a str"),
        ({"serial": "1", "rate_hz": 200}, "rate_hz: 200 is not in [5, 90]"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(parameters, words, tmp_path):
    with NodeProcess(NODE, tmp_path / "log", parameters) as process:
        assert process.wait() == 2
    (line,) = process.log.read_text().splitlines()
    assert words in line
    assert "realsense_camera: parameter" in line


def test_a_recording_comes_out_with_its_frame_numbers_and_stamps(peer, recording, tmp_path):
    with sqlite3.connect(recording) as database:
        of_images = "JOIN topics ON topic_id = topics.id WHERE name LIKE '%/image/data%'"
        assert database.execute(f"SELECT count(*) FROM messages {of_images}").fetchone() == (FRAMES,)
    raw = peer.listen(topics.raw_image("wrist"))
    parameters = {"camera": "wrist", "source": "file", "file": recording, "repeat": True, **SIZE}
    seen = []

    def whole_pass():
        seen.extend((read_number(image(t.message)), messages.stamp_ns(t.message)) for t in raw.take())
        numbers = [number for number, _ in seen]
        begins = [k for k, number in enumerate(numbers) if number == 1]
        return any(numbers[k : k + FRAMES] == list(range(1, FRAMES + 1)) for k in begins)

    with NodeProcess(NODE, tmp_path / "log", parameters):
        await_true(whole_pass, "a pass of the recording without a gap")
    raw.close()
    assert {number for number, _ in seen} == set(range(1, FRAMES + 1))
    stamps = [stamp_ns for _, stamp_ns in seen]
    assert all(b > a for a, b in pairwise(stamps))
    within = [(b_ns - a_ns) - (b - a) * PERIOD_NS for (a, a_ns), (b, b_ns) in pairwise(seen) if b > a]
    assert len(within) >= FRAMES - 1
    assert np.abs(within).max() <= 1000.0  # ns; librealsense's milliseconds have 53 bits
    assert abs(stamps[-1] - time.time_ns()) < 10e9


def test_a_recording_ends_unless_it_is_repeated(peer, recording, tmp_path):
    diagnosis = Diagnosis(peer)
    with NodeProcess(NODE, tmp_path / "log", {"source": "file", "file": recording, **SIZE}):
        diagnosis.await_report(WARN, "has been played to its end", frames=1)
        values = diagnosis.values
        assert int(values["frames"]) + int(values["dropped"]) == FRAMES
        assert values["stamp_rule"] == "replay"
        assert (values["duplicates"], values["openings"], values["losses"]) == ("0", "1", "0")


def test_a_recording_of_another_stream_is_told_with_what_it_holds(peer, recording, tmp_path):
    diagnosis = Diagnosis(peer)
    with NodeProcess(NODE, tmp_path / "log", {"source": "file", "file": recording}):
        diagnosis.await_report(
            ERROR, "no stream 640x480 rgb8 60 Hz in it; it holds 320x240 rgb8 60 Hz", looks=2
        )


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    return tmp_path_factory.mktemp("camera") / "control"


@pytest.fixture(scope="module")
def process(peer, control, tmp_path_factory):
    parameters = {
        "source": "software",
        "control": control,
        "retry_period_s": 0.2,
        "lost_s": 0.5,
        "open_deadline_s": 1.0,
        "close_deadline_s": 0.3,
    }
    with NodeProcess(NODE, tmp_path_factory.mktemp("driver") / "log", parameters) as process:
        yield process
        assert process.stop(signal.SIGTERM) == 0
        assert not control.exists()


@pytest.fixture(scope="module")
def reports(peer, process):
    return Diagnosis(peer)


@pytest.fixture
def diagnosis(reports):
    """Of a driver that streams as it should."""
    reports.forget()
    if reports.level not in (OK, WARN) or reports.values["state"] != "streaming":
        reports.await_streaming()
    return reports


def report_after(diagnosis, control, level, words, command, **arguments):
    """Inject a fault and await the report of it."""
    diagnosis.forget()
    request(control, command, **arguments)
    diagnosis.await_report(level, words)


def test_pictures_and_intrinsics_carry_one_stamp_and_the_jpeg_shows_the_raw_picture(peer, diagnosis):
    heard = {
        "raw": peer.listen(topics.raw_image("front")),
        "jpeg": peer.listen(topics.compressed_image("front")),
        "info": peer.listen(topics.camera_info("front")),
    }
    found = {kind: {} for kind in heard}

    def enough():
        for kind, subscription in heard.items():
            found[kind].update((messages.stamp_ns(t.message), t.message) for t in subscription.take())
        return len(found["raw"].keys() & found["jpeg"].keys() & found["info"].keys()) >= 25

    await_true(enough, "twenty-five pictures in all their forms")
    for subscription in heard.values():
        subscription.close()
    frame = "camera_front_color_optical_frame"
    for stamp_ns in found["raw"].keys() & found["jpeg"].keys():
        raw, jpeg = found["raw"][stamp_ns], found["jpeg"][stamp_ns]
        assert (raw.encoding, raw.step, raw.header.frame_id) == ("rgb8", 1920, frame)
        assert (jpeg.format, jpeg.header.frame_id) == ("rgb8; jpeg compressed bgr8", frame)
        decoded = cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), cv2.IMREAD_COLOR)
        rgb = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
        assert read_number(rgb) == read_number(image(raw))
        assert np.abs(rgb.astype(int) - image(raw)).mean() < 8.0  # with red and blue swapped it is 50
    numbers = [read_number(image(found["raw"][stamp_ns])) for stamp_ns in sorted(found["raw"])]
    assert all(b > a for a, b in pairwise(numbers))
    info = next(iter(found["info"].values()))
    assert (info.width, info.height, info.distortion_model) == (640, 480, "plumb_bob")
    np.testing.assert_allclose(info.k, [614.4, 0, 320, 0, 614.4, 240, 0, 0, 1], rtol=1e-6)
    assert info.header.frame_id == frame


@pytest.mark.realtime
def test_sixty_raw_pictures_a_second_and_twenty_five_jpegs(peer, diagnosis):
    jpegs = peer.listen(topics.compressed_image("front"))
    stamps = []

    def at_the_rate():
        stamps.extend(messages.stamp_ns(taken.message) for taken in jpegs.take())
        newest = stamps[-51:]
        return len(newest) == 51 and abs(50e9 / (newest[-1] - newest[0]) - 25.0) < 0.3

    await_true(at_the_rate, "two seconds of JPEGs at 25 Hz")
    jpegs.close()
    instants = [(stamp_ns + PERIOD_NS / 2) // 40e6 for stamp_ns in stamps]
    assert all(b > a for a, b in pairwise(instants))
    diagnosis.await_report(OK, "streaming", rate_hz=54.0)
    assert float(diagnosis.values["rate_hz"]) < 62.0
    assert diagnosis.values["stamp_rule"] == "global_time"
    assert diagnosis.values["usb"] == "3.2"
    assert float(diagnosis.values["temperature_c"]) == 36.5
    assert diagnosis.values["serial"] == "software"


def test_nothing_is_made_that_nobody_has_subscribed_to(diagnosis):
    diagnosis.await_streaming()
    before = diagnosis.values
    diagnosis.await_streaming(frames=float(before["frames"]) + 20)
    assert (diagnosis.values["jpegs"], diagnosis.values["raw_images"]) == (
        before["jpegs"],
        before["raw_images"],
    )


def test_a_camera_that_falls_silent_is_told_before_it_is_opened_anew(diagnosis, control):
    losses = diagnosis.values["losses"]
    report_after(diagnosis, control, ERROR, "no frame for 1", "pause")
    assert diagnosis.values["losses"] == losses
    diagnosis.await_report(ERROR, "no frame for 0.5 s: opening it anew", losses=1)
    diagnosis.await_report(ERROR, "no frame for 0.5 s: opening it anew", openings=2)
    request(control, "resume")
    diagnosis.await_streaming()


def test_an_unplugged_camera_is_told_before_it_is_looked_for_and_taken_up_when_it_is_back(diagnosis, control):
    looks = diagnosis.values["looks"]
    report_after(diagnosis, control, ERROR, "camera software was unplugged", "unplug")
    assert diagnosis.values["looks"] == looks
    diagnosis.await_report(ERROR, "camera software is not connected; none is: check cable")
    request(control, "plug")
    diagnosis.await_streaming()


def test_a_closing_that_hangs_is_left_behind_and_the_camera_works_again(diagnosis, control):
    request(control, "hang", call="close", seconds=3.0)
    report_after(
        diagnosis, control, ERROR, "unplugged; closing did not return within 0.3 s: given up", "unplug"
    )
    request(control, "plug")
    diagnosis.await_streaming(stuck_now=1)
    diagnosis.await_streaming(stuck_calls=1)
    await_true(lambda: diagnosis.hear() and diagnosis.values["stuck_now"] == "0", "the call's return")


def test_an_opening_that_hangs_is_left_behind_and_the_camera_works_again(diagnosis, control):
    report_after(diagnosis, control, ERROR, "is not connected", "unplug")
    request(control, "hang", call="open", seconds=2.0)
    report_after(diagnosis, control, ERROR, "opening did not return within 1 s: given up", "plug")
    diagnosis.await_streaming(stuck_calls=1)


@pytest.mark.parametrize(
    ("domain", "rule", "words"),
    [
        ("hardware_clock", "hardware_clock_offset", "stamped by the camera's own clock"),
        ("system_time", "system_time", "the kernel passes on no metadata"),
    ],
)
def test_stamps_of_less_worth_are_told(diagnosis, control, domain, rule, words):
    request(control, "domain", name=domain)
    diagnosis.await_report(WARN, words)
    assert diagnosis.values["stamp_rule"] == rule
    assert abs(float(diagnosis.values["age_ms"])) < 1000.0
    request(control, "domain", name="global_time")
    diagnosis.await_streaming()


def test_a_clock_that_is_far_off_is_not_believed(diagnosis, control):
    request(control, "shift_clock", ms=3_600_000)
    diagnosis.await_report(WARN, "the camera's time means nothing")
    assert abs(float(diagnosis.values["age_ms"])) < 1000.0
    request(control, "shift_clock", ms=0)
    diagnosis.await_streaming()


def test_frames_that_are_missing_or_come_twice_are_counted(diagnosis, control):
    diagnosis.await_streaming()
    dropped, doubled = float(diagnosis.values["dropped"]), float(diagnosis.values["duplicates"])
    request(control, "drop", count=5)
    request(control, "duplicate", count=2)
    diagnosis.await_streaming(dropped=dropped + 5, duplicates=doubled + 2)
