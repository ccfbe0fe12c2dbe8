"""Training the actor: rows by method, configuration by preset, then the common loop."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from dexpie_core.errors import UsageError
from dexpie_training.actor_data import LabelledRows
from dexpie_training.actor_presets import actor_preset
from dexpie_training.config import ActorConfig, ConditionConfig, EncoderConfig, OptimiserConfig
from dexpie_training.dataset import Dataset, split_episodes
from dexpie_training.feature_files import FrozenFeatures
from dexpie_training.features import pretrained
from dexpie_training.labels import Labels
from dexpie_training.methods import CONDITION_OF, ROWS_OF
from dexpie_training.models.actor import Actor, parameter_count
from dexpie_training.models.picture_encoder import PictureEncoder
from dexpie_training.observed import ObservedRows
from dexpie_training.serial import with_fields
from dexpie_training.train_actor import TrainActorOptions, TrainReport
from dexpie_training.training_loop import run_loop
from dexpie_training.training_setup import Setup, augmented_views, loop_config, prepare_run, with_overrides

HELD_OUT_ROWS: Final = 1024  # enough for a steady estimate, little enough to be quick on a CPU


class ActorLearner:
    """An actor and the rows that it learns from."""

    def __init__(
        self, actor: Actor, train: LabelledRows, held_out: LabelledRows, description: dict[str, Any]
    ) -> None:
        self._actor = actor
        self.train_count = len(train)
        self._train, self._held_out = train, held_out
        self._description = description

    @property
    def module(self) -> Actor:
        """The actor."""
        return self._actor

    def fit_statistics(self) -> None:
        """Take the normalisation from the training rows."""
        self.module.normaliser.fit(*self._train.data.chunk_range())
        self.module.encoder.fit(self._train.observed(self._train.data.rows, pictures=False))

    def batch(self, positions: NDArray[np.int64], draw: np.random.Generator) -> tuple[Any, ...]:
        return self._train.batch(positions, draw)

    def held_out_loss(self, device: torch.device) -> float | None:
        """Denoising loss on a fixed choice of rows, steps and noise."""
        count = len(self._held_out)
        if not count:
            return None
        positions = np.linspace(0, count - 1, min(count, HELD_OUT_ROWS)).astype(np.int64)
        generator = torch.Generator().manual_seed(0)
        arguments = [part.to(device) for part in self._held_out.batch(positions)]
        return float(self.module(*arguments, generator).detach())

    def describe(self) -> dict[str, Any]:
        normaliser = self.module.normaliser
        statistics = {"centre": normaliser.centre.tolist(), "half_range": normaliser.half_range.tolist()}
        return {**self._description, "action_normalisation": statistics}


def train_actor(options: TrainActorOptions) -> TrainReport:
    """Train or continue a run, see TrainActorOptions."""
    naming = {name: getattr(options, name) for name in ("method", "preset", "size", "labels")}
    setup = prepare_run(
        options, "actor", ActorConfig, lambda dataset: configuration(options, dataset), naming
    )
    try:
        return _train(options, setup)
    finally:
        setup.run.discard_if_empty()


def _train(options: TrainActorOptions, setup: Setup[ActorConfig]) -> TrainReport:
    dataset, config = setup.dataset, setup.config
    rows = ROWS_OF[options.method].rows(dataset)
    labels = _labels(options, dataset, config.condition)
    cached = config.encoder.looks and config.encoder.frozen
    views = augmented_views(options, setup, config.encoder.kind if cached else None)
    observed = ObservedRows.open(dataset, config.encoder, views)
    train_mask, held_out_mask = split_episodes(dataset, options.held_out, options.seed)
    train, held_out = (
        LabelledRows.prepare(observed, rows[mask[rows]], config, labels)
        for mask in (train_mask, held_out_mask)
    )
    if not len(train):
        raise UsageError(
            f"{options.dataset}: its episodes are shorter than a window, there is nothing to learn"
        )
    if labels is not None:
        setup.description["labels_sha256"] = labels.meta["labels_sha256"]
    torch.manual_seed(options.seed)
    learner = ActorLearner(Actor(config), train, held_out, setup.description)
    if not options.resume:
        if config.encoder.looks:
            _load_pretrained(learner.module, options, dataset)
        learner.fit_statistics()
    length = loop_config(options, setup.optimiser, len(train), parameter_count(learner.module))
    checkpoint = run_loop(learner, length, setup.run, options.resume)
    minutes = float(checkpoint.meta["elapsed_s"]) / 60.0
    held_out_loss = checkpoint.meta["held_out_loss"]
    return TrainReport(options.out, checkpoint.policy_id, checkpoint.step, minutes, held_out_loss)


def _labels(options: TrainActorOptions, dataset: Dataset, condition: ConditionConfig) -> Labels | None:
    """The labels asked for, if any; refused where they are of the other form."""
    if options.labels is None:
        return None
    labels = Labels.open(dataset, options.labels)
    form = labels.meta["config"]["form"]
    if form != condition.kind:
        raise UsageError(
            f"--labels {options.labels}: are {form}, {options.method} needs {condition.kind} ones; "
            f"make them with `dexpie label --form {condition.kind}`"
        )
    return labels


def configuration(options: TrainActorOptions, dataset: Dataset) -> tuple[ActorConfig, OptimiserConfig]:
    """Configuration of a new run: preset and size, then what the options override."""
    preset = actor_preset(options.preset, options.size)
    condition = replace(preset.config.condition, kind=CONDITION_OF[options.method])
    if options.guidance is not None:
        condition = replace(condition, guidance=options.guidance)
    config = replace(
        preset.config,
        condition=condition,
        encoder=_encoder(options, dataset, preset.config.encoder),
        state_names=tuple(dataset.meta["state_names"]) if options.encoder == "state" else (),
    )
    return with_fields(config, options.set), with_overrides(preset.optimiser, options)


def _encoder(options: TrainActorOptions, dataset: Dataset, preset: EncoderConfig) -> EncoderConfig:
    """The encoder asked for, if the dataset has what it looks at."""
    kind = options.encoder
    if kind == "state":
        if not dataset.meta["state_names"]:
            raise UsageError(
                f"{options.dataset}: has no simulated state, --encoder state cannot be used; "
                "use r3m or resnet18"
            )
        return preset
    if not dataset.frames:
        raise UsageError(f"{options.dataset}: has no images, --encoder {kind} cannot be used")
    asked = "frozen" if preset.frozen and kind == "r3m" else "trained"
    frozen = (options.pictures or asked) == "frozen"
    digest = FrozenFeatures.open(dataset, kind).encoder_sha256 if frozen else ""
    return replace(
        preset,
        kind=kind,
        frozen=frozen,
        cameras=tuple(dataset.frames),
        image_size_px=int(dataset.meta["image_size_px"]),
        weights_sha256=digest,
    )


def _load_pretrained(actor: Actor, options: TrainActorOptions, dataset: Dataset) -> None:
    """Give the network behind the pictures the weights that it starts, or stays, with."""
    encoder = actor.config.encoder
    assert isinstance(actor.encoder, PictureEncoder) and encoder.kind != "state"
    if encoder.kind == "resnet18" and not encoder.frozen:
        return
    weights = options.weights
    if encoder.frozen:
        weights = weights or FrozenFeatures.open(dataset, encoder.kind).weights
    network = pretrained(encoder.kind, weights)
    if encoder.frozen and network.sha256 != encoder.weights_sha256:
        raise UsageError(
            f"--weights {weights}: not the network behind the features in {options.dataset}; "
            "give the file that `dexpie features` was given"
        )
    actor.encoder.pixels.load_state_dict(network.state_dict())
