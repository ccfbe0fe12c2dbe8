"""Policies that go wrong in a known way: a demonstration's commands, replayed, until they are spoilt."""

from dataclasses import dataclass, field

import numpy as np

from dexpie_core.observation import Observation
from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, run_episode

HORIZON = 24


@dataclass
class Replay:
    """Replays `commands` (n, 15); after a pause it goes on where the robot is nearest to them."""

    commands: np.ndarray
    policy_id: str = "replay"
    _shift: int = field(default=0, init=False)
    _last: int = field(default=0, init=False)

    def infer(self, observation: Observation, prefix: np.ndarray) -> np.ndarray:
        """Chunk (24, 15); its first len(prefix) steps are the prefix."""
        tick = round(observation.stamp_s * 25.0)
        if tick - self._last > HORIZON:
            self._shift = self._nearest(observation) - tick
        self._last = tick
        steps = np.clip(tick + self._shift + np.arange(HORIZON), 0, len(self.commands) - 1)
        targets = self.commands[steps].copy()
        targets[: len(prefix)] = prefix
        return targets

    def _nearest(self, observation: Observation) -> int:
        to_tcp = np.linalg.norm(self.commands[:, :3] - observation.tcp_T[:3, 3], axis=1)
        to_hand = np.linalg.norm(self.commands[:, 9:] - observation.hand, axis=1)
        return int(np.argmin(to_tcp + 0.1 * to_hand))


def demonstrate(cell: LockstepCell, seed: int, stage: str = "initial") -> np.ndarray:
    """Commands (n, 15) of a demonstration that succeeds."""
    commands: list[np.ndarray] = []
    result = run_episode(
        cell, EpisodeRequest(stage=stage, seed=seed), lambda tick: commands.append(tick.output.command)
    )
    assert result.success, result
    return np.array(commands)


def stalled(commands: np.ndarray, k: int, ticks: int = 600) -> np.ndarray:
    """At step k it stops for so many ticks."""
    return np.insert(commands, k, np.repeat(commands[k : k + 1], ticks, axis=0), axis=0)


def offset(commands: np.ndarray, k: int, by_m: tuple[float, float] = (0.03, 0.03)) -> np.ndarray:
    """From step k on it is off by `by_m` in x and y, within half a second."""
    out = commands.copy()
    weight = np.clip((np.arange(len(out)) - k) / 12.0, 0.0, 1.0)
    out[:, :2] += weight[:, None] * np.array(by_m)
    return out


def lets_go(commands: np.ndarray, k: int) -> np.ndarray:
    """At step k the hand opens and stays open."""
    out = commands.copy()
    out[k:, 9:] = 1.0
    return out
