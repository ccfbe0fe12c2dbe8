"""The gymnasium environment: the same episodes as lockstep rollouts, spaces, verdicts, refusals."""

from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from dexpie_core.action_space import absolute_from_relative, pack
from dexpie_core.executor import TickOutput
from dexpie_core.observation import Observation
from dexpie_sim.config import preset
from dexpie_sim.environment import (
    CellEnvironment,
    EnvironmentConfig,
    environment_id,
    prefix_of,
    register_environments,
    to_observation,
)
from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, LockstepConfig, run_episode, with_inference

START = pack(np.eye(4), np.ones(6))


class Wander:
    """Answers with chunks that depend on every bit of what it sees, relative or absolute."""

    policy_id = "wander"

    def __init__(self, relative: bool) -> None:
        self.relative = relative

    def chunk(self, seen: Observation) -> np.ndarray:
        """Relative targets (24, 15): a slow drift, its direction from the observation's last bits."""
        bits = [*seen.arm_q, *seen.tcp_T.ravel(), *seen.hand, *(seen.scene if seen.scene is not None else ())]
        pictures = sum(int(image.sum()) for image in seen.images.values())
        rng = np.random.default_rng([*np.array(bits).view(np.uint64), pictures, round(seen.stamp_s / 0.04)])
        chunk = np.tile(START, (24, 1))
        chunk[:, :3] = np.cumsum(rng.uniform(-1.0, 1.0, 3) * 0.003 * np.ones((24, 1)), axis=0)
        chunk[:, 9:] = rng.uniform(-0.2, 1.2, 6)
        return chunk

    def infer(self, seen: Observation, prefix: np.ndarray) -> np.ndarray:
        targets = absolute_from_relative(seen.tcp_T, self.chunk(seen))
        targets[:, 9:] = np.clip(targets[:, 9:], 0.0, 1.0)
        targets[: len(prefix)] = prefix
        return targets


def rollout(env: CellEnvironment, policy: Wander, seed: int, **options: str) -> tuple[dict, float]:
    """One episode; its last info and the sum of its rewards."""
    observation, info = env.reset(seed=seed, options=options or None)
    total, ended = 0.0, False
    while not ended:
        seen = to_observation(observation)
        action = policy.chunk(seen) if policy.relative else policy.infer(seen, prefix_of(observation))
        assert observation in env.observation_space
        observation, reward, terminated, truncated, info = env.step(action)
        total, ended = total + reward, terminated or truncated
    assert (terminated, truncated) == (info["reason"] != "time-out", info["reason"] == "time-out")
    return info, total


@pytest.mark.parametrize(
    ("frame", "inference", "latency_ticks", "images"),
    [
        ("base", "asynchronous", 3, True),
        ("tcp", "asynchronous", 0, False),
        ("tcp", "asynchronous", 7, False),
        ("tcp", "holding", 5, False),
    ],
)
def test_chunks_through_the_environment_are_a_lockstep_rollout(
    frame: str, inference: str, latency_ticks: int, images: bool
) -> None:
    policy, commands = Wander(relative=frame == "tcp"), {"env": [], "lockstep": []}
    settings = {"frame": frame, "inference": inference, "latency_ticks": latency_ticks, "images": images}
    env = CellEnvironment(
        action="chunk", image_size=24, max_steps=90, on_tick=_into(commands["env"]), **settings
    )
    info, total = rollout(env, policy, seed=3)
    env.close()
    parts = LockstepConfig(cell=preset("default", task="bottle"), image_width=24, image_height=24)
    cell = LockstepCell(with_inference(parts, latency_ticks, inference == "holding"))
    request = EpisodeRequest("rollout", seed=3, policy=policy, policy_images=images, max_steps=90)
    result = run_episode(cell, request, lambda tick: commands["lockstep"].append(tick.output.command))
    cell.close()
    np.testing.assert_array_equal(commands["env"], commands["lockstep"])
    assert (info["ticks"], info["outcome"], info["reason"]) == (result.steps, result.outcome, result.reason)
    assert info["counters"] == result.counters
    assert info["counters"]["requests"] >= 3
    assert (info["counters"]["late_chunks"] > 0) == (inference == "asynchronous" and latency_ticks > 4)
    assert total == 0.0


def _into(commands: list[np.ndarray]):
    return lambda output: commands.append(output.command)


@pytest.fixture(scope="module")
def env() -> Iterator[CellEnvironment]:
    env = CellEnvironment(reward="time")
    yield env
    env.close()


@pytest.fixture(scope="module")
def demonstration() -> list[np.ndarray]:
    """Commands of the virtual operator on the bottle, seed 6."""
    commands: list[np.ndarray] = []
    cell = LockstepCell()
    assert run_episode(cell, EpisodeRequest(seed=6), lambda t: commands.append(t.output.command)).success
    return commands


def test_steps_that_replay_a_demonstration_do_the_task(
    env: CellEnvironment, demonstration: list[np.ndarray]
) -> None:
    env.reset(seed=6)
    total = 0.0
    for command in [*demonstration, *[demonstration[-1]] * 50]:
        _, reward, terminated, truncated, info = env.step(command)
        total += reward
        if terminated or truncated:
            break
    assert terminated and not truncated
    assert info["outcome"] == "success"
    # A step costs 1, whatever it was; success costs nothing more (learning.md 2).
    assert total == -info["ticks"]
    with pytest.raises(ResetNeeded):
        env.step(demonstration[-1])


def test_sparse_reward_is_one_at_success(demonstration: list[np.ndarray]) -> None:
    env = CellEnvironment(action="chunk", frame="base", latency_ticks=0)
    later = np.array([*demonstration, *[demonstration[-1]] * 100])

    class Replay(Wander):
        def infer(self, seen: Observation, prefix: np.ndarray) -> np.ndarray:
            tick = round(seen.stamp_s / 0.04)
            return np.concatenate([prefix, later[tick + len(prefix) : tick + 24]])

    info, total = rollout(env, Replay(relative=False), seed=6)
    env.close()
    assert (info["outcome"], total) == ("success", 1.0)


def test_failure_costs_the_longest_episode_and_terminates(env: CellEnvironment) -> None:
    observation, _ = env.reset(seed=1)
    down = pack(to_observation(observation).tcp_T, observation["hand"])
    down[2] = 0.0
    total, terminated = 0.0, False
    while not terminated:
        _, reward, terminated, truncated, info = env.step(down)
        assert not truncated
        total += reward
    assert info["outcome"] == "failure" and "stop" in info["reason"]
    assert total == -(info["ticks"] + 400)
    assert info["counters"]["clamped_commands"] > 0


def test_an_action_that_is_none_is_refused_counted_and_held(env: CellEnvironment) -> None:
    env.reset(seed=1)
    for bad in (np.full(15, np.nan), np.zeros(15)):
        _, _, terminated, _, info = env.step(bad)
        assert not terminated
    assert info["counters"]["refused_commands"] == 2
    with pytest.raises(ValueError, match=r"shape \(14,\), expected \(15,\)"):
        env.step(np.zeros(14))
    assert env.step(np.zeros(15))[4]["ticks"] == 3


def test_an_unusable_chunk_is_refused_and_asked_for_again() -> None:
    env = CellEnvironment(action="chunk")
    env.reset(seed=1)
    info = env.step(np.zeros((24, 15)))[4]
    env.close()
    assert (info["counters"]["refused_chunks"], info["ticks"], info["outcome"]) == (1, 75, "")


def test_reset_places_the_scene_of_the_seed_stage_and_range(env: CellEnvironment) -> None:
    seen, info = env.reset(seed=5)
    cell = LockstepCell().cell
    for stage, positions in (("grasped", "train"), ("initial", "held_out"), ("initial", "train")):
        cell.config = preset("default", task="bottle", positions=positions)
        cell.reset(stage, 5)
        placed, info = env.reset(seed=5, options={"stage": stage, "positions": positions})
        np.testing.assert_array_equal(placed["objects"], cell.scene().values)
        assert info["start_stage"] == stage
    np.testing.assert_array_equal(placed["objects"], seen["objects"])
    assert info["names"] == cell.scene().names == env.object_names
    drawn = [env.reset()[1]["seed"] for _ in range(3)]
    assert len(set(drawn)) == 3
    env.reset(seed=5)
    assert [env.reset()[1]["seed"] for _ in range(3)] == drawn


def test_wrong_settings_and_options_are_refused_before_anything_changes(env: CellEnvironment) -> None:
    for settings in (
        {"task": "juggle"},
        {"action": "jump"},
        {"stage": "opened"},
        {"cell": {"gravity": 0.0}},
        {"max_steps": 0},
        {"colour": "red"},
        {"render_mode": "human"},
    ):
        with pytest.raises(ValueError, match=next(iter(settings))):
            CellEnvironment(**settings)
    env.reset(seed=2)
    for options in ({"stage": "opened"}, {"positions": "moon"}, {"speed": 2}):
        with pytest.raises(ValueError, match=next(iter(options))):
            env.reset(options=options)
    assert env.step(START)[4]["seed"] == 2


def test_pictures_are_those_of_the_cell_and_render_is_the_front_view() -> None:
    env = CellEnvironment(images=True, objects=False, image_size=32, render_mode="rgb_array")
    observation, _ = env.reset(seed=4)
    picture = env.render()
    env.close()
    assert "objects" not in observation
    assert observation["wrist"].shape == (32, 32, 3) and observation["front"].std() > 5.0
    np.testing.assert_array_equal(picture, observation["front"])


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("bottle", {"images": True, "image_size": 16}),
        ("drawer", {"action": "chunk"}),
        ("lid", {"action": "chunk", "frame": "base", "inference": "holding"}),
    ],
)
@pytest.mark.filterwarnings("ignore:.*environment not having a spec.*")
@pytest.mark.filterwarnings("error")
def test_gymnasium_finds_no_fault(task: str, settings: dict) -> None:
    env = CellEnvironment(task=task, render_mode="rgb_array", **settings)
    check_env(env)
    env.close()


def test_gymnasium_makes_it_by_its_id() -> None:
    register_environments()
    register_environments()
    env = gymnasium.make(environment_id("drawer"), stage="opened")
    assert env.reset(seed=1)[1]["start_stage"] == "opened"
    assert env.unwrapped.config == EnvironmentConfig(task="drawer", stage="opened")
    env.close()


def test_on_tick_sees_every_command_of_steps() -> None:
    outputs: list[TickOutput] = []
    watched = CellEnvironment(on_tick=outputs.append)
    observation, _ = watched.reset(seed=1)
    target = pack(to_observation(observation).tcp_T, observation["hand"])
    target[0] += 1.0
    watched.step(target)
    watched.step(target)
    steps = np.diff([output.command[0] for output in outputs])
    np.testing.assert_allclose(steps, 0.02)  # 0.5 m/s at 25 Hz
