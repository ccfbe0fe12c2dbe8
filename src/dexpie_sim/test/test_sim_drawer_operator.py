"""The virtual operator on the drawer task, through tracker, glove, follower and executor."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dexpie_core import se3
from dexpie_sim.config import preset
from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, LockstepConfig, Tick, run_episode
from dexpie_sim.model.drawer import BOX_HALF_M
from dexpie_sim.tasks.drawer import DrawerTask, Layout
from dexpie_sim.tasks.drawer_plan import DrawerPlan, Phase
from dexpie_sim.tasks.drawer_poses import HOOK, POINT, handle_pose
from dexpie_sim.tasks.plan import View


@pytest.fixture(scope="module")
def lockstep() -> LockstepCell:
    return LockstepCell(LockstepConfig(cell=preset("default", task="drawer")))


def task_of(lockstep: LockstepCell) -> DrawerTask:
    assert isinstance(lockstep.cell.task, DrawerTask)
    return lockstep.cell.task


@pytest.mark.parametrize(
    ("stage", "seed"), [("initial", 0), ("initial", 11), ("opened", 3), ("grasped", 0), ("grasped", 7)]
)
def test_demonstrations_succeed_gently(lockstep: LockstepCell, stage: str, seed: int) -> None:
    forces: list[float] = []
    before: list[Layout] = []

    def on_tick(tick: Tick) -> None:
        forces.append(lockstep.cell.contact_force_n)
        before.extend([] if before else [task_of(lockstep).layout(lockstep.cell.data)])

    result = run_episode(lockstep, EpisodeRequest(stage=stage, seed=seed), on_tick)
    assert result.success, result
    assert result.counters["ik_failures"] == 0
    assert max(forces) < 40.0
    after = task_of(lockstep).layout(lockstep.cell.data)
    assert after.opening_m > 0.10
    np.testing.assert_allclose(after.cabinet_xy, before[0].cabinet_xy, atol=0.001)


def test_same_seed_same_trajectory(lockstep: LockstepCell) -> None:
    runs = []
    for cell in (lockstep, lockstep, LockstepCell(lockstep.config)):
        values: list[np.ndarray] = []
        run_episode(
            cell,
            EpisodeRequest(seed=8, max_steps=180),
            lambda t, out=values: out.append(np.concatenate([t.output.command, t.scene.values])),
        )
        runs.append(np.array(values))
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_a_box_that_is_in_place_but_held_is_not_yet_success(lockstep: LockstepCell) -> None:
    class Placed(Exception):
        pass

    def on_tick(tick: Tick) -> None:
        if tick.signals is not None and tick.signals.phase == "release":
            raise Placed

    with pytest.raises(Placed):
        run_episode(lockstep, EpisodeRequest(stage="grasped", seed=2), on_tick)
    cell = lockstep.cell
    cell.advance(1.2)
    assert cell.holds_object()
    assert cell.scene().group("box.")[2] < 0.06
    assert not cell.scene().success
    assert not cell.scene().failure


def disturb(
    lockstep: LockstepCell, when: Callable[[Tick], bool], change: Callable[[Layout], Layout]
) -> Callable[[Tick], None]:
    """Once `when` holds, put things as `change` says."""
    pending = [True]

    def on_tick(tick: Tick) -> None:
        if pending and when(tick):
            pending.clear()
            task, data = task_of(lockstep), lockstep.cell.data
            task.put(data, change(task.layout(data)))

    return on_tick


def in_phase(name: str, after_s: float = 0.0) -> Callable[[Tick], bool]:
    since: list[int] = []

    def when(tick: Tick) -> bool:
        if tick.signals is not None and tick.signals.phase == name:
            since.append(tick.stamp_ns)
        return bool(since) and tick.stamp_ns - since[0] >= after_s * 1e9

    return when


def on_table(x: float, y: float, rotvec: tuple[float, float, float] = (0.0, 0.0, 0.2)) -> np.ndarray:
    R = se3.rotation_from_rotvec(rotvec)
    return se3.make(R, np.array([x, y, np.abs(R[2]) @ np.array(BOX_HALF_M)]))


@pytest.mark.parametrize(
    ("stage", "phase", "after_s", "change"),
    [
        ("opened", "descend", 0.2, lambda now: replace(now, box_T=on_table(0.42, 0.16))),
        ("grasped", "carry", 0.5, lambda now: replace(now, box_T=on_table(0.50, 0.20))),
        (
            "grasped",
            "carry",
            0.5,
            lambda now: replace(now, box_T=on_table(0.46, 0.20, (np.pi / 2, 0.0, 0.0))),
        ),
        ("opened", "descend", 0.2, lambda now: replace(now, opening_m=0.0)),
        ("opened", "lift", 0.2, lambda now: replace(now, opening_m=0.04)),
    ],
    ids=["box moved", "box lost", "box lost, on its side", "drawer shut", "drawer nearly shut, box in hand"],
)
def test_it_recovers(
    lockstep: LockstepCell, stage: str, phase: str, after_s: float, change: Callable[[Layout], Layout]
) -> None:
    happened: list[Layout] = []

    def seen(now: Layout) -> Layout:
        happened.append(change(now))
        return happened[-1]

    request = EpisodeRequest(stage=stage, seed=3, max_steps=1200)
    result = run_episode(lockstep, request, disturb(lockstep, in_phase(phase, after_s), seen))
    assert happened
    assert result.success, result


def test_it_finishes_a_drawer_that_is_half_open(lockstep: LockstepCell) -> None:
    half = disturb(lockstep, lambda tick: True, lambda now: replace(now, opening_m=0.07))
    result = run_episode(lockstep, EpisodeRequest(seed=5), half)
    assert result.success, result


def test_taking_over_with_the_finger_in_the_handle_it_pulls_out_upwards_first(lockstep: LockstepCell) -> None:
    lockstep.reset(EpisodeRequest(seed=1))
    scene = lockstep.cell.scene()
    T = handle_pose(scene.group("handle."), np.append(scene.group("pull."), 0.0))
    plan = DrawerPlan(np.random.default_rng(0))
    view = View(scene, T, HOOK, 0.0, 0.5)
    plan.first_phase(view)
    intent, _ = plan.step(view)
    assert plan.phase is Phase.CLEAR
    np.testing.assert_array_equal(intent.hand, POINT)
    np.testing.assert_allclose(intent.goal[:2, 3], T[:2, 3])
    assert intent.goal[2, 3] > T[2, 3] + 0.1
