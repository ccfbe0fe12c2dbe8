"""An executor, a robot that lags and is pushed about, and policies, in lockstep."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dexpie_core import se3
from dexpie_core.action_space import POSE_DIM, absolute_from_relative, pack, relative_from_absolute
from dexpie_core.chunk_schedule import Chunk, PrefixRequest, ScheduleConfig
from dexpie_core.executor import Executor, ExecutorConfig
from dexpie_core.modes import ModeEvent

DT_S = 0.04
LAG_TICKS = 3
REST_TICKS = 12  # the trajectory begins after them: from rest a policy has nothing to continue
# (prefix (n, 15), observed TCP (4, 4), tick of the observation) -> targets (H, 15), absolute
Policy = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def trajectory(tick: int) -> np.ndarray:
    """A known smooth motion of arm and hand, at rest up to REST_TICKS; absolute action (15,)."""
    t = max(0, tick - REST_TICKS) * DT_S
    ease = 1.0 - np.exp(-t)
    position = [
        0.4 + 0.08 * ease * np.sin(t),
        0.1 * ease * np.sin(1.3 * t),
        0.3 + 0.05 * ease * np.sin(2 * t),
    ]
    rotation = se3.rotation_from_rotvec(
        0.4 * ease * np.array([np.sin(t), np.cos(1.7 * t) - 1.0, np.sin(0.6 * t)])
    )
    hand = 0.5 + 0.3 * ease * np.sin(t + np.arange(6.0))
    return pack(se3.make(rotation, position), hand)


def measured_T(tick: int) -> np.ndarray:
    """Where the TCP is measured: behind the trajectory, and off it by centimetres and degrees."""
    T = se3.matrix_from_pose9(trajectory(tick - LAG_TICKS)[:POSE_DIM])
    push = 0.02 * np.sin(np.array([1.1, 2.3, 3.1]) * tick)
    return T @ se3.make(se3.rotation_from_rotvec(5.0 * push[::-1]), push)


def oracle(prefix: np.ndarray, observed_T: np.ndarray, tick: int, horizon: int = 24) -> np.ndarray:
    """Repeats the trajectory, by way of a relative chunk in float32 as a network gives it."""
    targets = np.stack([trajectory(tick + k) for k in range(horizon)])
    relative = relative_from_absolute(observed_T, targets).astype(np.float32)
    relative[: len(prefix)] = relative_from_absolute(observed_T, prefix)
    return absolute_from_relative(observed_T, relative)


def continuing(prefix: np.ndarray, observed_T: np.ndarray, tick: int, horizon: int = 24) -> np.ndarray:
    """Knows no time: goes on from the end of its prefix, with the velocity that the prefix shows."""
    relative = relative_from_absolute(observed_T, prefix)
    return absolute_from_relative(observed_T, extrapolated(relative, horizon))


def extrapolated(relative: np.ndarray, horizon: int) -> np.ndarray:
    """A relative prefix (n, 15) carried on at its last velocity of position to (horizon, 15)."""
    rest = np.repeat(relative[-1:], horizon - len(relative), axis=0)
    if len(relative) > 1:
        steps = np.arange(1, len(rest) + 1)[:, None]
        rest[:, :3] += steps * (relative[-1, :3] - relative[-2, :3])
    return np.concatenate([relative, rest])


@dataclass(frozen=True)
class Executed:
    """What a tick commanded, what the policy wanted, and whether a chunk was missing."""

    tick: int
    command: np.ndarray
    wish: np.ndarray | None
    request: PrefixRequest | None
    starved: bool
    chunk_step: int


def drive(
    policy: Policy, delays: Sequence[int], ticks: int = 140, **schedule: object
) -> tuple[Executor, list[Executed]]:
    """Run AUTONOMOUS; delays in ticks, one a request, from 0 (there at once), the last one from then on."""
    core = Executor(ExecutorConfig(schedule=ScheduleConfig(**schedule)))  # type: ignore[arg-type]
    core.reset(trajectory(0))
    core.request_mode(ModeEvent.START, 0.0)
    return core, list(_ticks(core, policy, delays, ticks))


def _ticks(core: Executor, policy: Policy, delays: Sequence[int], ticks: int) -> Iterator[Executed]:
    arrivals: dict[int, Chunk] = {}
    for _ in range(ticks):
        tick = core.tick_count + 1
        if tick in arrivals:
            core.offer_chunk(arrivals.pop(tick))
        out = core.tick(tick * DT_S)
        if out.request is not None:
            r = out.request
            chunk = Chunk(r.epoch, r.sequence, r.tick, policy(r.prefix, measured_T(r.tick), r.tick))
            delay = delays[min(r.sequence, len(delays)) - 1]
            if delay:
                arrivals[tick + delay] = chunk
            else:
                core.offer_chunk(chunk)
        assert out.command is not None
        yield Executed(tick, out.command, out.policy_wish, out.request, out.starved, out.chunk_step)


def largest_step_m(log: Sequence[Executed]) -> float:
    """Largest step between what is wanted in a tick and what was commanded in the one before (m)."""
    steps = [
        float(np.linalg.norm(now.wish[:3] - before.command[:3]))
        for before, now in pairwise(log)
        if now.wish is not None
    ]
    return max(steps)
