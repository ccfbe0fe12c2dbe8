"""The oracle of progress: is the attempt that somebody watches fine, hesitating, or about to fail? Pure.

It judges from what has been seen so far, knows nothing of the policy, and never looks ahead further than a
straight line from the hand's present motion.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

from dexpie_core.se3 import Array
from dexpie_sim.progress import bottle, drawer, lid
from dexpie_sim.progress.base import ProgressRules, Standing
from dexpie_sim.tasks.base import SceneReading

RULES: Final[dict[str, ProgressRules]] = {"bottle": bottle.RULES, "drawer": drawer.RULES, "lid": lid.RULES}


class Judgement(Enum):
    """What the attempt needs. LOST: it fails, whatever anybody does."""

    FINE = "fine"
    HESITATING = "hesitating"
    FAILING = "failing"
    LOST = "lost"


@dataclass(frozen=True)
class Assessment:
    """progress: the most that was reached so far, 0..1. step: of the task, now. reason: for people.

    stalled_s: time since progress was gained.
    """

    progress: float
    step: int
    judgement: Judgement
    reason: str = ""
    stalled_s: float = 0.0


@dataclass(frozen=True)
class OracleConfig:
    """When a person loses faith.

    patience_s: without a gain; people wait two to three seconds before they help. least_gain: of progress;
    a hand that trembles in place gains less. confirm_s: a danger has to last, one glance is no proof.
    ahead_s: how far the hand's motion is continued in thought; it takes that long to stop it.
    window_s: time over which its speed is seen.
    """

    patience_s: float = 2.5
    least_gain: float = 0.004
    confirm_s: float = 0.10
    ahead_s: float = 0.20
    window_s: float = 0.12


class ProgressOracle:
    """Watches one attempt; `begin` anew at its start and whenever the policy drives again."""

    def __init__(self, task: str, config: OracleConfig | None = None) -> None:
        if task not in RULES:
            raise ValueError(f"task {task!r} has no rules of progress; choose one of {', '.join(RULES)}")
        self._rules = RULES[task]
        self.config = config or OracleConfig()
        self.begin(0.0)

    def begin(self, now_s: float) -> None:
        """Nothing has been reached yet."""
        self._best, self._best_step = -1.0, 0
        self._gained_s = now_s
        self._danger, self._danger_s = "", now_s
        self._heights: deque[tuple[float, float]] = deque()

    def see(self, now_s: float, scene: SceneReading, tcp_T: Array, hand: Array) -> Assessment:
        """Judge the attempt by what is seen at `now_s`, which never decreases."""
        standing = self._rules.standing(scene, tcp_T, hand)
        self._gain(now_s, standing)
        danger = standing.danger or self._lost_step(standing) or self._collision(now_s, tcp_T)
        if not danger or not self._danger:
            self._danger_s = now_s
        self._danger = danger
        judgement, reason, stalled_s = Judgement.FINE, "", now_s - self._gained_s
        if standing.lost or scene.failure:
            judgement, reason = Judgement.LOST, danger or scene.reason
        elif danger and now_s - self._danger_s >= self.config.confirm_s - 1e-9:
            judgement, reason = Judgement.FAILING, danger
        elif stalled_s > self.config.patience_s:
            judgement = Judgement.HESITATING
            reason = f"no progress for {stalled_s:.1f} s: {self._rules.steps[standing.step]}"
        return Assessment(max(self._best, 0.0), standing.step, judgement, reason, stalled_s)

    def _gain(self, now_s: float, standing: Standing) -> None:
        progress = (standing.step + standing.part) / len(self._rules.steps)
        if progress > self._best + self.config.least_gain:
            self._best, self._gained_s = progress, now_s
        self._best_step = max(self._best_step, standing.step)

    def _lost_step(self, standing: Standing) -> str:
        if standing.step >= self._best_step:
            return ""
        return f"back to {self._rules.steps[standing.step]}: {self._rules.steps[self._best_step]} is undone"

    def _collision(self, now_s: float, tcp_T: Array) -> str:
        heights, config = self._heights, self.config
        heights.append((now_s, float(tcp_T[2, 3])))
        while len(heights) > 2 and heights[1][0] <= now_s - config.window_s:
            heights.popleft()
        (then_s, then_m), (_, height_m) = heights[0], heights[-1]
        sinking_m_s = (then_m - height_m) / max(now_s - then_s, 1e-9) if now_s > then_s else 0.0
        soon_m = height_m - max(sinking_m_s, 0.0) * config.ahead_s
        return "hand heads for the table" if soon_m < self._rules.lowest_tcp_m else ""


def patience_of(rng: np.random.Generator, mean_s: float, spread: float) -> float:
    """A person's patience (s): people differ by a factor of two."""
    return float(mean_s * np.clip(1.0 + spread * rng.standard_normal(), 0.6, 1.6))
