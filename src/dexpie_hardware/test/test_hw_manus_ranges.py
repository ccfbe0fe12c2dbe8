"""The ranges of a user: from samples, with checks that name signal and pose; and the file."""

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dexpie_core.retargeting import CHANNEL_SIGNALS, RetargetConfig, hand_from_glove
from dexpie_hardware.emulators.glove_person import GESTURES, GlovedHand, make_person
from dexpie_hardware.manus import ranges_file
from dexpie_hardware.manus.ranges import (
    POSES,
    CaptureConfig,
    GloveRanges,
    find_ranges,
    pose_complaints,
)
from dexpie_hardware.manus.ranges_file import ranges_yaml, write_whole

FLAT, PALM, FIST, ACROSS = POSES
LOW = np.array([4.0, 9.0, 11.0, 6.0, -8.0, -3.0])
HIGH = np.array([71.0, 79.0, 86.0, 88.0, 62.0, 33.0])
CLOSED = {FLAT: "flat", PALM: "thumb_to_palm", FIST: "fist_thumb_up", ACROSS: "thumb_across"}
RANGES = GloveRanges((1.0,) * 6, (60.0,) * 6)
NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)


def held(pose, low=LOW, high=HIGH, n=480, noise_deg=0.5, seed=0):
    """Samples (n, 6) of a pose held by somebody with these ranges."""
    closed = np.array(GESTURES[CLOSED[pose]])
    rng = np.random.default_rng(seed)
    return low + closed * (high - low) + rng.normal(0.0, noise_deg, (n, 6))


def captures(**changes):
    return {pose: held(pose, **changes) for pose in POSES}


def test_each_signal_has_one_pose_for_its_lower_and_one_for_its_upper_bound() -> None:
    assert FLAT.signals == CHANNEL_SIGNALS
    uppers = [signal for pose in POSES if pose.end == "closed" for signal in pose.signals]
    assert sorted(uppers) == sorted(CHANNEL_SIGNALS)


def test_the_bounds_are_inside_the_held_poses() -> None:
    ranges, complaints = find_ranges(captures())
    assert ranges is not None and not complaints
    # a quarter of a normal noise of 0.5 deg lies beyond 0.337 deg
    np.testing.assert_allclose(ranges.open_deg, LOW + 0.337, atol=0.1)
    np.testing.assert_allclose(ranges.closed_deg, HIGH - 0.337, atol=0.1)
    config = RetargetConfig(ranges.open_deg, ranges.closed_deg)
    flat = [
        hand_from_glove(dict(zip(CHANNEL_SIGNALS, row, strict=True)), config) for row in held(FLAT, seed=1)
    ]
    assert (np.array(flat) == 1.0).mean(axis=0) == pytest.approx(0.75, abs=0.08)


def test_outliers_do_not_move_a_bound() -> None:
    wild = captures()
    for pose in POSES:
        wild[pose][::50] += 120.0  # two in a hundred
    clean, wild = find_ranges(captures())[0], find_ranges(wild)[0]
    assert clean is not None and wild is not None
    np.testing.assert_allclose(clean.open_deg, wild.open_deg, atol=0.2)
    np.testing.assert_allclose(clean.closed_deg, wild.closed_deg, atol=0.2)


def test_too_few_samples_name_the_pose() -> None:
    (complaint,) = pose_complaints(FIST, held(FIST, n=99))
    assert complaint.pose is FIST
    assert complaint.text.startswith("only 99 readings in pose 3 (fist, thumb up)")
    assert pose_complaints(FIST, np.zeros((0, 6)))
    assert not pose_complaints(FIST, held(FIST, n=100))


def test_a_pose_that_is_not_held_still_names_the_signal() -> None:
    samples = held(FIST, noise_deg=0.0)
    samples[:, CHANNEL_SIGNALS.index("RingMCPStretch")] += np.linspace(0.0, 20.0, len(samples))
    (complaint,) = pose_complaints(FIST, samples)
    assert complaint.text.startswith("RingMCPStretch moved by 18.0 deg in pose 3 (fist, thumb up)")
    # The thumb may move in this pose: it is not measured here.
    samples = held(FIST)
    samples[:, CHANNEL_SIGNALS.index("ThumbMCPSpread")] += np.linspace(0.0, 20.0, len(samples))
    assert not pose_complaints(FIST, samples)
    samples[:, 0] = np.nan
    assert "PinkyMCPStretch moved by nan" in pose_complaints(FIST, samples)[0].text


def test_a_span_that_is_too_small_names_signal_and_pose() -> None:
    high = HIGH.copy()
    high[5] = LOW[5] + 9.0
    ranges, (complaint,) = find_ranges(captures(high=high, noise_deg=0.0))
    assert ranges is None
    assert complaint.pose is ACROSS
    assert complaint.text == (
        "ThumbMCPSpread goes from -3.0 deg in pose 1 (flat hand) to 6.0 deg in pose 4 (thumb across), "
        "less than 10 deg; repeat pose 4 (thumb across)"
    )


def test_a_range_that_runs_the_wrong_way_is_refused() -> None:
    high = HIGH.copy()
    high[4] = LOW[4] - 30.0
    ranges, (complaint,) = find_ranges(captures(high=high))
    assert ranges is None
    assert (
        "ThumbMCPStretch" in complaint.text and "the wrong way" in complaint.text and complaint.pose is PALM
    )


def test_all_complaints_come_at_once() -> None:
    ranges, complaints = find_ranges(captures(high=LOW))
    assert ranges is None
    assert [c.pose for c in complaints] == [PALM, FIST, FIST, FIST, FIST, ACROSS]


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_every_emulated_person_can_be_captured(seed) -> None:
    person = make_person(seed)
    hand = GlovedHand(person, seed)
    samples = {}
    for pose in POSES:
        hand.gesture = CLOSED[pose]
        for _ in range(60):
            hand.step(1 / 120)
        rows = [hand.step(1 / 120) for _ in range(60)]
        samples[pose] = np.array([[row[name] for name in CHANNEL_SIGNALS] for row in rows])
    ranges, complaints = find_ranges(samples, CaptureConfig(min_samples=60))
    assert ranges is not None, complaints
    np.testing.assert_allclose(ranges.open_deg, person.open_deg, atol=1.0)
    np.testing.assert_allclose(ranges.closed_deg, person.closed_deg, atol=1.0)


class TestFile:
    def test_it_is_a_parameter_file_of_the_follower(self) -> None:
        text = ranges_yaml(RANGES, "Ada L.", "right", NOW, ("IndexMCPStretch", "RingSpread"))
        parameters = yaml.safe_load(text)["human_follower"]["ros__parameters"]
        assert parameters == {"glove_open_deg": [1.0] * 6, "glove_closed_deg": [60.0] * 6}
        RetargetConfig(tuple(parameters["glove_open_deg"]), tuple(parameters["glove_closed_deg"]))
        assert "# Glove ranges of Ada L., right hand, captured 2026-11-25T12:30:00+00:00.\n" in text
        assert "# The glove's signals were: IndexMCPStretch, RingSpread\n" in text

    @pytest.mark.parametrize("user", ["", "  ", "a\nhuman_follower: {}", "a\rb", "a\x00"])
    def test_a_name_that_would_break_out_of_its_comment_is_refused(self, user) -> None:
        with pytest.raises(ValueError, match="printable"):
            ranges_yaml(RANGES, user, "right", NOW, ())

    def test_whole_or_not_at_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "ada.yaml"
        write_whole(file, "old")

        def fail(*_: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(ranges_file.os, "fsync", fail)
        with pytest.raises(OSError, match="disk full"):
            write_whole(file, "new")
        assert file.read_text() == "old"
        assert os.listdir(tmp_path) == ["ada.yaml"]
