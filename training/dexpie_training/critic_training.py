"""Training the critic: configuration by preset, the common loop, and what it came to on unseen episodes."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexpie_core.errors import UsageError
from dexpie_training.checkpoint import Checkpoint
from dexpie_training.config import OptimiserConfig
from dexpie_training.critic_config import CRITIC_PRESETS, HIDDEN_DIMS, CriticConfig
from dexpie_training.critic_data import CriticData, episode_layout, unseen_by
from dexpie_training.critic_metrics import CriticMetrics, critic_metrics
from dexpie_training.dataset import Dataset
from dexpie_training.feature_files import FrozenFeatures
from dexpie_training.models.actor import parameter_count
from dexpie_training.models.critic import CriticEnsemble, cross_entropy, soft_targets
from dexpie_training.returns import Floats, Ints, with_length
from dexpie_training.serial import with_fields
from dexpie_training.train_critic import CriticReport, TrainCriticOptions
from dexpie_training.training_loop import run_loop
from dexpie_training.training_setup import Setup, augmented_views, loop_config, prepare_run, with_overrides

HELD_OUT_ROWS: Final = 4096  # enough for a steady estimate while training; the report takes all
STATISTICS_ROWS: Final = 100_000  # rows that the standardisation is taken from, at most
BLOCK_ROWS: Final = 8192


class CriticLearner:
    """Critics and the rows that they learn from."""

    def __init__(self, critics: CriticEnsemble, data: CriticData, description: dict[str, Any]) -> None:
        self._critics, self._data, self._description = critics, data, description
        self.train_count = len(data.train_rows)

    @property
    def module(self) -> CriticEnsemble:
        """The critics."""
        return self._critics

    def fit_statistics(self) -> None:
        """Each member's standardisation from the rows that it learns from."""
        data = self._data
        for k, member in enumerate(self._critics.critics):
            rows = data.train_rows[data.unseen_by[data.train_rows] != k]
            member.fit(data.inputs.rows(_spread(rows, STATISTICS_ROWS)))

    def batch(self, positions: NDArray[np.int64], draw: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        return self._data.batch(self._data.train_rows[positions], draw)

    def held_out_loss(self, device: torch.device) -> float | None:
        """Cross-entropy on held-out rows, each by the member that did not see it."""
        rows = _spread(self._data.held_out_rows, HELD_OUT_ROWS)
        if not len(rows):
            return None
        return float(predict(self.module, self._data, rows, device).cross_entropy.mean())

    def describe(self) -> dict[str, Any]:
        return self._description


@dataclass(frozen=True, eq=False)
class Prediction:
    """Of rows (n,): expected value, cross-entropy against the target, and the target's own entropy."""

    value: Floats
    cross_entropy: Floats
    floor: Floats


@torch.inference_mode()
def predict(
    critics: CriticEnsemble, data: CriticData, rows: Ints, device: torch.device | None = None
) -> Prediction:
    """Predictions of rows (n,), each by the member that did not see it, or the only one."""
    blocks: list[Tensor] = []
    for first in range(0, len(rows), BLOCK_ROWS):
        inputs, centres, unseen = (x.to(device) for x in data.batch(rows[first : first + BLOCK_ROWS]))
        logits = critics.logits(inputs, unseen.clamp(min=0))
        target = soft_targets(critics.bin_values, centres, critics.config.bins)
        entropy = -torch.xlogy(target, target).sum(dim=-1)
        blocks.append(torch.stack([critics.values(logits), cross_entropy(logits, target), entropy]).cpu())
    return Prediction(*torch.cat(blocks, dim=1).double().numpy())


def train_critic(options: TrainCriticOptions) -> CriticReport:
    """Train or continue a run, see TrainCriticOptions."""
    naming = {"method": "critic", "preset": options.preset}
    setup = prepare_run(
        options, "critic", CriticConfig, lambda dataset: configuration(options, dataset), naming
    )
    try:
        return _train(options, setup)
    finally:
        setup.run.discard_if_empty()


def _train(options: TrainCriticOptions, setup: Setup[CriticConfig]) -> CriticReport:
    dataset, config = setup.dataset, setup.config
    unseen = unseen_by(episode_layout(dataset).success, config.crossfit, options.held_out, options.seed)
    views = augmented_views(options, setup, None if config.encoder == "state" else config.encoder)
    data = CriticData.prepare(dataset, config, unseen, views)
    torch.manual_seed(options.seed)
    critics = CriticEnsemble(data.inputs.dim, config)
    learner = CriticLearner(critics, data, {**setup.description, "unseen_by": unseen.tolist()})
    learner.fit_statistics()
    length = loop_config(options, setup.optimiser, learner.train_count, parameter_count(critics))
    checkpoint = run_loop(learner, length, setup.run, options.resume)
    metrics = measure(load_critics(checkpoint, data), data, unseen >= 0)
    setup.run.record(metrics=metrics.to_json())
    minutes = float(checkpoint.meta["elapsed_s"]) / 60.0
    return CriticReport(options.out, config.members, checkpoint.step, minutes, metrics)


def configuration(options: TrainCriticOptions, dataset: Dataset) -> tuple[CriticConfig, OptimiserConfig]:
    """Configuration of a new run: preset, then what the options override and the dataset decides."""
    preset = CRITIC_PRESETS[options.preset]
    config = replace(preset.config, encoder=options.encoder, hidden_dims=HIDDEN_DIMS[options.size])
    returns = config.returns
    if options.failure_return is not None:
        returns = replace(returns, failure_return=options.failure_return)
    if options.max_length_steps is not None:
        returns = replace(returns, max_length_steps=options.max_length_steps)
    config = replace(config, returns=with_length(returns, episode_layout(dataset)))
    if options.crossfit is not None:
        config = replace(config, crossfit=options.crossfit)
    config = with_fields(config, options.set)
    return _with_encoder(config, dataset), with_overrides(preset.optimiser, options)


def _with_encoder(config: CriticConfig, dataset: Dataset) -> CriticConfig:
    if config.encoder != "state":
        return replace(config, encoder_sha256=FrozenFeatures.open(dataset, config.encoder).encoder_sha256)
    if not dataset.meta["state_names"]:
        raise UsageError(f"{dataset.path}: has no simulated state, --encoder state cannot be used")
    return replace(config, state_names=tuple(dataset.meta["state_names"]))


def load_critics(checkpoint: Checkpoint, data: CriticData) -> CriticEnsemble:
    """The critics of a checkpoint, for use: averaged weights, evaluation mode."""
    critics = CriticEnsemble(data.inputs.dim, checkpoint.config_of("critic", CriticConfig))
    try:
        critics.load_state_dict(checkpoint.tensors())
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(f"{checkpoint.folder}: weights do not fit the configuration ({reason})") from None
    return critics.eval().requires_grad_(False)


def measure(critics: CriticEnsemble, data: CriticData, held_out: NDArray[np.bool_]) -> CriticMetrics:
    """Metrics over the episodes held_out (E,)."""
    found = predict(critics, data, np.arange(data.layout.rows))
    return critic_metrics(found.value, data.returns, found.cross_entropy, found.floor, data.layout, held_out)


def _spread(rows: Ints, count: int) -> Ints:
    """At most `count` of rows, evenly spread."""
    if len(rows) <= count:
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]
