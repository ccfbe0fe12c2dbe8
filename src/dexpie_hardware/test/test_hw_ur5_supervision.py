"""What the UR5's controller says and what the driver makes of it: conditions, states, silence."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ur5_robot_for_tests import FakeRobot

from dexpie_hardware.ur5.controller import Condition, condition, matrix_from_pose6, pose6_from_matrix
from dexpie_hardware.ur5.supervision import (
    READY_STATES,
    STREAMING_STATES,
    CommandWatch,
    Event,
    Freshness,
    State,
    next_state,
)

STATE = dataclasses.replace(FakeRobot().state, runtime_state=2)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Condition.OK),
        ({"safety_bits": 2, "safety_mode": 2}, Condition.OK),  # reduced mode
        ({"safety_bits": 1 << 2 | 1 << 10}, Condition.PROTECTIVE_STOP),  # the program still says PLAYING
        ({"safety_bits": 1 << 2 | 1 << 10, "runtime_state": 4}, Condition.PROTECTIVE_STOP),
        ({"safety_bits": 1 << 4 | 1 << 10, "runtime_state": 4}, Condition.SAFEGUARD_STOP),
        ({"safety_bits": 1 << 5 | 1 << 7}, Condition.EMERGENCY_STOP),
        ({"safety_bits": 1 << 6, "robot_mode": 3}, Condition.EMERGENCY_STOP),
        ({"safety_bits": 1 << 7}, Condition.EMERGENCY_STOP),
        ({"safety_bits": 1 << 8}, Condition.VIOLATION),
        ({"safety_bits": 1 << 9}, Condition.FAULT),
        ({"safety_bits": 1 << 3}, Condition.RECOVERY_MODE),
        ({"robot_mode": 3, "runtime_state": 1}, Condition.NOT_POWERED),
        ({"robot_mode": 5}, Condition.NOT_POWERED),
        ({"runtime_state": 1}, Condition.NO_PROGRAM),
        ({"runtime_state": 4}, Condition.NO_PROGRAM),
    ],
)
def test_the_gravest_condition_counts(changes, expected):
    assert condition(dataclasses.replace(STATE, **changes)) is expected


def test_the_state_speaks_the_controllers_words():
    state = dataclasses.replace(STATE, safety_bits=1 << 6, safety_mode=7, robot_mode=3, runtime_state=1)
    assert state.words() == "safety mode ROBOT_EMERGENCY_STOP, robot mode POWER_OFF, program STOPPED"
    assert state.emergency_stop and not state.protective_stop
    assert "program 42" in dataclasses.replace(STATE, runtime_state=42).words()


@given(st.tuples(*[st.floats(-1.7, 1.7)] * 6))
def test_poses_go_to_the_controller_and_back(pose):
    np.testing.assert_allclose(pose6_from_matrix(matrix_from_pose6(pose)), pose, atol=1e-9)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_only_a_ready_state_can_stream_and_only_recover_leads_out_of_a_stop(state, event):
    after = next_state(state, event)
    if after in STREAMING_STATES and state not in STREAMING_STATES:
        assert state is State.READY and event is Event.COMMAND
    if state is State.STOPPED and after is not State.STOPPED:
        assert (event, after) in {(Event.RECOVER, State.RECOVERING), (Event.GONE, State.LOST)}
    if after in READY_STATES and state not in READY_STATES:
        assert event in {Event.ARMED, Event.SETTLED}
    if state is State.LOST:
        assert after is State.LOST


@pytest.mark.parametrize("state", sorted(READY_STATES, key=lambda state: state.name))
@pytest.mark.parametrize(
    ("event", "after"),
    [(Event.SILENCE, State.SILENT), (Event.TROUBLE, State.STOPPED), (Event.GONE, State.LOST)],
)
def test_silence_and_trouble_end_readiness_in_every_ready_state(state, event, after):
    assert next_state(state, event) is after


def test_a_controller_is_silent_after_five_missed_periods_and_gone_later():
    freshness = Freshness(0.008, 5, 1.0)
    assert freshness.look(3.000, 0.000)
    assert not freshness.look(3.000, 0.008)
    assert freshness.look(3.008, 0.016)  # an uneven receiver is no silence
    for k in range(1, 6):
        assert not freshness.look(3.008, 0.016 + 0.008 * k)
        assert not freshness.silent(0.016 + 0.008 * k)
    freshness.look(3.008, 0.064)
    assert freshness.silent(0.064)
    assert not freshness.gone(1.016)
    assert freshness.gone(1.017)
    assert freshness.look(3.016, 1.1)
    assert not freshness.silent(1.1)


def test_a_driver_that_slept_itself_looks_again_before_it_calls_the_controller_silent():
    freshness = Freshness(0.008, 5, 1.0)
    freshness.look(3.0, 0.0)
    for late_s in (0.500, 0.508):  # a sleep of half a second; its receiver has not run yet either
        assert not freshness.look(3.0, late_s)
        assert not freshness.silent(late_s)
    freshness.look(3.0, 0.516)
    assert freshness.silent(0.516)


def test_a_restarted_controller_begins_its_timestamp_anew_and_is_not_silent():
    freshness = Freshness(0.008, 5, 1.0)
    freshness.look(500.0, 0.0)
    assert freshness.look(0.008, 0.008)


def test_commands_grow_stale_then_are_over():
    watch = CommandWatch(0.2, 1.0)
    watch.command(5.0)
    assert watch.event(5.19) is None
    assert watch.event(5.21) is Event.COMMANDS_STALE
    assert watch.event(6.01) is Event.COMMANDS_OVER
    watch.command(6.1)
    assert watch.event(6.2) is None
