"""The thread that holds the camera, against a source that the test scripts."""

import array
import threading

import pytest

from dexpie_hardware.realsense.frames import Domain, Identity, Intrinsics, RawFrame, SourceError
from dexpie_hardware.realsense.lifecycle import Event
from dexpie_hardware.realsense.session import HANDOVER_FRAMES, Session
from dexpie_ros.testing import await_true

INTRINSICS = Intrinsics(2, 1, 1.0, 1.0, 1.0, 0.5, "none", (0.0,) * 5)


def frame(number):
    return RawFrame(
        number, float(number), Domain.GLOBAL_TIME, number, float(number), array.array("B", bytes(6))
    )


class ScriptedStream:
    identity = Identity()
    intrinsics = INTRINSICS

    def __init__(self):
        self.frames = []
        self.over = False
        self.read_error = None
        self.close_error = None
        self.may_close = threading.Event()
        self.may_close.set()
        self.closed = threading.Event()

    def read(self, timeout_s):
        if self.frames:
            return self.frames.pop(0)
        if self.read_error is not None:
            raise self.read_error
        threading.Event().wait(0.005)
        return None

    def ended(self):
        return self.over

    def temperature_c(self):
        return 41.5

    def close(self):
        self.may_close.wait()
        self.closed.set()
        if self.close_error is not None:
            raise self.close_error


class ScriptedSource:
    name = "scripted"

    def __init__(self, stream, error=None):
        self.stream = stream
        self.error = error
        self.may_open = threading.Event()
        self.may_open.set()

    def open(self):
        self.may_open.wait()
        if self.error is not None:
            raise self.error
        return self.stream

    def changes(self):
        return []

    def close(self):
        pass


@pytest.fixture
def stream():
    return ScriptedStream()


def ended(session):
    assert session.join(5.0)
    return session.take_events()


def test_frames_are_handed_over_in_order_and_it_closes_when_asked(stream):
    stream.frames = [frame(1), frame(2), frame(3)]
    session = Session(ScriptedSource(stream))
    await_true(lambda: session.temperature_c is not None, "a frame and the temperature")
    await_true(lambda: not stream.frames, "three frames read")
    session.stop()
    assert ended(session) == [(Event.OPENED, ""), (Event.CLOSED, "")]
    assert [f.number for f in session.take_frames()] == [1, 2, 3]
    assert session.take_frames() == session.take_events() == []
    assert session.temperature_c == 41.5
    assert stream.closed.is_set()


def test_frames_that_nobody_takes_give_way_to_newer_ones(stream):
    stream.frames = [frame(n) for n in range(10)]
    session = Session(ScriptedSource(stream))
    await_true(lambda: not stream.frames, "ten frames read")
    session.stop()
    ended(session)
    assert [f.number for f in session.take_frames()] == list(range(10))[-HANDOVER_FRAMES:]
    assert session.overwritten == 10 - HANDOVER_FRAMES


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SourceError("no camera"), "no camera"),
        (RuntimeError("device busy"), "device busy"),
        (KeyError("x"), "KeyError('x')"),
    ],
)
def test_what_cannot_be_opened_is_told(stream, error, words):
    session = Session(ScriptedSource(stream, error))
    assert ended(session) == [(Event.FAILED, words)]
    assert session.stream is None
    assert not stream.closed.is_set()


def test_an_error_while_reading_is_a_loss_and_the_camera_is_closed(stream):
    stream.read_error = RuntimeError("transfer failed")
    stream.close_error = RuntimeError("cannot stop what is gone")
    session = Session(ScriptedSource(stream))
    assert ended(session) == [(Event.OPENED, ""), (Event.LOST, "transfer failed"), (Event.CLOSED, "")]
    assert stream.closed.is_set()


def test_the_end_of_a_recording_is_told_after_its_last_frame(stream):
    stream.frames, stream.over = [frame(1)], True
    session = Session(ScriptedSource(stream))
    assert ended(session) == [(Event.OPENED, ""), (Event.FINISHED, ""), (Event.CLOSED, "")]
    assert [f.number for f in session.take_frames()] == [1]


def test_a_session_whose_closing_hangs_can_be_left_behind_and_says_that_it_lives(stream):
    stream.may_close.clear()
    session = Session(ScriptedSource(stream))
    session.stop()
    await_true(lambda: session.stream is not None, "opened")
    assert not session.join(0.05)
    assert session.alive
    stream.may_close.set()
    assert session.join(5.0)


def test_a_session_given_up_while_it_opened_closes_what_it_opened_too_late(stream):
    source = ScriptedSource(stream)
    source.may_open.clear()
    session = Session(source)
    session.stop()
    source.may_open.set()
    stream.frames = [frame(1)]
    assert ended(session) == [(Event.OPENED, ""), (Event.CLOSED, "")]
    assert session.take_frames() == []
    assert stream.closed.is_set()
