"""One tick's step stays within bounds, whatever is asked."""

import numpy as np
import pytest
from hypothesis import given
from strategies import action_at, actions

from dexpie_core.limits import Clamp, CommandRefused, MotionLimits, check_action, limit_step, step_sizes

WIDE = MotionLimits(workspace_min_m=(-5, -5, -5), workspace_max_m=(5, 5, 5))


@given(actions, actions)
def test_step_is_bounded_in_every_part(previous, target):
    command = limit_step(previous, target, WIDE).command
    metres, radians, hand = step_sizes(previous, command)
    assert metres <= WIDE.linear_step_m * (1 + 1e-9)
    assert radians <= WIDE.angular_step_rad * (1 + 1e-6) + 1e-9
    assert hand <= WIDE.hand_step + 1e-12


@given(actions, actions)
def test_repeated_steps_arrive(previous, target):
    command = previous
    for _ in range(300):
        command = limit_step(command, target, WIDE).command
    np.testing.assert_allclose(command, target, atol=1e-6)


def test_small_step_passes_unchanged():
    limited = limit_step(action_at(0.0), action_at(0.01), MotionLimits())
    assert limited.clamped == Clamp.NONE
    np.testing.assert_allclose(limited.command, action_at(0.01), atol=1e-15)


def test_long_step_keeps_its_direction():
    limited = limit_step(action_at(0.0), action_at(0.3, 0.4), MotionLimits(max_linear_speed_m_s=0.25))
    assert limited.clamped == Clamp.LINEAR
    np.testing.assert_allclose(limited.command[:2], [0.006, 0.008])


def test_workspace_holds_the_target_at_the_box():
    limited = limit_step(action_at(z=0.01), action_at(z=-0.005), MotionLimits())
    assert limited.clamped == Clamp.WORKSPACE
    assert limited.command[2] == 0.0


def test_from_outside_the_box_the_way_leads_back_only():
    limits = MotionLimits(workspace_max_m=(0.3, 0.3, 0.3))
    assert limit_step(action_at(0.4), action_at(0.5), limits).command[0] == pytest.approx(0.4)
    assert limit_step(action_at(0.4), action_at(0.3), limits).command[0] == pytest.approx(0.38)


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        (0, np.nan, "finite"),
        (14, np.inf, "finite"),
        (9, 1.5, r"outside \[0, 1\]"),
        (slice(3, 9), 0.0, "degenerate"),
    ],
)
def test_refused(index, value, message):
    action = action_at()
    action[index] = value
    with pytest.raises(CommandRefused, match=message):
        check_action(action)


def test_wrong_length_is_refused():
    with pytest.raises(CommandRefused, match="shape"):
        check_action(np.zeros(14))
