"""Lockstep episodes: same seed same bytes, rollouts, records, wrong use."""

from pathlib import Path

import numpy as np
import pytest

from dexpie_bags import summarise
from dexpie_core.action_space import pack
from dexpie_core.errors import DexpieError
from dexpie_core.executor import Source
from dexpie_core.observation import Observation
from dexpie_sim.lockstep import (
    EpisodeRequest,
    LockstepCell,
    LockstepConfig,
    Tick,
    run_episode,
    with_inference,
)


class Upwards:
    """Raises the TCP by 2 mm a tick, from the end of the prefix."""

    policy_id = "upwards"

    def __init__(self) -> None:
        self.observations: list[Observation] = []

    def infer(self, observation: Observation, prefix: np.ndarray) -> np.ndarray:
        self.observations.append(observation)
        last = prefix[-1] if len(prefix) else pack(observation.tcp_T, observation.hand)
        targets = np.repeat(last[None], 24, axis=0)
        targets[: len(prefix)] = prefix
        targets[len(prefix) :, 2] += 0.002 * np.arange(1, 25 - len(prefix))
        return targets


@pytest.fixture(scope="module")
def lockstep() -> LockstepCell:
    return LockstepCell(LockstepConfig(image_width=64, image_height=48))


def test_same_seed_same_trajectory_and_same_bag(lockstep: LockstepCell, tmp_path: Path) -> None:
    payloads, trajectories = [], []
    fresh = LockstepCell(lockstep.config)
    for name, cell in (("a", lockstep), ("b", lockstep), ("c", fresh)):
        commands: list[np.ndarray] = []
        request = EpisodeRequest(seed=8, record_dir=tmp_path / name, max_steps=60)
        result = run_episode(cell, request, lambda tick, out=commands: out.append(tick.output.command))
        assert result.bag is not None
        payloads.append(next(result.bag.glob("*.mcap")).read_bytes())
        trajectories.append(np.array(commands))
    fresh.close()
    np.testing.assert_array_equal(trajectories[0], trajectories[1])
    assert payloads[0] == payloads[1] == payloads[2]


def test_bag_of_a_demonstration_holds_the_topics_at_their_rates(
    lockstep: LockstepCell, tmp_path: Path
) -> None:
    result = run_episode(lockstep, EpisodeRequest(seed=1, record_dir=tmp_path))
    assert result.bag == tmp_path / "bottle_demonstration_initial_000001"
    bag = summarise(result.bag)
    counts = {topic.name: topic.count for topic in bag.topics}
    ticks = result.steps + 1
    for name in (
        "/executor/action",
        "/camera/front/color/compressed",
        "/camera/wrist/color/compressed",
        "/sim/scene_state",
    ):
        assert counts[name] == ticks
    assert counts["/arm/joint_states"] == 2 * ticks - 1
    assert counts["/teleop/tracker_pose"] == ticks
    assert counts["/executor/mode"] == 2
    (episode,) = bag.episodes
    assert (episode.outcome, episode.kind, episode.seed) == ("success", "demonstration", 1)


def test_rollout_executes_the_policy_after_its_latency(lockstep: LockstepCell, tmp_path: Path) -> None:
    policy, ticks = Upwards(), []
    request = EpisodeRequest(
        kind="rollout",
        seed=1,
        policy=policy,
        record_dir=tmp_path,
        cameras=False,
        policy_images=True,
        max_steps=75,
    )
    result = run_episode(lockstep, request, ticks.append)
    assert (result.outcome, result.reason, result.steps) == ("failure", "time-out", 75)
    sources = [tick.output.source for tick in ticks]
    first = sources.index(Source.POLICY)
    assert 0 < first <= 5
    assert all(source is Source.POLICY for source in sources[first:])
    assert result.counters["late_chunks"] == 0
    assert result.counters["starved_ticks"] == 0
    assert ticks[-1].state.tcp_T[2, 3] > ticks[0].state.tcp_T[2, 3] + 0.1
    assert policy.observations[0].images["front"].shape == (48, 64, 3)
    assert policy.observations[0].scene is not None
    assert result.bag is not None
    counts = {topic.name: topic.count for topic in summarise(result.bag).topics}
    assert counts["/policy/request"] == len(policy.observations)
    assert "/camera/front/color/compressed" not in counts


def test_a_policy_that_replays_a_demonstration_does_the_task(lockstep: LockstepCell) -> None:
    commands: list[np.ndarray] = []
    assert run_episode(lockstep, EpisodeRequest(seed=6), lambda t: commands.append(t.output.command)).success
    commands += [commands[-1]] * 200

    class Replay(Upwards):
        def infer(self, observation: Observation, prefix: np.ndarray) -> np.ndarray:
            tick = round(observation.stamp_s / 0.04)
            targets = np.array(commands[tick : tick + 24])
            targets[: len(prefix)] = prefix
            return targets

    result = run_episode(lockstep, EpisodeRequest(kind="rollout", seed=6, policy=Replay()))
    assert result.success, result


def test_a_policy_slower_than_its_prefix_is_late_and_the_arm_waits(lockstep: LockstepCell) -> None:
    slow = LockstepCell(with_inference(lockstep.config, latency_ticks=9, synchronous=False))
    result = run_episode(slow, EpisodeRequest(kind="rollout", policy=Upwards(), max_steps=80))
    assert result.counters["late_chunks"] > 0
    assert result.counters["starved_ticks"] > 0


def test_synchronous_inference_holds_between_chunks(lockstep: LockstepCell) -> None:
    waiting = LockstepCell(with_inference(lockstep.config, latency_ticks=3, synchronous=True))
    sources: list[Source] = []
    run_episode(
        waiting,
        EpisodeRequest(kind="rollout", policy=Upwards(), max_steps=80),
        lambda t: sources.append(t.output.source),
    )
    first = sources.index(Source.POLICY)
    assert Source.HOLD in sources[first:]


def test_a_policy_that_fails_leaves_no_bag(lockstep: LockstepCell, tmp_path: Path) -> None:
    class Broken(Upwards):
        def infer(self, observation: Observation, prefix: np.ndarray) -> np.ndarray:
            raise RuntimeError("no weights")

    with pytest.raises(RuntimeError, match="no weights"):
        run_episode(
            lockstep, EpisodeRequest(kind="rollout", policy=Broken(), record_dir=tmp_path, cameras=False)
        )
    assert list(tmp_path.iterdir()) == []


def test_a_bag_is_not_overwritten(lockstep: LockstepCell, tmp_path: Path) -> None:
    request = EpisodeRequest(seed=1, record_dir=tmp_path, cameras=False, max_steps=5)
    run_episode(lockstep, request)
    with pytest.raises(DexpieError, match="exists"):
        run_episode(lockstep, request)


def test_ticks_carry_increasing_stamps(lockstep: LockstepCell) -> None:
    ticks: list[Tick] = []
    run_episode(lockstep, EpisodeRequest(seed=2, max_steps=10), ticks.append)
    assert np.all(np.diff([tick.stamp_ns for tick in ticks]) == 40_000_000)
    assert ticks[0].stamp_ns == (1_700_000_000 + 2000) * 10**9


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a policy"):
        EpisodeRequest(kind="rollout")
    with pytest.raises(ValueError, match="needs a policy"):
        EpisodeRequest(kind="demonstration", policy=Upwards())
    with pytest.raises(ValueError, match="latency_ticks"):
        LockstepConfig(latency_ticks=-1)
