"""Demonstrations of the lid task: from every stage, and from scenes that somebody has disturbed."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from dexpie_sim.config import CellConfig
from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, LockstepConfig, Tick, run_episode
from dexpie_sim.model.lid import CANDY_RADIUS_M, KNOB_ON_BOX_M
from dexpie_sim.tasks.lid import LidTask
from dexpie_sim.tasks.lid_grasp import free_heading, off_the_wall, pinch_heading, pinch_pose

ON_TABLE = np.array([0.5, -0.16, CANDY_RADIUS_M])
BOX = np.array([0.5, 0.1, 0.075, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0])
LID = np.array([0.5, 0.3, 0.042, 0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def lockstep() -> LockstepCell:
    return LockstepCell(LockstepConfig(cell=CellConfig(task="lid")))


@pytest.mark.parametrize(
    ("stage", "seed"), [("initial", 0), ("initial", 11), ("opened", 4), ("opened", 12), ("grasped", 7)]
)
def test_demonstrations_succeed_without_force(lockstep: LockstepCell, stage: str, seed: int) -> None:
    forces_n: list[float] = []
    result = run_episode(
        lockstep,
        EpisodeRequest(stage=stage, seed=seed),
        lambda tick: forces_n.append(lockstep.cell.contact_force_n),
    )
    assert result.success, result
    assert result.counters["ik_failures"] == 0
    assert max(forces_n) < 0.75 * lockstep.cell.config.stop_force_n


def test_same_seed_same_commands(lockstep: LockstepCell) -> None:
    runs = []
    for cell in (lockstep, LockstepCell(lockstep.config)):
        commands: list[np.ndarray] = []
        request = EpisodeRequest(stage="grasped", seed=8)
        run_episode(cell, request, lambda tick, out=commands: out.append(tick.output.command))
        runs.append(np.array(commands))
    np.testing.assert_array_equal(runs[0], runs[1])


def test_the_lid_is_put_aside_before_the_candy_is_touched(lockstep: LockstepCell) -> None:
    ticks: list[Tick] = []
    assert run_episode(lockstep, EpisodeRequest(seed=5), ticks.append).success
    candy = np.array([tick.scene.group("candy.")[:3] for tick in ticks])
    lid = np.array([tick.scene.group("lid.")[:3] for tick in ticks])
    moved = int(np.argmax(np.linalg.norm(candy - candy[0], axis=1) > 0.005))
    assert np.max(np.linalg.norm(lid[moved:] - lid[moved], axis=1)) < 0.005
    assert np.linalg.norm(lid[moved] - lid[0]) > 0.12


def disturbed(
    lockstep: LockstepCell, when: Callable[[Tick], bool], body: str, place: Callable[[Tick], np.ndarray]
) -> Callable[[Tick], None]:
    """Once `when` holds, put the body elsewhere, with the box's yaw."""
    pending = [True]

    def on_tick(tick: Tick) -> None:
        if pending and when(tick):
            pending.clear()
            task = lockstep.cell.task
            assert isinstance(task, LidTask)
            side = tick.scene.group("box.")[6:8]
            task.put(lockstep.cell.data, body, place(tick), math.atan2(side[1], side[0]))

    on_tick.pending = pending  # type: ignore[attr-defined]
    return on_tick


def on_box(tick: Tick) -> np.ndarray:
    return tick.scene.group("box.")[:3] + np.array([0.0, 0.0, KNOB_ON_BOX_M])


def nearer(tick: Tick, x_m: float, y_m: float) -> np.ndarray:
    return tick.scene.group("box.")[:3] - np.array([x_m, y_m, 0.0])


def beside_box(tick: Tick, x_m: float, y_m: float) -> np.ndarray:
    x, y = tick.scene.group("box.")[:2]
    return np.array([x + x_m, y + y_m, CANDY_RADIUS_M])


def phase(tick: Tick) -> str:
    assert tick.signals is not None
    return tick.signals.phase


@pytest.mark.parametrize("seed", [1, 3])
@pytest.mark.parametrize(
    ("stage", "when", "body", "place"),
    [
        ("opened", lambda t: phase(t) == "down", "candy", lambda t: ON_TABLE - np.array([0.05, 0.05, 0.0])),
        ("grasped", lambda t: t.scene.group("candy.")[1] > -0.08, "candy", lambda t: ON_TABLE),
        ("initial", lambda t: t.scene.group("lid.")[1] > 0.15, "lid", on_box),
        ("initial", lambda t: phase(t) == "down", "lid", lambda t: on_box(t) + np.array([0.03, 0.03, 0.01])),
        ("initial", lambda t: True, "lid", lambda t: on_box(t) + np.array([0.0, 0.085, 0.003])),
        ("opened", lambda t: phase(t) == "lower", "box", lambda t: nearer(t, 0.03, 0.05)),
        ("grasped", lambda t: True, "lid", on_box),
        ("opened", lambda t: True, "candy", lambda t: beside_box(t, 0.0, -0.085)),
        ("initial", lambda t: True, "candy", lambda t: beside_box(t, -0.01, 0.19)),
    ],
    ids=[
        "candy moved before the grasp",
        "candy dropped on the way",
        "lid back on the box",
        "lid askew",
        "lid leans on the box",
        "box moved under the candy",
        "box shut, candy in hand",
        "candy at the wall",
        "candy where the lid goes",
    ],
)
def test_it_recovers(
    lockstep: LockstepCell,
    stage: str,
    seed: int,
    when: Callable[[Tick], bool],
    body: str,
    place: Callable[[Tick], np.ndarray],
) -> None:
    disturb = disturbed(lockstep, when, body, place)
    result = run_episode(lockstep, EpisodeRequest(stage=stage, seed=seed, max_steps=900), disturb)
    assert not disturb.pending  # type: ignore[attr-defined]
    assert result.success, result


def test_a_free_candy_is_pinched_across_its_length() -> None:
    for yaw in np.linspace(-3.0, 3.0, 13):
        candy = np.array([0.5, -0.2, CANDY_RADIUS_M, math.cos(yaw), math.sin(yaw), 0.0])
        heading = free_heading(candy, BOX, LID)
        assert heading == pinch_heading(candy[:3], candy[3:])
        assert abs(heading) < 1.0
        # Along the digits' line lies the short side, as far as the wrist turns: at worst 51 deg off.
        assert abs(math.sin(heading - yaw)) > math.cos(math.pi / 2 - 0.69)
        T = pinch_pose(candy[:3], heading)
        assert T[2, 3] > 0.08


@pytest.mark.parametrize(("side", "turned"), [((0.0, -0.08), False), ((-0.08, 0.0), True)])
def test_at_a_wall_the_hand_turns_and_keeps_off_it(side: tuple[float, float], turned: bool) -> None:
    candy = np.array([*(BOX[:2] + side), CANDY_RADIUS_M, 0.0, 1.0, 0.0])
    heading = free_heading(candy, BOX, LID)
    assert (abs(heading) > 1.2) is turned
    shift = off_the_wall(candy[:3], BOX)
    np.testing.assert_allclose(shift[:2] / np.linalg.norm(shift), np.array(side) / 0.08, atol=1e-9)
    assert np.linalg.norm(shift) <= 0.008
    np.testing.assert_array_equal(off_the_wall(candy[:3] + np.array([*side, 0.0]), BOX), np.zeros(3))
