"""When a tracker counts as tracked."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dexpie_hardware.tracker_sample import TrackerSample, Tracking
from dexpie_hardware.vive.motion import MotionBounds
from dexpie_hardware.vive.tracking import TRANSITIONS, Event, State, TrackingConfig, TrackingMonitor

PERIOD_S = 0.01
IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


def turned(rad: float) -> np.ndarray:
    return np.array([0.0, 0.0, math.sin(rad / 2.0), math.cos(rad / 2.0)])


def sample(device_s, position=(0.0, 0.0, 0.0), quat=IDENTITY, tracking=Tracking.OK):
    return TrackerSample(
        "t", device_s, np.array(position, dtype=float), np.array(quat, dtype=float), tracking
    )


class Drive:
    """Feeds a monitor a trembling tracker at 100 Hz; its clock is 500 s behind the host's."""

    def __init__(self, config: TrackingConfig | None = None) -> None:
        self.monitor = TrackingMonitor(config)
        self.now_s = 1000.0
        self.position = np.zeros(3)
        self.count = 0

    def step(self, delay_s: float = 0.0, **changes) -> float | None:
        self.now_s += PERIOD_S
        self.count += 1
        place = self.position + np.array([1e-4 * (self.count % 2), 0.0, 0.0])
        fields = {"device_s": self.now_s - 500.0 - delay_s, "position": place, **changes}
        host_s = self.monitor.take(sample(**fields), self.now_s)
        self.monitor.tick(self.now_s)
        return host_s

    def until_tracking(self) -> int:
        for steps in range(1, 1000):
            self.step()
            if self.monitor.state is State.TRACKING:
                return steps
        raise AssertionError(self.monitor.reason)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / PERIOD_S)):
            self.now_s += PERIOD_S
            self.monitor.tick(self.now_s)


@pytest.fixture
def tracked() -> Drive:
    drive = Drive()
    drive.until_tracking()
    return drive


def test_the_transition_table_is_complete_and_only_confirmation_leads_to_tracking() -> None:
    assert set(TRANSITIONS) == set(product(State, Event))
    assert {event for (_, event), to in TRANSITIONS.items() if to is State.TRACKING} == {Event.CONFIRMED}
    assert State.SEARCHING not in {
        to for (state, _), to in TRANSITIONS.items() if state is not State.SEARCHING
    }


def test_nothing_is_published_before_the_samples_are_many_and_long_enough() -> None:
    assert Drive(TrackingConfig(confirm_samples=20, confirm_s=0.0)).until_tracking() == 20
    assert Drive(TrackingConfig(confirm_samples=1, confirm_s=0.495)).until_tracking() == 51
    drive = Drive()
    assert drive.monitor.reason == "no sample so far"
    assert [drive.step() for _ in range(50)] == [None] * 50
    assert drive.monitor.state is State.SEARCHING


def test_a_sample_is_stamped_when_it_was_measured_by_the_quickest_way_seen(tracked: Drive) -> None:
    assert tracked.step() == pytest.approx(tracked.now_s)
    assert tracked.step(delay_s=0.008) == pytest.approx(tracked.now_s - 0.008, abs=1e-4)


def test_silence_is_lost_after_the_limit_and_not_before(tracked: Drive) -> None:
    tracked.monitor.tick(tracked.now_s + 0.099)
    assert tracked.monitor.state is State.TRACKING
    tracked.monitor.tick(tracked.now_s + 0.101)
    assert tracked.monitor.state is State.LOST
    assert "no new sample" in tracked.monitor.reason
    tracked.position = np.array([1.0, 0.0, 0.0])  # who comes back elsewhere has not jumped: nobody saw it
    assert tracked.until_tracking() >= 50
    assert tracked.monitor.reason == "" and tracked.monitor.counts["rejected"] == 0


def test_the_last_pose_again_and_again_is_silence(tracked: Drive) -> None:
    frozen_s = tracked.now_s - 500.0
    for _ in range(11):
        assert tracked.step(device_s=frozen_s) is None
    assert tracked.monitor.state is State.LOST
    assert "no new sample" in tracked.monitor.reason
    assert tracked.monitor.counts["repeated"] >= 10


def test_samples_that_come_ever_later_are_lost_though_they_keep_coming(tracked: Drive) -> None:
    for k in range(30):
        tracked.step(delay_s=0.005 * k)
    assert tracked.monitor.state is State.LOST
    assert "late" in tracked.monitor.reason
    for _ in range(300):  # as late as that for three seconds: never taken for normal
        assert tracked.step(delay_s=0.15) is None
    assert tracked.until_tracking() >= 50


def test_a_pause_of_our_own_with_all_samples_queued_is_no_loss(tracked: Drive) -> None:
    begun_s = tracked.now_s
    tracked.now_s += 0.2
    taken = [
        tracked.monitor.take(sample(begun_s - 500.0 + 0.01 * k, (1e-4 * (k % 2), 0, 0)), tracked.now_s)
        for k in range(1, 21)
    ]
    tracked.monitor.tick(tracked.now_s)
    assert tracked.monitor.state is State.TRACKING
    assert taken[0] is None  # too old to act on
    assert taken[-1] == pytest.approx(tracked.now_s)
    assert tracked.monitor.counts["late"] == sum(host_s is None for host_s in taken) == 9


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"position": (0.06, 0.0, 0.0)}, "jumped by 6.0 cm, 0 deg in 10 ms"),
        ({"position": (1.0, 0.0, 0.0)}, "jumped by 100.0 cm"),
        ({"quat": turned(math.radians(16.0))}, "jumped by 0.0 cm, 16 deg"),
        ({"position": (np.nan, 0.0, 0.0)}, "not finite"),
        ({"device_s": np.nan}, "not finite"),
        ({"quat": (0.0, 0.0, np.inf, 1.0)}, "not finite"),
        ({"quat": (0.0, 0.0, 0.0, 0.0)}, "length 0"),
        ({"quat": (0.0, 0.0, 0.0, 1.1)}, "length 1.1"),
        ({"tracking": Tracking.ROTATION_ONLY}, "the tracker says rotation only"),
        ({"tracking": Tracking.OUT_OF_RANGE}, "the tracker says out of range"),
    ],
)
def test_one_sample_that_cannot_be_true_is_lost(tracked: Drive, changes, reason) -> None:
    tracked.position = np.zeros(3)
    tracked.count = 1  # the next one is at the place itself
    assert tracked.step(**changes) is None
    assert tracked.monitor.state is State.LOST
    assert reason in tracked.monitor.reason
    assert tracked.monitor.counts["rejected"] == 1
    tracked.position = np.array(changes.get("position", (0.0, 0.0, 0.0)))
    if not np.all(np.isfinite(tracked.position)):
        tracked.position = np.zeros(3)
    quat = changes.get("quat", IDENTITY)
    steady = {"quat": quat} if "jumped" in reason else {}
    assert [tracked.step(**steady) for _ in range(49)] == [None] * 49
    assert reason in tracked.monitor.reason and tracked.monitor.counts["rejected"] == 1
    assert any(tracked.step(**steady) is not None for _ in range(5))


@pytest.mark.parametrize("changes", [{"position": (0.049, 0.0, 0.0)}, {"quat": turned(math.radians(14.5))}])
def test_a_step_below_the_bounds_is_motion(tracked: Drive, changes) -> None:
    tracked.count = 1
    assert tracked.step(**changes) is not None


def test_the_reason_of_a_loss_stays_while_it_lasts(tracked: Drive) -> None:
    for _ in range(50):
        tracked.step(tracking=Tracking.CALIBRATING)
    assert tracked.monitor.reason == "the tracker says calibrating"


def test_a_device_that_starts_again_with_another_clock_comes_back(tracked: Drive) -> None:
    tracked.wait(0.2)
    assert tracked.monitor.state is State.LOST
    before_s = tracked.now_s
    taken = [tracked.step(device_s=0.01 * k, position=(1e-4 * (k % 2), 0, 0)) for k in range(1, 70)]
    assert taken[:50] == [None] * 50
    assert taken[-1] == pytest.approx(tracked.now_s) and taken[-1] > before_s


def test_a_line_that_became_slow_during_a_silence_is_not_taken_for_normal(tracked: Drive) -> None:
    tracked.wait(0.3)
    for _ in range(300):
        assert tracked.step(delay_s=0.3) is None
    assert tracked.monitor.reason == "its samples come 0.30 s late"
    assert tracked.until_tracking() >= 50


def test_config_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="stale_s"):
        TrackingConfig(stale_s=0.0)
    with pytest.raises(ValueError, match="jump_m must be positive"):
        MotionBounds(jump_m=-0.1)
    with pytest.raises(ValueError, match="max_speed_m_s"):
        MotionBounds(max_speed_m_s=math.nan)


steps_within = st.tuples(st.floats(-0.015, 0.015), st.floats(-0.015, 0.015), st.floats(-0.1, 0.1))


@given(st.lists(steps_within, max_size=150))
def test_plausible_motion_is_never_lost(steps) -> None:
    drive = Drive()
    drive.until_tracking()
    angle = 0.0
    for dx, dy, turn in steps:
        drive.position = drive.position + np.array([dx, dy, 0.0])
        angle += turn
        assert drive.step(quat=turned(angle)) is not None, drive.monitor.reason


anything = st.one_of(
    st.tuples(st.just("move"), st.floats(-0.2, 0.2)),
    st.tuples(st.just("turn"), st.floats(-1.0, 1.0)),
    st.tuples(st.just("wait"), st.floats(0.0, 0.4)),
    st.tuples(st.just("say"), st.sampled_from(list(Tracking))),
    st.tuples(st.just("go on"), st.integers(1, 80)),
)


@given(st.lists(anything, max_size=25))
def test_whatever_happens_what_is_published_never_jumps_without_a_silence(events) -> None:
    """The promise to the consumers: a step beyond the bounds is preceded by half a second of nothing."""
    config = TrackingConfig()
    drive = Drive(config)
    published = []

    def go_on(steps: int, tracking: Tracking = Tracking.OK) -> None:
        for _ in range(steps):
            quat = turned(angle)
            host_s = drive.step(quat=quat, tracking=tracking)
            if host_s is not None:
                published.append((drive.now_s, host_s, drive.position.copy(), quat))

    angle = 0.0
    go_on(60)
    for kind, value in events:
        if kind == "move":
            drive.position = drive.position + np.array([value, 0.0, 0.0])
        elif kind == "turn":
            angle += value
        elif kind == "wait":
            drive.wait(value)
        elif kind == "say":
            go_on(1, value)
        else:
            go_on(value)
    bounds = config.bounds
    for before, after in pairwise(published):
        assert after[1] >= before[1]
        if after[0] - before[0] >= config.confirm_s:
            continue
        scale = bounds.longest_gap_s / bounds.jump_gap_s
        # a trembling of 0.1 mm comes on top of the place
        assert np.linalg.norm(after[2] - before[2]) <= scale * bounds.jump_m + 2e-4
        apart = (Rotation.from_quat(before[3]).inv() * Rotation.from_quat(after[3])).magnitude()
        assert apart <= scale * bounds.jump_rad + 1e-9
