"""Pure rules of the UR5 driver: due times, checks of commands, parameters, datagrams."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexpie_core import se3, ur5
from dexpie_hardware.ur5.checks import CommandChecks, Here, Reason, Refused, pose_from_numbers
from dexpie_hardware.ur5.due_times import DueClock
from dexpie_hardware.ur5.parameters import Ur5Parameters
from dexpie_hardware.ur5.wire import Cycles, Measured, Recover, Status, Stop, Target, decode, encode

MS = 1_000_000
HOST = "192.168.1.10"
Q = np.array([0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0])
HERE = Here(ur5.forward(Q), Q)


# due times


@given(st.integers(-(10**18), 10**18), st.lists(st.integers(0, 30 * MS), min_size=5, max_size=60))
def test_a_wrong_clock_and_a_jittery_transport_move_no_due_time(offset_ns, delays_ns):
    """Due times on our clock keep their distance of 40 ms; the offset is the one of the quickest message."""
    clock = DueClock(window=len(delays_ns))
    for k, delay_ns in enumerate(delays_ns):
        stamp_ns = 40 * MS * k
        due_s = clock.due_s(stamp_ns + offset_ns, stamp_ns + offset_ns + 40 * MS, stamp_ns + delay_ns)
    expected_ns = 40 * MS * len(delays_ns) + min(delays_ns)
    assert due_s == pytest.approx(expected_ns * 1e-9, abs=1e-9)


def test_a_sender_that_fell_behind_is_seen_as_late_and_a_clock_set_back_is_forgiven_after_the_window():
    clock = DueClock(window=3)
    for k in range(3):
        clock.due_s(k * 40 * MS, k * 40 * MS + 40 * MS, k * 40 * MS)
    assert clock.due_s(120 * MS, 160 * MS, 620 * MS) == pytest.approx(0.160)  # arrived half a second late
    for k in range(3):
        back_s = clock.due_s(k * 40 * MS - 10**9, k * 40 * MS + 40 * MS - 10**9, 700 * MS + k * 40 * MS)
    assert back_s == pytest.approx(0.740 + 0.080)


# checks


def checks(**parameters):
    return CommandChecks(Ur5Parameters(host=HOST, **parameters))


def shifted(x=0.0, y=0.0, z=0.0, turn=0.0):
    T = HERE.T.copy()
    T[:3, 3] += [x, y, z]
    T[:3, :3] = se3.rotation_from_rotvec([0.0, 0.0, turn]) @ T[:3, :3]
    return T


def refusal(T, due_s=10.04, here=HERE, now_s=10.0, **parameters):
    with pytest.raises(Refused) as refused:
        checks(**parameters).check(T, due_s, here, now_s)
    return refused.value.reason


def test_a_step_within_the_bounds_passes():
    checks().check(shifted(0.03, turn=0.1), 10.04, HERE, 10.0)


@pytest.mark.parametrize(
    ("pose", "reason"),
    [
        ((0.0, 0.0, 0.4, 0.0, 0.0, 0.0), Reason.LENGTH),
        ((0.0, 0.0, 0.4, 0.0, 0.0, 0.0, 1.0, 0.0), Reason.LENGTH),
        ((0.0, math.nan, 0.4, 0.0, 0.0, 0.0, 1.0), Reason.NOT_FINITE),
        ((0.0, 0.0, 0.4, 0.0, 0.0, math.inf, 1.0), Reason.NOT_FINITE),
        ((0.0, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0), Reason.NO_ROTATION),
        ((0.0, 0.0, 0.4, 0.0, 0.0, 0.9, 0.9), Reason.NO_ROTATION),
    ],
)
def test_what_is_no_pose_is_refused(pose, reason):
    with pytest.raises(Refused) as refused:
        pose_from_numbers(pose)
    assert refused.value.reason is reason


def test_a_unit_quaternion_is_a_pose():
    T = pose_from_numbers((0.1, 0.2, 0.3, 0.0, 0.0, math.sin(0.5), math.cos(0.5)))
    np.testing.assert_allclose(
        T, se3.make(se3.rotation_from_rotvec([0, 0, 1.0]), [0.1, 0.2, 0.3]), atol=1e-12
    )


def test_late_and_far_ahead_commands_are_refused():
    assert refusal(HERE.T, due_s=9.89) is Reason.TIME
    checks().check(HERE.T, 9.91, HERE, 10.0)
    assert refusal(HERE.T, due_s=11.1) is Reason.TIME


def test_too_large_a_step_is_refused_with_the_numbers():
    assert refusal(shifted(0.051)) is Reason.STEP
    assert refusal(shifted(turn=0.21)) is Reason.STEP
    with pytest.raises(Refused, match=r"6\.0 cm and 0\.00 rad .*at most 5\.0 cm, 0\.20 rad"):
        checks().check(shifted(0.06), 10.0, HERE, 10.0)


def test_the_box_refuses_what_leaves_it_and_lets_an_arm_outside_come_back():
    x = float(HERE.T[0, 3])  # -0.487
    box = {"workspace_min_m": (x - 0.02, -0.85, 0.0)}
    assert refusal(shifted(-0.03), **box) is Reason.WORKSPACE
    checks(**box).check(shifted(-0.01), 10.0, HERE, 10.0)
    outside = {"workspace_min_m": (x + 0.1, -0.85, 0.0)}
    assert refusal(shifted(-0.01), **outside) is Reason.WORKSPACE
    checks(**outside).check(shifted(0.01), 10.0, HERE, 10.0)


def test_an_unreachable_pose_is_refused():
    # The arm nearly stretched along x; 5 cm further out nothing reaches.
    q = np.array([0.0, -0.2, 0.1, 0.0, -1.5708, 0.0])
    here = Here(ur5.forward(q), q)
    T = here.T.copy()
    T[:3, 3] *= 1.05
    wide = {"workspace_min_m": (-2.0,) * 3, "workspace_max_m": (2.0,) * 3, "max_step_m": 0.1}
    assert refusal(T, here=here, **wide) is Reason.UNREACHABLE
    checks(kinematics="none", **wide).check(T, 10.0, here, 10.0)


def test_joints_that_cannot_follow_in_one_cycle_have_no_next_step():
    at_125_hz = checks()  # 3 rad/s: 0.024 rad a cycle
    q = Q + np.array([0.02, 0.0, 0.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(at_125_hz.next_joints(ur5.forward(q), Q), q, atol=1e-9)
    far = Q + np.array([0.03, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert at_125_hz.next_joints(ur5.forward(far), Q) is None
    np.testing.assert_array_equal(checks(kinematics="none").next_joints(ur5.forward(far), Q), Q)


def test_the_tcp_offset_is_part_of_the_kinematics():
    offset = (0.0, 0.0, 0.1, 0.0, 0.0, 0.5)
    T = ur5.forward(Q, se3.make(se3.rotation_from_rotvec([0.0, 0.0, 0.5]), [0.0, 0.0, 0.1]))
    assert checks(tcp_offset=offset).tcp_error(Q, T) == pytest.approx((0.0, 0.0), abs=1e-12)
    assert checks().tcp_error(Q, T) == pytest.approx((0.1, 0.5))
    assert checks(kinematics="none").tcp_error(Q, T) == (0.0, 0.0)


def test_an_arm_that_stays_behind_does_not_follow():
    assert not checks().lags(shifted(0.14), HERE.T)
    assert checks().lags(shifted(0.16), HERE.T)
    assert checks().lags(shifted(turn=0.61), HERE.T)


# parameters


def test_parameters_survive_the_way_to_the_servo_process():
    parameters = Ur5Parameters(host=HOST, tcp_offset=(0.0, 0.0, 0.15, 0.0, 0.0, 0.1), stale_periods=12)
    assert Ur5Parameters.from_json(parameters.to_json()) == parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host": ""}, "host"),
        ({"lookahead_s": 0.29}, "lookahead_s 0.29 is not in 0.03 to 0.2"),
        ({"gain": 50.0}, "gain 50 is not in 100 to 2000"),
        ({"payload_kg": 5.1}, "payload_kg"),
        ({"payload_kg": math.nan}, "payload_kg nan is not finite"),
        ({"tcp_offset": (0.0,) * 5}, "tcp_offset needs 6 numbers, got 5"),
        ({"tcp_offset": (0.0, 0.0, math.inf, 0.0, 0.0, 0.0)}, "tcp_offset"),
        ({"workspace_min_m": (0.0, 0.0, 1.0)}, "workspace_min_m"),
        ({"watchdog_hz": 63.0}, "watchdog_hz 63 is more than half of servo_rate_hz 125"),
        ({"servo": "speed"}, "servo 'speed'"),
        ({"kinematics": "ur10"}, "kinematics 'ur10'"),
        ({"servo": "joints", "kinematics": "none"}, "model of the arm"),
        ({"hold_s": 0.2}, "hold_s 0.2 is not longer"),
        ({"realtime_priority": 100}, "realtime_priority"),
    ],
)
def test_a_wrong_value_is_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        Ur5Parameters(**{"host": HOST, **changes})


def test_every_parameter_tells_its_meaning_and_every_number_its_range():
    for item in dataclasses.fields(Ur5Parameters):
        assert item.metadata["description"]
        if item.type in ("int", "float"):
            assert np.isfinite(item.metadata["low"]) and np.isfinite(item.metadata["high"]), item.name


# datagrams


@pytest.mark.parametrize(
    "message",
    [
        Target((0.1, 0.2, 0.3, 0.0, 0.0, 0.6, 0.8), 10**18, 10**18 + 40 * MS, 5 * 10**12),
        Recover(),
        Stop(),
        Measured(10**18, tuple(Q), (0.5,) * 6, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)),
        Status("STOPPED", False, "protective stop", True, False, 0.5, "refused", False, "no", {"a": 3}),
        Cycles(((10**12, 250_000), (10**12 + 8 * MS, 260_000))),
    ],
)
def test_messages_survive_the_socket(message):
    assert decode(encode(message)) == message


@pytest.mark.parametrize("datagram", [b"", b"X", encode(Target((0.0,) * 7, 0, 0, 0))[:-1], b"M123"])
def test_what_is_no_message_is_refused(datagram):
    with pytest.raises(ValueError, match="bytes"):
        decode(datagram)
