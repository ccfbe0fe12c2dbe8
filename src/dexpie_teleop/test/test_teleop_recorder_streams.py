"""What a recording lacks, counted by hand: losses, gaps, late messages, silence, and a clock that is set."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexpie_core import topics
from dexpie_core.topics import TopicSpec
from dexpie_teleop.recorder_clock import STEP_NS, RecordingClock
from dexpie_teleop.recorder_streams import Arrival, StreamMonitor

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
FRONT = topics.compressed_image("front")
HOUR_NS = 3600 * 10**9


def fed(
    spec: TopicSpec, times_ms: Iterable[float], *, delay_ms: float = 10.0, published: bool = True
) -> StreamMonitor:
    """A monitor after messages stamped at these times since the start, numbered without a hole."""
    monitor = StreamMonitor(spec)
    monitor.published = published
    monitor.begin(START_NS)
    for number, time_ms in enumerate(times_ms):
        stamp_ns = START_NS + round(time_ms * MS)
        arrived_ns = stamp_ns + round(delay_ms * MS)
        monitor.take(Arrival(stamp_ns, arrived_ns, arrived_ns, b"p", number))
    return monitor


def gap(monitor: StreamMonitor, end_ms: float) -> str:
    return monitor.gap(START_NS + round(end_ms * MS))


def grid(count: int, period_ms: float = 40.0, without: tuple[int, ...] = ()) -> list[float]:
    return [period_ms * i for i in range(count) if i not in without]


def test_a_whole_stream_has_no_gap() -> None:
    for spec, period_ms in ((FRONT, 40.0), (topics.JOINT_STATES, 8.0), (topics.HAND_STATE, 40.0)):
        assert gap(fed(spec, grid(100, period_ms)), 100 * period_ms) == ""


def test_dropped_frames_are_counted_and_the_longest_gap_is_told() -> None:
    monitor = fed(FRONT, grid(100, without=(20, 50, 51, 52)))
    assert monitor.missing == 4
    assert gap(monitor, 4000) == (
        "/camera/front/color/compressed: 4 messages missing, longest gap 0.16 s at 2.0 s"
    )


def test_a_late_frame_is_not_a_missing_one() -> None:
    times_ms = grid(50)
    times_ms[20] += 30.0  # 70 ms after its predecessor, 10 ms before its successor
    assert gap(fed(FRONT, times_ms), 2000) == ""
    assert gap(fed(FRONT, [t for t in grid(50) if t != 800]), 2000) != ""


@settings(max_examples=30)
@given(st.sets(st.integers(5, 94), max_size=30), st.integers(0, 2**32 - 1))
def test_every_dropped_frame_is_counted_in_spite_of_jitter(dropped: set[int], seed: int) -> None:
    jitter_ms = np.random.default_rng(seed).uniform(-4.0, 4.0, 100)
    times_ms = [40.0 * i + jitter_ms[i] for i in range(100) if i not in dropped]
    monitor = fed(FRONT, times_ms)
    gap(monitor, 4000)
    assert monitor.missing == len(dropped)


def test_a_fast_stream_is_measured_by_its_own_period() -> None:
    """125 Hz where 50 Hz is nominal: 13 samples of 8 ms are missing, not 4 of 20 ms."""
    monitor = fed(topics.JOINT_STATES, grid(500, 8.0, without=tuple(range(100, 113))))
    assert "13 messages missing, longest gap 0.11 s at 0.8 s" in gap(monitor, 4000)
    one_lost = fed(topics.JOINT_STATES, grid(500, 8.0, without=(100,)))
    assert gap(one_lost, 4000) == ""  # every instant still has a sample within the tolerance


def test_a_stream_below_the_dataset_rate_is_a_gap() -> None:
    assert "messages missing" in gap(fed(FRONT, grid(60, 1000 / 15)), 4000)
    assert gap(fed(FRONT, grid(80, 50.0)), 4000) == ""


def test_messages_lost_on_the_way_are_exact_for_each_publisher() -> None:
    monitor = StreamMonitor(topics.GLOVE)
    assert monitor.pass_by(b"a", 7) == 0  # what was sent before we listened is not lost
    monitor.begin(START_NS)
    for publisher, sequence in ((b"a", 8), (b"b", 100), (b"a", 11), (b"b", 101), (b"a", 12), (b"c", None)):
        monitor.take(Arrival(START_NS, START_NS, START_NS, publisher, sequence))
    assert (monitor.lost, monitor.missing, monitor.count) == (2, 2, 6)
    monitor.begin(START_NS + HOUR_NS)
    assert monitor.lost == 0
    monitor.take(Arrival(START_NS + HOUR_NS, START_NS + HOUR_NS, START_NS + HOUR_NS, b"a", 14))
    assert monitor.gap(START_NS + HOUR_NS) == "/teleop/glove: 1 message missing (1 lost on the way)"


def test_silence_at_the_edges() -> None:
    late = fed(FRONT, [t + 1000 for t in grid(50)])
    assert gap(late, 3000).endswith("24 messages missing, longest gap 1.00 s at 0.0 s")
    died = fed(FRONT, grid(50), delay_ms=0.0)
    assert died.trouble(START_NS + 2000 * MS) == ""
    assert died.trouble(START_NS + 2760 * MS) == "/camera/front/color/compressed: nothing for 0.8 s"
    assert gap(died, 2960).endswith("24 messages missing, longest gap 1.00 s at 2.0 s")


def test_a_stream_that_never_came() -> None:
    assert gap(fed(topics.JOINT_STATES, [], published=False), 1000) == "/arm/joint_states: no messages"
    assert gap(fed(FRONT, []), 1000) == "/camera/front/color/compressed: no messages"
    assert gap(fed(FRONT, [], published=False), 1000) == ""  # a cell without this camera
    assert gap(fed(topics.MODE, []), 1000) == ""
    assert gap(fed(topics.camera_info("front"), []), 1000) == ""  # its picture says it
    assert gap(fed(topics.TRACKER_POSE, []), 1000) == ""  # a rollout that nobody corrects


def test_an_operator_may_put_the_tracker_down() -> None:
    spec, period_ms = topics.TRACKER_POSE, 1000 / 90
    assert gap(fed(spec, grid(900, period_ms, without=tuple(range(100, 400)))), 10_000) == ""
    dropped = grid(900, period_ms, without=tuple(range(100, 109)))
    assert "9 messages missing" in gap(fed(spec, dropped), 10_000)
    assert gap(fed(topics.TELEOP_ACTION, [0, 20, 5000, 5020]), 6000) == ""


def test_late_messages_are_told() -> None:
    monitor = fed(FRONT, grid(50), delay_ms=300.0)
    assert gap(monitor, 2000) == (
        "/camera/front/color/compressed: 50 came more than 0.25 s late, the latest 0.30 s"
    )
    assert gap(fed(topics.MODE, [0.0], delay_ms=9000.0), 10_000) == ""  # latched: it waited for us


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS])
def test_a_set_clock_is_not_a_gap_of_an_hour(step_ns: int) -> None:
    monitor = StreamMonitor(FRONT)
    monitor.begin(START_NS)
    for number in range(100):
        recorded_ns = START_NS + number * 40 * MS
        stamp_ns = recorded_ns + (step_ns if number >= 50 else 0)
        monitor.take(Arrival(stamp_ns, stamp_ns, recorded_ns, b"p", number))
    assert monitor.missing == 0
    jump_s = step_ns * 1e-9 + 0.04
    assert gap(monitor, 4000) == f"{FRONT.name}: header stamps jump by {jump_s:+.3f} s"


def test_recording_time_goes_on_evenly_across_a_step() -> None:
    clock = RecordingClock(START_NS, 500)
    clock.observe(START_NS + 1000 * MS, 500 + 1000 * MS)
    assert clock.recording_ns("/a", START_NS + 990 * MS) == START_NS + 990 * MS
    assert clock.gaps() == []
    clock.observe(START_NS + 1050 * MS - HOUR_NS, 500 + 1050 * MS)
    # Arrived before the step, taken after it: between its predecessor and now, not in an hour.
    assert clock.recording_ns("/a", START_NS + 1020 * MS) == START_NS + 1050 * MS
    assert clock.recording_ns("/b", START_NS + 1040 * MS - HOUR_NS) == START_NS + 1040 * MS
    assert clock.now_ns == START_NS + 1050 * MS
    assert clock.gaps() == ["wall clock: set by -3600.000 s at 1.1 s; header stamps jump there"]


@given(
    st.lists(
        st.tuples(
            st.integers(1, 200 * MS),  # time that passes
            st.sampled_from([0, 0, 0, HOUR_NS, -HOUR_NS, STEP_NS // 2]),  # how far the clock is set
            st.integers(0, 60 * MS),  # age of the message that is taken
            st.booleans(),  # it arrived before the step
        ),
        max_size=40,
    )
)
def test_recording_times_never_fall_and_stay_near_the_truth(
    events: list[tuple[int, int, int, bool]],
) -> None:
    clock = RecordingClock(START_NS, 0)
    passed_ns, offset_ns, last_ns = 0, 0, START_NS
    for dt_ns, step_ns, age_ns, before_step in events:
        passed_ns += dt_ns
        arrived_ns = START_NS + passed_ns - age_ns + offset_ns + (0 if before_step else step_ns)
        offset_ns += step_ns
        clock.observe(START_NS + passed_ns + offset_ns, passed_ns)
        recorded_ns = clock.recording_ns("/a", arrived_ns)
        assert last_ns <= recorded_ns <= START_NS + passed_ns
        if not (before_step and step_ns):
            assert recorded_ns == max(START_NS + passed_ns - age_ns, last_ns)
        last_ns = recorded_ns
