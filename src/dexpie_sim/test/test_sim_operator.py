"""The virtual operator, through tracker, glove, follower and executor."""

from collections.abc import Callable

import numpy as np
import pytest

from dexpie_core.action_space import pack
from dexpie_core.modes import Mode, ModeEvent
from dexpie_sim.cell import Cell
from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, Tick, run_episode
from dexpie_sim.operator import VirtualOperator
from dexpie_sim.tasks.bottle import BottleTask


@pytest.fixture(scope="module")
def lockstep() -> LockstepCell:
    return LockstepCell()


@pytest.mark.parametrize(
    ("stage", "seed"), [("initial", 0), ("initial", 11), ("initial", 42), ("grasped", 7)]
)
def test_demonstrations_succeed(lockstep: LockstepCell, stage: str, seed: int) -> None:
    result = run_episode(lockstep, EpisodeRequest(stage=stage, seed=seed))
    assert result.success, result
    assert result.counters["ik_failures"] == 0


def _disturb(
    lockstep: LockstepCell, when: Callable[[Tick], bool], xy: tuple[float, float]
) -> Callable[[Tick], None]:
    """Once `when` holds, move the bottle upright to `xy` on the table."""
    pending = [True]

    def on_tick(tick: Tick) -> None:
        if pending and when(tick):
            pending.clear()
            task, data = lockstep.cell.task, lockstep.cell.data
            assert isinstance(task, BottleTask)
            task.put(data, np.array([*xy, 0.0]), 0.0, data.mocap_pos[0, :2].copy())

    return on_tick


def test_it_follows_a_bottle_that_was_moved(lockstep: LockstepCell) -> None:
    disturb = _disturb(
        lockstep, lambda tick: tick.signals is not None and tick.signals.phase == "engage", (0.5, -0.05)
    )
    assert run_episode(lockstep, EpisodeRequest(seed=2), disturb).success


def test_it_grasps_again_what_it_lost(lockstep: LockstepCell) -> None:
    def carried(tick: Tick) -> bool:
        return tick.signals is not None and tick.signals.phase == "carry" and tick.scene.values[1] > 0.0

    result = run_episode(
        lockstep, EpisodeRequest(seed=3, max_steps=600), _disturb(lockstep, carried, (0.5, -0.1))
    )
    assert result.success, result


def test_it_moves_at_human_speed(lockstep: LockstepCell) -> None:
    positions: list[np.ndarray] = []
    run_episode(lockstep, EpisodeRequest(seed=1), lambda tick: positions.append(tick.state.tcp_T[:3, 3]))
    speed = np.linalg.norm(np.diff(positions, axis=0), axis=1) / 0.04
    assert 0.2 < speed.max() < 0.45


def test_it_asks_again_until_the_mode_is_human() -> None:
    cell, operator = Cell(), VirtualOperator()
    state, scene = cell.observe(), cell.scene()
    command = pack(state.tcp_T, state.hand)
    operator.begin(0, state)
    events = [operator.step(t, scene, state, Mode.IDLE, command).events for t in np.arange(0.0, 1.0, 0.04)]
    pressed = [e for tick in events for e in tick]
    assert pressed
    assert set(pressed) == {ModeEvent.TAKEOVER}
    assert not events[0]
    assert 3 <= len(pressed) <= 5


def test_wrong_use_is_refused() -> None:
    with pytest.raises(ValueError, match="bottle"):
        VirtualOperator(task="cup")
    cell = Cell()
    state = cell.observe()
    with pytest.raises(RuntimeError, match="begin"):
        VirtualOperator().step(0.0, cell.scene(), state, Mode.IDLE, pack(state.tcp_T, state.hand))
