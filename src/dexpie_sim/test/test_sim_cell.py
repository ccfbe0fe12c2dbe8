"""The cell: kinematics, servo, hand, protective stop, determinism."""

import numpy as np
import pytest

from dexpie_core import se3, ur5
from dexpie_sim.cell import Cell
from dexpie_sim.config import CellConfig, preset
from dexpie_sim.model import hand as hand_model
from dexpie_sim.scene import TCP_OFFSET

PERIOD_S = 0.04


@pytest.fixture(scope="module")
def cell() -> Cell:
    return Cell()


@pytest.fixture(scope="module")
def ideal() -> Cell:
    return Cell(preset("ideal"))


def run_line(
    cell: Cell, offset_m: tuple[float, float, float], duration_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Command a straight line at constant speed; commanded and measured positions at the end of each tick."""
    start = cell.observe().tcp_T
    steps = round(duration_s / PERIOD_S)
    commanded, measured = [], []
    for k in range(1, steps + 1):
        T = start.copy()
        T[:3, 3] += np.array(offset_m) * k / steps
        cell.set_arm_target(T)
        cell.advance(PERIOD_S)
        commanded.append(T[:3, 3].copy())
        measured.append(cell.observe().tcp_T[:3, 3])
    return np.array(commanded), np.array(measured)


def test_forward_kinematics_agree_with_core(cell: Cell) -> None:
    import mujoco

    rng = np.random.default_rng(0)
    data = mujoco.MjData(cell.model)
    for _ in range(40):
        q = rng.uniform(-3.1, 3.1, 6)
        data.qpos[:6] = q
        mujoco.mj_kinematics(cell.model, data)
        site = data.site("tcp")
        simulated = se3.make(site.xmat.reshape(3, 3), site.xpos)
        np.testing.assert_allclose(simulated, ur5.forward(q, TCP_OFFSET), atol=1e-9)


def test_followers_move_with_their_driver(cell: Cell) -> None:
    cell.reset(seed=0)
    cell.set_hand_target([0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    cell.advance(1.2)
    q = {name: float(cell.data.qpos[cell.model.joint(name).qposadr[0]]) for name in hand_model.DRIVE_JOINTS}
    assert q["index_proximal"] == pytest.approx(0.81, abs=0.01)  # half of 1.62
    for joint, channel, ratio in hand_model.FOLLOWERS:
        angle = float(cell.data.qpos[cell.model.joint(joint).qposadr[0]])
        assert angle == pytest.approx(ratio * q[hand_model.DRIVE_JOINTS[channel]], abs=0.02)
    np.testing.assert_allclose(cell.observe().hand, 0.5, atol=0.02)


def test_hand_waits_for_its_latency_and_keeps_its_speed(cell: Cell) -> None:
    cell.reset(seed=0)
    cell.set_hand_target(np.zeros(6))
    cell.advance(0.06)
    assert np.all(cell.observe().hand > 0.98)  # 66 ms have not passed
    cell.advance(0.16)
    # 0.22 - 0.066 s at 3.3 travels a second is half a travel.
    assert 0.35 < cell.observe().hand[3] < 0.7


def test_arm_follows_a_line_with_the_stated_lag(cell: Cell) -> None:
    cell.reset(seed=1)
    commanded, measured = run_line(cell, (0.0, 0.2, 0.0), 1.0)
    behind_m = commanded[-1, 1] - measured[-1, 1]
    assert behind_m == pytest.approx(0.2 * cell.config.servo_lag_s, abs=0.003)
    np.testing.assert_allclose(measured[:, [0, 2]], commanded[:, [0, 2]], atol=0.001)
    cell.advance(0.6)
    np.testing.assert_allclose(cell.observe().tcp_T[:3, 3], commanded[-1], atol=0.0005)


def test_ideal_arm_follows_a_line_within_a_millimetre(ideal: Cell) -> None:
    ideal.reset(seed=1)
    commanded, measured = run_line(ideal, (0.1, 0.2, -0.05), 1.0)
    assert np.max(np.linalg.norm(commanded - measured, axis=1)[5:]) < 0.001


def test_rotation_targets_are_reached(ideal: Cell) -> None:
    ideal.reset(seed=2)
    start = ideal.observe().tcp_T
    goal = start @ se3.make(se3.rotation_from_rotvec([0.1, -0.2, 0.3]), np.zeros(3))
    for k in range(1, 26):
        ideal.set_arm_target(se3.interpolate(start, goal, k / 25))
        ideal.advance(PERIOD_S)
    ideal.advance(0.4)
    assert se3.rotation_angle(ideal.observe().tcp_T[:3, :3], goal[:3, :3]) < 0.002


def test_reset_is_a_function_of_stage_and_seed(cell: Cell) -> None:
    for stage in ("initial", "grasped"):
        cell.reset(stage, 5)
        first = cell.qpos
        cell.set_hand_target(np.zeros(6))
        cell.advance(0.2)
        cell.reset(stage, 6)
        assert not np.array_equal(cell.qpos, first)
        cell.reset(stage, 5)
        np.testing.assert_array_equal(cell.qpos, first)
        assert cell.observe().time_s == 0.0


def test_restored_state_evolves_identically(cell: Cell) -> None:
    cell.reset("grasped", 3)
    saved = cell.save()

    def play() -> np.ndarray:
        T = cell.observe().tcp_T
        for k in range(20):
            T[1, 3] += 0.01
            cell.set_arm_target(T)
            cell.set_hand_target(np.full(6, 0.3 + 0.02 * k))
            cell.advance(PERIOD_S)
        return np.concatenate([cell.qpos, cell.data.qvel])

    first = play()
    cell.restore(saved)
    np.testing.assert_array_equal(play(), first)


def test_pressing_on_the_table_stops_the_arm_until_recovery(cell: Cell) -> None:
    cell.reset(seed=0)
    T = cell.observe().tcp_T
    for _ in range(60):
        T[2, 3] -= 0.01
        cell.set_arm_target(T)
        cell.advance(PERIOD_S)
    assert cell.protective_stop
    assert cell.scene().failure
    assert cell.scene().reason == "protective stop"
    height = cell.observe().tcp_T[2, 3]
    T[2, 3] += 0.3
    cell.set_arm_target(T)
    cell.advance(0.4)
    assert abs(cell.observe().tcp_T[2, 3] - height) < 0.01  # targets are ignored
    cell.recover()
    assert not cell.protective_stop


def test_out_of_reach_targets_hold_the_arm_and_are_counted(cell: Cell) -> None:
    cell.reset(seed=0)
    far = cell.observe().tcp_T.copy()
    far[0, 3] = 3.0
    cell.set_arm_target(far)
    cell.advance(0.2)
    assert cell.ik_failures > 0
    assert np.all(np.isfinite(cell.qpos))


def test_half_periods_add_up(cell: Cell) -> None:
    cell.reset(seed=0)
    for _ in range(100):
        cell.advance(0.013)
    assert cell.observe().time_s == pytest.approx(1.3, abs=0.02)


def test_noise_repeats_and_vanishes_in_the_ideal_cell(cell: Cell, ideal: Cell) -> None:
    cell.reset(seed=9)
    np.testing.assert_array_equal(cell.observe().hand, cell.observe().hand)
    assert not np.array_equal(cell.observe().arm_q, cell.data.qpos[:6])
    ideal.reset(seed=9)
    np.testing.assert_array_equal(ideal.observe().arm_q, ideal.data.qpos[:6])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda c: c.reset("lid_open", 0), "initial, grasped"),
        (lambda c: c.set_arm_target(np.full((4, 4), np.nan)), "finite"),
        (lambda c: c.set_arm_target(np.zeros(7)), "4, 4"),
        (lambda c: c.set_hand_target([0.5] * 5), "six"),
        (lambda c: c.set_hand_target([np.nan] * 6), "finite"),
    ],
)
def test_wrong_use_is_refused_with_the_reason(cell: Cell, call, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call(cell)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="bottle"):
        Cell(CellConfig(task="cup"))
    with pytest.raises(ValueError, match="preset"):
        CellConfig(preset="perfect")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="multiple"):
        CellConfig(servo_period_s=0.03, timestep_s=0.004)
    with pytest.raises(ValueError, match="servo_lag_s"):
        CellConfig(servo_lag_s=0.5)
