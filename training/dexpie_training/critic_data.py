"""What the critic learns from: one vector a row, its return, and who must not see it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.config import EncoderConfig
from dexpie_training.critic_config import CriticConfig
from dexpie_training.dataset import Dataset
from dexpie_training.models.encoders import StateView
from dexpie_training.models.observation import proprioception
from dexpie_training.observed import ObservedRows
from dexpie_training.returns import Bools, EpisodeLayout, Floats, Ints, returns_to_go


def episode_layout(dataset: Dataset) -> EpisodeLayout:
    """Lengths and outcomes of a dataset's episodes."""
    return EpisodeLayout(dataset.lengths, np.array([e["outcome"] == "success" for e in dataset.episodes]))


class RowInputs:
    """Inputs of the critic by row: cached features and proprioception, or the simulated state seen.

    No encoder runs here, so an epoch costs the critic alone.
    """

    def __init__(self, dataset: Dataset, config: CriticConfig, views: int = 0) -> None:
        encoder = EncoderConfig(
            kind=config.encoder, proprioception=config.proprioception, weights_sha256=config.encoder_sha256
        )
        self._config, self._observed = config, ObservedRows.open(dataset, encoder, views)
        self._view: StateView | None = None
        if config.encoder == "state":
            if tuple(dataset.meta["state_names"]) != config.state_names:
                raise UsageError(f"{dataset.path}: its simulated state is not the one that the critic knows")
            self._view = StateView(encoder, config.state_names)
        self.dim = self.rows(np.zeros(1, dtype=np.int64)).shape[1]

    def rows(self, rows: Ints, draw: np.random.Generator | None = None) -> Tensor:
        """Inputs (B, dim), float32, of rows (B,); draw: as of ObservedRows."""
        batch = self._observed(rows, draw=draw)
        if self._view is not None:
            return self._view(batch)
        assert batch.features is not None
        return torch.cat([batch.features, *proprioception(batch, self._config.proprioception)], dim=1)


def assign_folds(success: Bools, folds: int, seed: int) -> Ints:
    """Fold 0..folds-1 of every episode (E,): successes and failures each dealt out evenly."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(success))
    dealt = np.concatenate([order[success[order]], order[~success[order]]])
    fold = np.empty(len(success), dtype=np.int64)
    fold[dealt] = np.arange(len(success)) % folds
    return fold


def unseen_by(success: Bools, crossfit: int, held_out: float, seed: int) -> Ints:
    """The critic that must not learn from an episode, (E,); -1: each may.

    With `crossfit` K each of K critics leaves out its fold. Without, the one critic leaves out a share of
    `held_out` of the episodes, at least one where there are two.
    """
    count = len(success)
    if crossfit:
        if crossfit > count:
            raise DexpieError(f"--crossfit {crossfit} needs as many episodes, there are {count}")
        return assign_folds(success, crossfit, seed)
    wanted = 0 if held_out <= 0.0 or count < 2 else max(1, round(held_out * count))
    if not wanted:
        return np.full(count, -1)
    # Of about 1 / held_out folds the first: it holds its share of the failures.
    return np.where(assign_folds(success, max(2, round(count / wanted)), seed) == 0, 0, -1)


@dataclass(frozen=True, eq=False)
class CriticData:
    """Rows of a dataset as the critic learns them."""

    layout: EpisodeLayout
    inputs: RowInputs
    returns: Floats  # (N,) normalised
    centres: Floats  # (N,) of the soft targets
    unseen_by: Ints  # (N,) member that must not learn from the row, or -1
    train_rows: Ints  # rows that some member learns from
    held_out_rows: Ints  # rows that some member must not learn from

    @classmethod
    def prepare(cls, dataset: Dataset, config: CriticConfig, unseen: Ints, views: int = 0) -> Self:
        """Targets by config.returns, whose length is filled in; unseen (E,) as of `unseen_by`.

        views: augmented views of cached features that training draws from.
        """
        layout = episode_layout(dataset)
        target = returns_to_go(layout, config.returns)
        by_row = unseen[dataset.episode]
        may_learn = by_row < 0 if config.members == 1 else np.ones(layout.rows, dtype=bool)
        return cls(
            layout=layout,
            inputs=RowInputs(dataset, config, views),
            returns=target,
            centres=config.bins.centres(target),
            unseen_by=by_row,
            train_rows=np.flatnonzero(may_learn),
            held_out_rows=np.flatnonzero(by_row >= 0),
        )

    def batch(self, rows: Ints, draw: np.random.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs (B, dim), centres (B,) and the members that must not learn (B,) of rows (B,).

        draw: as of ObservedRows.
        """
        centres = torch.from_numpy(self.centres[rows].astype(np.float32))
        return self.inputs.rows(rows, draw), centres, torch.from_numpy(self.unseen_by[rows])
