"""The oracle of progress on scenes made by hand."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from dexpie_core import se3
from dexpie_sim.model.drawer import FLOOR_TOP_M
from dexpie_sim.model.lid import KNOB_ON_BOX_M, KNOB_ON_TABLE_M
from dexpie_sim.progress import Assessment, Judgement, OracleConfig, ProgressOracle, patience_of
from dexpie_sim.progress.bottleneck import Bottleneck
from dexpie_sim.tasks import SceneReading, make_task
from dexpie_sim.tasks.bottle import grasp_pose, side_grasp_rotation
from dexpie_sim.tasks.drawer_poses import box_pose, handle_pose
from dexpie_sim.tasks.lid_grasp import pinch_pose

UP = np.array([0.0, 0.0, 1.0])
OPEN = np.ones(6)
FAR_T = se3.make(side_grasp_rotation(0.0), [0.4, -0.3, 0.4])


def seen(T: np.ndarray, point: np.ndarray) -> np.ndarray:
    return T[:3, :3].T @ (np.asarray(point) - T[:3, 3])


def reading(task: str, *values: np.ndarray) -> SceneReading:
    names = make_task(task).names
    flat = np.concatenate([np.ravel(v) for v in values])
    assert len(flat) == len(names)
    return SceneReading(names, flat, False, False, "", "initial")


def bottle(T: np.ndarray, base: np.ndarray, tilt_rad: float = 0.0) -> SceneReading:
    platform = np.array([0.5, 0.2, 0.05])
    axis = np.array([np.sin(tilt_rad), 0.0, np.cos(tilt_rad)])
    return reading("bottle", base, axis, platform, seen(T, base), seen(T, platform))


def drawer(T: np.ndarray, box: np.ndarray, opening_m: float) -> SceneReading:
    pull = np.array([0.0, 1.0, 0.0])
    handle = np.array([0.5, -0.13 + opening_m, 0.072])
    along = np.array([1.0, 0.0, 0.0])
    R = T[:3, :3].T
    there = (seen(T, box), R @ along, R @ UP, seen(T, handle), R @ pull)
    return reading("drawer", box, along, UP, handle, pull[:2], [opening_m], *there)


def lid(T: np.ndarray, knob: np.ndarray, candy: np.ndarray, box_tilt_rad: float = 0.0) -> SceneReading:
    box, side = np.array([0.5, 0.1, 0.075]), np.array([1.0, 0.0, 0.0])
    axis = np.array([np.sin(box_tilt_rad), 0.0, np.cos(box_tilt_rad)])
    points = (seen(T, box), seen(T, knob), seen(T, candy))
    return reading("lid", box, axis, side, knob, UP, candy, side, *points)


def judge(
    task: str, moments: Iterable[tuple[float, SceneReading, np.ndarray, np.ndarray]]
) -> list[Assessment]:
    oracle = ProgressOracle(task)
    return [oracle.see(*moment) for moment in moments]


def lasting(scene: SceneReading, T: np.ndarray, start_s: float = 0.0, hand: np.ndarray = OPEN) -> list[Any]:
    """The same scene for 0.4 s."""
    return [(start_s + t, scene, T, hand) for t in np.arange(0.0, 0.41, 0.04)]


BASE = np.array([0.5, -0.1, 0.0])
HELD_T = grasp_pose(np.array([0.5, -0.1, 0.1]), 0.0)
LIFTED = bottle(HELD_T, np.array([0.5, -0.1, 0.1]))
BOX = np.array([0.45, 0.2, 0.035])
CANDY = np.array([0.5, -0.2, 0.0135])
ON_BOX = np.array([0.5, 0.1, 0.075 + KNOB_ON_BOX_M])
ASIDE = np.array([0.5, 0.27, KNOB_ON_TABLE_M])
OVER_CANDY_T = pinch_pose(CANDY + 0.1 * UP, 0.0)
CANDY_HELD = lid(OVER_CANDY_T, ASIDE, CANDY + 0.1 * UP)
HANDLE_T = handle_pose(np.array([0.5, -0.13, 0.072]), np.array([0.0, 1.0, 0.0]))
BOX_T = box_pose(BOX + 0.1 * UP, np.eye(3), np.array([0.0, 1.0, 0.0]))
BOX_HELD = drawer(BOX_T, BOX + 0.1 * UP, 0.135)


@pytest.mark.parametrize(
    ("task", "in_turn"),
    [
        (
            "bottle",
            [
                (bottle(FAR_T, BASE), FAR_T),
                (bottle(grasp_pose(BASE, 0.0), BASE), grasp_pose(BASE, 0.0)),
                (LIFTED, HELD_T),
                (bottle(FAR_T, np.array([0.5, 0.2, 0.05])), FAR_T),
            ],
        ),
        (
            "drawer",
            [
                (drawer(FAR_T, BOX, 0.0), FAR_T),
                (drawer(HANDLE_T, BOX, 0.0), HANDLE_T),
                (drawer(FAR_T, BOX, 0.06), FAR_T),
                (drawer(FAR_T, BOX, 0.135), FAR_T),
                (BOX_HELD, BOX_T),
                (drawer(FAR_T, np.array([0.5, -0.08, FLOOR_TOP_M + 0.035]), 0.135), FAR_T),
            ],
        ),
        (
            "lid",
            [
                (lid(FAR_T, ON_BOX, CANDY), FAR_T),
                (lid(pinch_pose(ON_BOX, 0.0), ON_BOX, CANDY), pinch_pose(ON_BOX, 0.0)),
                (lid(pinch_pose(ON_BOX + 0.06 * UP, 0.0), ON_BOX + 0.06 * UP, CANDY), FAR_T),
                (lid(FAR_T, ASIDE, CANDY), FAR_T),
                (CANDY_HELD, OVER_CANDY_T),
                (lid(FAR_T, ASIDE, np.array([0.5, 0.1, 0.02])), FAR_T),
            ],
        ),
    ],
)
def test_progress_grows_from_step_to_step_and_all_is_fine(task: str, in_turn: list[Any]) -> None:
    found = judge(task, [(0.5 * i, scene, T, OPEN) for i, (scene, T) in enumerate(in_turn)])
    progress = [a.progress for a in found]
    assert np.all(np.diff(progress) > 0.03), progress
    assert progress[0] >= 0.0 and 0.7 < progress[-1] <= 1.0
    assert {a.judgement for a in found} == {Judgement.FINE}


@pytest.mark.parametrize(
    ("task", "before", "after", "T", "reason"),
    [
        ("bottle", bottle(FAR_T, BASE), bottle(FAR_T, BASE, np.radians(9.0)), FAR_T, "tips"),
        ("bottle", LIFTED, bottle(FAR_T, BASE), FAR_T, "back to reach: carry is undone"),
        ("bottle", bottle(FAR_T, BASE), bottle(FAR_T, np.array([0.8, -0.2, 0.0])), FAR_T, "reach of the arm"),
        ("drawer", drawer(FAR_T, BOX, 0.135), drawer(FAR_T, BOX, 0.09), FAR_T, "reach box is undone"),
        ("drawer", BOX_HELD, drawer(BOX_T, BOX, 0.135), BOX_T, "carry is undone"),
        (
            "drawer",
            drawer(FAR_T, BOX, 0.0),
            drawer(HANDLE_T + se3.make(np.eye(3), [0.03, 0.0, 0.03]) - np.eye(4), BOX, 0.0),
            HANDLE_T + se3.make(np.eye(3), [0.03, 0.0, 0.03]) - np.eye(4),
            "beside the gap",
        ),
        ("lid", lid(FAR_T, ASIDE, CANDY), lid(FAR_T, ON_BOX, CANDY), FAR_T, "back to reach lid"),
        ("lid", CANDY_HELD, lid(FAR_T, ASIDE, CANDY), FAR_T, "carry candy is undone"),
        ("lid", lid(FAR_T, ASIDE, CANDY), lid(FAR_T, ASIDE, CANDY, np.radians(12.0)), FAR_T, "box tips"),
    ],
)
def test_what_goes_wrong_is_seen_once_it_lasts(
    task: str, before: SceneReading, after: SceneReading, T: np.ndarray, reason: str
) -> None:
    found = judge(task, [(0.0, before, T, OPEN), *lasting(after, T, start_s=0.04)])
    assert [a.judgement for a in found[:3]] == [Judgement.FINE] * 3
    assert found[-1].judgement is Judgement.FAILING
    assert reason in found[-1].reason


def test_a_glimpse_is_no_alarm() -> None:
    tilted, upright = bottle(FAR_T, BASE, np.radians(9.0)), bottle(FAR_T, BASE)
    moments = [(0.04 * i, tilted if i % 3 else upright, FAR_T, OPEN) for i in range(30)]
    assert {a.judgement for a in judge("bottle", moments)} == {Judgement.FINE}


def test_a_hand_that_dives_for_the_table_is_seen_before_it_is_there() -> None:
    def at(t_s: float) -> np.ndarray:
        return se3.make(np.eye(3), [0.4, -0.3, 0.4 - 0.5 * t_s])

    moments = [(t, bottle(at(t), BASE), at(t), OPEN) for t in np.arange(0.0, 0.72, 0.04)]
    found = judge("bottle", moments)
    first = next(i for i, a in enumerate(found) if a.judgement is Judgement.FAILING)
    assert "table" in found[first].reason
    assert 0.06 < moments[first][2][2, 3] < 0.12


def test_patience_ends_where_nothing_is_gained_and_a_gain_renews_it() -> None:
    oracle = ProgressOracle("bottle", OracleConfig(patience_s=1.0))

    def look(t_s: float, x_m: float) -> Judgement:
        T = se3.make(np.eye(3), [x_m, -0.1, 0.3])
        return oracle.see(t_s, bottle(T, BASE), T, OPEN).judgement

    assert look(0.0, 0.30) is look(0.98, 0.30) is Judgement.FINE
    assert look(1.1, 0.30) is Judgement.HESITATING
    assert look(1.2, 0.35) is look(2.1, 0.34) is Judgement.FINE
    assert look(2.3, 0.34) is Judgement.HESITATING
    oracle.begin(2.4)
    assert look(2.4, 0.30) is look(3.3, 0.30) is Judgement.FINE


def test_a_bottle_that_lies_is_lost_for_everybody() -> None:
    found = judge("bottle", lasting(bottle(FAR_T, BASE, np.radians(70.0)), FAR_T))
    assert {a.judgement for a in found} == {Judgement.LOST}


def test_patience_differs_between_people_within_a_factor_of_three() -> None:
    drawn = [patience_of(np.random.default_rng(seed), 2.5, 0.25) for seed in range(200)]
    assert 1.5 <= min(drawn) < 2.1 and 2.9 < max(drawn) <= 4.0


def test_a_task_without_rules_is_refused() -> None:
    with pytest.raises(ValueError, match="bottle"):
        ProgressOracle("cup")


def test_an_attempt_is_given_up_after_so_long_without_a_gain_and_not_before() -> None:
    near_T = FAR_T.copy()
    near_T[:3, 3] += 0.5 * (BASE - FAR_T[:3, 3])
    still, nearer = bottle(FAR_T, BASE), bottle(near_T, BASE)
    watch = Bottleneck("bottle", give_up_s=1.0)
    watch.begin(5.0)
    assert watch.see(5.0, still, FAR_T, OPEN) == watch.see(5.96, still, FAR_T, OPEN) == ""
    assert watch.see(6.0, nearer, near_T, OPEN) == watch.see(7.0, nearer, near_T, OPEN) == ""
    assert watch.see(7.04, nearer, near_T, OPEN) == "given up, no progress for 1 s: reach"
    watch.begin(7.04)
    assert watch.see(7.08, still, FAR_T, OPEN) == ""


def test_danger_that_lasts_is_a_lack_of_progress_too() -> None:
    tilted = bottle(FAR_T, BASE, tilt_rad=0.3)
    assert judge("bottle", lasting(tilted, FAR_T))[-1].judgement is Judgement.FAILING
    watch = Bottleneck("bottle", give_up_s=0.3)
    watch.begin(0.0)
    assert any(watch.see(*moment) for moment in lasting(tilted, FAR_T))
