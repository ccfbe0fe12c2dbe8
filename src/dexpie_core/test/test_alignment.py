"""The bounds of a takeover: every wrist and finger beyond them is named with its number."""

import numpy as np
import pytest
from strategies import action_at

from dexpie_core.alignment import AlignmentBounds
from dexpie_core.chunk_schedule import Chunk
from dexpie_core.executor import Executor, HumanAction
from dexpie_core.follower import Misalignment
from dexpie_core.modes import Mode, ModeEvent

BOUNDS = AlignmentBounds(rotation_rad=0.5, hand=0.6)
START = action_at(0.3, 0.0, 0.3)
HAND = np.array([0.0, 0.61, 0.0, -0.8, 0.6, 0.0])
CROOKED = Misalignment(np.radians(35.0), HAND)


def test_inside_is_no_refusal():
    assert BOUNDS.refusal(Misalignment(0.5, np.full(6, -0.6))) == ""


def test_every_number_beyond_its_bound_is_told():
    words = "not aligned: wrist 35 deg (at most 29), ring 0.61, index 0.80 (at most 0.60 of the travel)"
    assert BOUNDS.refusal(CROOKED) == words
    assert BOUNDS.refusal(Misalignment(0.1, HAND)) == words.replace("wrist 35 deg (at most 29), ", "")


@pytest.mark.parametrize(
    "error", [Misalignment(np.nan, np.zeros(6)), Misalignment(0.0, np.array([0, 0, np.nan, 0, 0, 0]))]
)
def test_an_error_that_is_not_a_number_is_no_alignment(error):
    assert "nan" in BOUNDS.refusal(error)


def driving(mode: Mode) -> Executor:
    """An executor in a mode that the policy drives in."""
    core = Executor()
    core.reset(START)
    core.request_mode(ModeEvent.START, 0.0)
    request = core.tick(0.0).request
    if mode is not Mode.RELEASING:
        core.offer_chunk(Chunk(request.epoch, request.sequence, request.tick, np.tile(START, (24, 1))))
        for i in range(6):
            core.tick(0.04 * (i + 1))
    if mode is Mode.ALIGNING:
        core.request_mode(ModeEvent.ALIGN, 0.25)
    assert core.mode is mode
    return core


@pytest.mark.parametrize("mode", [Mode.RELEASING, Mode.AUTONOMOUS, Mode.ALIGNING])
def test_every_mode_that_the_policy_drives_in_refuses_alike(mode):
    core = driving(mode)
    core.offer_human(HumanAction(0.3, 0, START, CROOKED))
    reply = core.request_target_mode(Mode.HUMAN, 0.3)
    assert (reply.accepted, reply.mode) == (False, mode)
    assert "wrist 35 deg" in reply.message and "index 0.80" in reply.message
    core.offer_human(HumanAction(0.3, 0, START, Misalignment(0.1, np.zeros(6))))
    assert "no fresh" in core.request_target_mode(Mode.HUMAN, 0.6).message
    assert core.request_target_mode(Mode.HUMAN, 0.5).accepted
