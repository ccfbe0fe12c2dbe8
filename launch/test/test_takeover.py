"""The key presses of a takeover in the middle of an attempt."""

from dexpie.takeover import TakeoverKeys
from dexpie_core.modes import Mode


def pressed(keys: TakeoverKeys, *moments: tuple[float, Mode]) -> list[Mode | None]:
    return [keys.due(now_s, mode) for now_s, mode in moments]


def test_announced_in_the_middle_handed_back_after_a_while_and_never_again() -> None:
    keys = TakeoverKeys(started_s=100.0, after_s=2.0, hold_s=2.0)
    found = pressed(
        keys,
        (100.5, Mode.RELEASING), (101.9, Mode.AUTONOMOUS), (102.0, Mode.AUTONOMOUS), (102.1, Mode.ALIGNING),
        (103.0, Mode.HUMAN), (104.9, Mode.HUMAN), (105.0, Mode.HUMAN), (105.1, Mode.RELEASING),
        (106.0, Mode.AUTONOMOUS), (109.0, Mode.AUTONOMOUS), (120.0, Mode.HUMAN),
    )  # fmt: skip
    assert found == [
        None, None, Mode.ALIGNING, None, None, None, Mode.AUTONOMOUS, None, None, None, None,
    ]  # fmt: skip


def test_a_hand_back_that_is_refused_is_asked_for_again() -> None:
    keys = TakeoverKeys(0.0, after_s=0.0, hold_s=1.0)
    assert pressed(keys, (0.0, Mode.HUMAN), (1.0, Mode.HUMAN), (1.04, Mode.HUMAN)) == [
        None, Mode.AUTONOMOUS, Mode.AUTONOMOUS,
    ]  # fmt: skip


def test_a_takeover_that_the_operator_gave_up_is_announced_again_after_a_pause() -> None:
    keys = TakeoverKeys(0.0, after_s=1.0, pause_s=0.5)
    assert pressed(
        keys, (1.0, Mode.AUTONOMOUS), (1.2, Mode.ALIGNING), (1.3, Mode.AUTONOMOUS), (1.5, Mode.AUTONOMOUS)
    ) == [Mode.ALIGNING, None, None, Mode.ALIGNING]


def test_nothing_is_asked_of_a_robot_that_stands_or_is_in_fault() -> None:
    keys = TakeoverKeys(0.0, after_s=1.0)
    assert pressed(keys, (5.0, Mode.IDLE), (6.0, Mode.FAULT)) == [None, None]
