"""The transition table: complete for stop and failure, and no way around the takeover rules."""

import itertools

import pytest

from dexpie_core.modes import EVENT_FOR_REQUEST, TRANSITIONS, Mode, ModeEvent, next_mode


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_can_fail(mode):
    assert next_mode(mode, ModeEvent.FAIL) is Mode.FAULT


@pytest.mark.parametrize("mode", [m for m in Mode if m is not Mode.FAULT])
def test_every_mode_but_fault_can_be_stopped(mode):
    assert next_mode(mode, ModeEvent.STOP) is Mode.IDLE


def test_only_recovery_leads_out_of_fault():
    ways_out = {
        event
        for (mode, event), after in TRANSITIONS.items()
        if mode is Mode.FAULT and after is not Mode.FAULT
    }
    assert ways_out == {ModeEvent.RECOVER}


def test_autonomy_is_entered_only_with_a_chunk_or_by_cancelling():
    ways_in = {event for (_, event), after in TRANSITIONS.items() if after is Mode.AUTONOMOUS}
    assert ways_in == {ModeEvent.CHUNK_READY, ModeEvent.CANCEL}


def test_requests_mean_transitions_that_exist():
    for (mode, target), event in EVENT_FOR_REQUEST.items():
        after = next_mode(mode, event)
        assert after is target or (after is Mode.RELEASING and target is Mode.AUTONOMOUS)


def test_absent_rows_are_none():
    absent = [pair for pair in itertools.product(Mode, ModeEvent) if pair not in TRANSITIONS]
    assert absent
    assert all(next_mode(*pair) is None for pair in absent)
