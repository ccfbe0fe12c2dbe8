"""Which readings of the gloves are taken, and the JSON that carries them."""

import contextlib
import json
import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_core.retargeting import CHANNEL_SIGNALS, hand_from_glove
from dexpie_hardware.glove_reading import GloveMessageError, GloveReading, decode, encode
from dexpie_hardware.manus.glove_node import GloveParameters
from dexpie_hardware.manus.monitor import (
    ANATOMICAL_ALIASES,
    TRANSITIONS,
    Event,
    GloveConfig,
    GloveMonitor,
    State,
    parse_aliases,
)

# As the maker's node sends them: IndexSpread is missing, so that every index after it is one too low.
SDK_NAMES = (
    "ThumbMCPSpread", "ThumbMCPStretch", "ThumbPIPStretch", "ThumbDIPStretch",
    "IndexMCPStretch", "IndexPIPStretch", "IndexDIPStretch",
    "MiddleSpread", "MiddleMCPStretch", "MiddlePIPStretch", "MiddleDIPStretch",
    "RingSpread", "RingMCPStretch", "RingPIPStretch", "RingDIPStretch",
    "PinkySpread", "PinkyMCPStretch", "PinkyPIPStretch", "PinkyDIPStretch",
)  # fmt: skip
ANGLES = {name: float(k) for k, name in enumerate(SDK_NAMES)}


def reading(side="Right", origin="manus_glove_1", **angles) -> GloveReading:
    return GloveReading(side, origin, tuple({**ANGLES, **angles}.items()))


def test_the_transition_table_is_complete() -> None:
    assert set(TRANSITIONS) == set(product(State, Event))
    assert State.WAITING not in {to for (state, _), to in TRANSITIONS.items() if state is not State.WAITING}


def test_nineteen_of_twenty_are_taken_by_name_in_any_order() -> None:
    assert len(SDK_NAMES) == 19
    expected = GloveMonitor().take(reading(), 0.0)
    assert expected == ANGLES
    assert expected["IndexMCPStretch"] == 4.0  # the fifth: by the SDK's own enumeration it would be the sixth
    backwards = GloveReading("Right", "g", tuple(reversed(ANGLES.items())))
    assert GloveMonitor().take(backwards, 0.0) == expected
    hand_from_glove(expected)


@pytest.mark.parametrize("side", ["Left", "Invalid", "", "left"])
def test_another_side_or_none_is_ignored_and_counted(side) -> None:
    monitor = GloveMonitor()
    assert monitor.take(reading(side), 0.0) is None
    assert monitor.state is State.WAITING
    assert (monitor.counts["other_side"], monitor.counts["accepted"], monitor.other_side) == (1, 0, side)


def test_the_side_is_a_parameter_whatever_its_case() -> None:
    monitor = GloveMonitor(GloveConfig(side="left"))
    assert monitor.take(reading("Left"), 0.0) and monitor.take(reading("LEFT"), 0.0)
    with pytest.raises(ValueError, match="choose from left, right"):
        GloveConfig(side="both")


@pytest.mark.parametrize(
    ("angles", "complaint"),
    [
        ({"IndexMCPStretch": math.nan}, "IndexMCPStretch is nan deg"),
        ({"PinkySpread": math.inf}, "PinkySpread is inf deg"),
        ({"ThumbMCPSpread": -181.0}, "ThumbMCPSpread is -181 deg"),
    ],
)
def test_what_no_finger_does_is_refused_and_named(angles, complaint) -> None:
    monitor = GloveMonitor()
    assert monitor.take(reading(**angles), 0.0) is None
    assert (monitor.counts["refused"], monitor.complaint) == (1, complaint)
    assert monitor.take(reading(), 0.01) is not None
    assert monitor.complaint == ""


def test_silence_and_refusal_are_noticed_after_the_limit() -> None:
    monitor = GloveMonitor()
    monitor.tick(100.0)
    assert monitor.state is State.WAITING
    monitor.take(reading(), 100.0)
    monitor.tick(100.09)
    assert monitor.state is State.LIVE
    for k in range(11):
        monitor.take(reading(RingMCPStretch=math.nan), 100.0 + 0.01 * k)
    monitor.tick(100.11)
    assert monitor.state is State.SILENT
    assert monitor.take(reading(), 105.0) is not None
    assert monitor.state is State.LIVE


def test_two_gloves_of_one_side_are_never_mixed() -> None:
    monitor = GloveMonitor()
    assert monitor.take(reading(origin="manus_glove_0"), 0.0) is not None
    assert monitor.take(reading(origin="manus_glove_2"), 0.01) is None
    assert monitor.counts["second_glove"] == 1
    monitor.tick(0.2)  # the first one has died: the other may be its successor
    assert monitor.take(reading(origin="manus_glove_2"), 0.21) is not None
    assert monitor.origin == "manus_glove_2"


def test_an_sdk_that_names_the_thumb_by_anatomy_is_refused_until_the_names_are_mapped() -> None:
    named = {
        **{k: v for k, v in ANGLES.items() if not k.startswith("Thumb")},
        "ThumbCMCSpread": 11.0,
        "ThumbCMCStretch": 12.0,
        "ThumbMCPStretch": 13.0,  # the joint that the other SDK calls ThumbPIPStretch
        "ThumbIPStretch": 14.0,
    }
    said = GloveReading("Right", "g", tuple(named.items()))
    monitor = GloveMonitor()
    assert monitor.take(said, 0.0) is None
    assert "lacks ThumbMCPSpread" in monitor.complaint
    assert ", ".join(ANATOMICAL_ALIASES) in monitor.complaint
    taken = GloveMonitor(GloveConfig(aliases=parse_aliases(ANATOMICAL_ALIASES))).take(said, 0.0)
    assert taken is not None
    thumb = [taken[f"Thumb{joint}"] for joint in ("MCPSpread", "MCPStretch", "PIPStretch", "DIPStretch")]
    assert thumb == [11.0, 12.0, 13.0, 14.0]


def test_names_that_are_missing_or_twice_are_told() -> None:
    monitor = GloveMonitor()
    assert monitor.take(GloveReading("Right", "g", (("IndexMCPStretch", 1.0),)), 0.0) is None
    assert "lacks PinkyMCPStretch" in monitor.complaint and "it has IndexMCPStretch" in monitor.complaint
    assert monitor.take(GloveReading("Right", "g", ()), 0.0) is None
    assert "no signals at all" in monitor.complaint
    twice = GloveReading("Right", "g", (*ANGLES.items(), ("RingSpread", 3.0)))
    assert monitor.take(twice, 0.0) is None
    assert "two signals are named RingSpread" in monitor.complaint


def test_aliases_are_checked() -> None:
    assert parse_aliases(("A = B", "C=D")) == {"A": "B", "C": "D"}
    for wrong in ("AB", "=B", "A="):
        with pytest.raises(ValueError, match="NAME_OF_THE_SDK=OUR_NAME"):
            parse_aliases((wrong,))
    with pytest.raises(ValueError, match="A is named twice"):
        parse_aliases(("A=B", "A=C"))


@given(
    st.dictionaries(st.sampled_from(SDK_NAMES), st.one_of(st.floats(), st.floats(-90, 90))),
    st.sampled_from(["Right", "Left", ""]),
)
def test_what_is_published_always_makes_a_hand(changes, side) -> None:
    angles = GloveMonitor().take(reading(side, **changes), 0.0)
    if angles is not None:
        assert set(CHANNEL_SIGNALS) <= set(angles)
        hand = hand_from_glove(angles)
        assert ((hand >= 0.0) & (hand <= 1.0)).all()
        assert all(abs(value) <= 180.0 for value in angles.values())


class TestJson:
    LITERAL = (
        b'{"side": "Right", "glove_id": 1, "ergonomics": {"IndexMCPStretch": 12.5, "ThumbMCPSpread": 3}}'
    )

    def test_the_documented_message_is_understood(self) -> None:
        said = decode(self.LITERAL)
        assert said == GloveReading("Right", "1", (("IndexMCPStretch", 12.5), ("ThumbMCPSpread", 3.0)))

    def test_what_is_encoded_is_decoded(self) -> None:
        assert decode(encode(reading())) == reading()

    def test_a_name_that_comes_twice_is_seen(self) -> None:
        said = decode(b'{"side": "Right", "ergonomics": {"A": 1, "A": 2}}')
        assert said.ergonomics == (("A", 1.0), ("A", 2.0))

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"side": None}, "field side"),
            ({"ergonomics": [1.0, 2.0]}, "field ergonomics"),
            ({"ergonomics": None}, "field ergonomics"),
            ({"ergonomics": {"A": "12"}}, "A is '12', not degrees"),
            ({"ergonomics": {"A": True}}, "A is True, not degrees"),
            ({"ergonomics": {"A": 10**400}}, "A is too large"),
        ],
    )
    def test_what_is_no_reading_is_refused(self, change, complaint) -> None:
        with pytest.raises(GloveMessageError, match=complaint):
            decode(json.dumps({**json.loads(self.LITERAL), **change}).encode())

    @given(st.one_of(st.binary(max_size=50), st.just(b"[" * 3000), st.just(b"5"), st.just(b"[1]")))
    def test_any_bytes_are_a_reading_or_refused(self, message) -> None:
        with contextlib.suppress(GloveMessageError):
            decode(message)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"source": "usb"}, "source 'usb' is not a choice; choose from ros, zmq"),
        ({"side": "both"}, "side 'both' is not a choice"),
        ({"aliases": ("A",)}, "aliases: 'A' is not"),
        ({"stale_s": 0.0}, "stale_s must be positive"),
        ({"rate_hz": -1.0}, "rate_hz"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(fields, complaint) -> None:
    with pytest.raises(ValueError, match=complaint):
        GloveParameters(**fields)
