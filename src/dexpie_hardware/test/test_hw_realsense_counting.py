"""Frame numbers, rates and the recording's schedule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_hardware.realsense.counting import FrameCounter, FramePicker, Kind, RateMeter

BEGIN_NS = 1_700_000_000_123_456_789


def test_gaps_duplicates_and_late_frames_are_told_apart():
    counter = FrameCounter()
    kinds = [counter.see(number) for number in (10, 11, 14, 14, 13, 15)]
    assert kinds == [Kind.NEW, Kind.NEW, Kind.NEW, Kind.DUPLICATE, Kind.LATE, Kind.NEW]
    assert (counter.frames, counter.dropped, counter.duplicates, counter.late) == (4, 2, 1, 1)


@pytest.mark.parametrize("number", [1, 5, 50_000])
def test_a_counter_that_begins_anew_is_no_loss(number):
    counter = FrameCounter()
    counter.see(2000)
    assert counter.see(number) is Kind.NEW
    assert (counter.dropped, counter.restarts) == (0, 1)
    assert counter.see(number + 2) is Kind.NEW
    assert counter.dropped == 1


def test_a_camera_that_is_opened_anew_begins_anew():
    counter = FrameCounter()
    counter.see(100)
    counter.restart()
    assert counter.see(99) is Kind.NEW
    assert (counter.dropped, counter.late, counter.restarts) == (0, 0, 0)


@given(st.lists(st.booleans(), min_size=2, max_size=300))
def test_what_came_and_what_is_missing_make_the_whole(arrives):
    counter = FrameCounter()
    numbers = [n for n, there in enumerate(arrives) if there]
    for number in numbers:
        counter.see(number)
    whole = numbers[-1] - numbers[0] + 1 if numbers else 0
    assert counter.frames + counter.dropped == whole


def test_the_rate_is_that_of_the_last_two_seconds_and_falls_in_silence():
    meter = RateMeter()
    for k in range(601):
        meter.add(k / 60.0 if k < 300 else 5.0 + (k - 300) / 30.0)
    assert meter.rate_hz(15.0) == pytest.approx(30.0)
    assert meter.rate_hz(15.5) == pytest.approx(2.0)
    assert meter.rate_hz(18.0) is None


def test_the_rate_of_a_few_frames_is_not_known():
    meter = RateMeter()
    rates = []
    for k in range(5):
        meter.add(k / 60.0)
        rates.append(meter.rate_hz(k / 60.0))
    assert rates[:4] == [None] * 4
    assert rates[4] == pytest.approx(60.0)


def picked(rate_hz, stamps_ns, frame_rate_hz=60.0):
    picker = FramePicker(rate_hz, frame_rate_hz)
    return [s for s in stamps_ns if picker.picks(s)]


def stamps(count, rate_hz=60.0, begin_ns=BEGIN_NS, jitter_ns=0):
    rng = np.random.default_rng(0)
    return [
        begin_ns + round(k * 1e9 / rate_hz) + int(rng.integers(-jitter_ns, jitter_ns + 1))
        for k in range(count)
    ]


def test_twenty_five_of_sixty_frames_a_second_near_the_instants_of_the_schedule():
    chosen = picked(25.0, stamps(60 * 40))
    assert len(chosen) == pytest.approx(25 * 40, abs=1)
    phase_ns = (np.array(chosen, dtype=np.int64) + 20_000_000) % 40_000_000 - 20_000_000
    assert np.abs(phase_ns).max() <= 1e9 / 60 / 2 + 1_000
    assert set(np.round(np.diff(chosen) / (1e9 / 60)).astype(int)) == {2, 3}


def test_two_cameras_choose_frames_of_the_same_instants():
    front = picked(25.0, stamps(1200))
    wrist = picked(25.0, stamps(1200, begin_ns=BEGIN_NS + 7_000_000))
    nearest = [min(abs(a - b) for b in wrist) for a in front[1:-1]]
    assert max(nearest) <= 1e9 / 60 + 1_000


def test_jitter_costs_no_frame_of_the_recording():
    chosen = picked(25.0, stamps(60 * 40, jitter_ns=3_000_000))
    assert len(chosen) == pytest.approx(25 * 40, abs=1)


def test_a_gap_is_a_gap_and_nothing_is_made_up_for_it():
    before, after = stamps(60), stamps(60, begin_ns=BEGIN_NS + 3_000_000_000)
    assert len(picked(25.0, before + after)) == pytest.approx(50, abs=2)


def test_a_recording_at_the_cameras_rate_takes_every_frame():
    all_stamps = stamps(600, jitter_ns=4_000_000)
    assert picked(60.0, all_stamps) == all_stamps


def test_a_slow_stream_is_recorded_whole():
    assert len(picked(25.0, stamps(150, rate_hz=15.0), frame_rate_hz=60.0)) == 150
