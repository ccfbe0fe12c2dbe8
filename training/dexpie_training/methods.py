"""What tells the methods apart: the rows that they learn from, and the condition that the actor is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from dexpie_core.errors import UsageError
from dexpie_core.modes import Mode
from dexpie_training.config import ConditionKind, MethodName
from dexpie_training.dataset import Dataset
from dexpie_training.returns import Bools, Ints

CONDITION_OF: Final[dict[MethodName, ConditionKind]] = {
    "bc": "none",
    "hg-dagger": "none",
    "recap": "binary",
    "dexpie": "continuous",
}


@dataclass(frozen=True)
class RowRule:
    """Rows that a method learns from, and what it is called where there are none."""

    episodes: Callable[[str, str], bool]  # kind, outcome -> learnt from?
    wanted: str

    def rows(self, dataset: Dataset) -> Ints:
        """Rows of the wanted episodes, from the first action on that somebody decided."""
        wanted = np.array([self.episodes(e["kind"], e["outcome"]) for e in dataset.episodes], dtype=bool)
        rows = np.flatnonzero(wanted[dataset.episode] & begun(dataset))
        if not len(rows):
            raise UsageError(f"{dataset.path}: no {self.wanted} in it, there is nothing to learn")
        return rows


def _is_demonstration(kind: str, outcome: str) -> bool:
    return kind == "demonstration" and outcome == "success"


def _has_succeeded(kind: str, outcome: str) -> bool:
    return outcome == "success"


def _is_known(kind: str, outcome: str) -> bool:
    """A failed demonstration is left out: its human steps would all be called optimal."""
    return outcome == "success" or (kind == "rollout" and outcome == "failure")


DRIVEN: Final = (Mode.AUTONOMOUS, Mode.ALIGNING, Mode.HUMAN)

ROWS_OF: Final[dict[MethodName, RowRule]] = {
    "bc": RowRule(_is_demonstration, "successful demonstrations"),
    "hg-dagger": RowRule(_has_succeeded, "successful episodes"),
    "recap": RowRule(_is_known, "demonstrations or rollouts with an outcome"),
    "dexpie": RowRule(_is_known, "demonstrations or rollouts with an outcome"),
}


def begun(dataset: Dataset) -> Bools:
    """Rows (N,) from the first action of an episode on: before it the arm holds, and nobody decides."""
    acts = dataset.intervention | np.isin(dataset.mode, DRIVEN)
    seen = np.cumsum(acts)
    before = np.concatenate([[0], seen])[dataset.first_rows]  # such rows in earlier episodes
    started: Bools = seen > before[dataset.episode]
    return started
