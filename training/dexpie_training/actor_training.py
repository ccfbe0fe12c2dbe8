"""Training the actor: rows by method, configuration by preset, then the common loop."""

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from dexpie_core.errors import UsageError
from dexpie_training.batches import ActorData
from dexpie_training.checkpoint import RunFolder, code_version, find_checkpoint
from dexpie_training.config import ACTOR_PRESETS, ActorConfig, EncoderConfig, OptimiserConfig
from dexpie_training.dataset import Dataset, behaviour_cloning_rows, split_episodes
from dexpie_training.models.actor import Actor, parameter_count
from dexpie_training.serial import from_dict
from dexpie_training.train_actor import TrainActorOptions, TrainReport
from dexpie_training.training_loop import LoopConfig, TrainingLoop

SMALL_NETWORK: Final = 2_000_000  # parameters; on a CPU, conversions cost such a one more than bf16 saves
HELD_OUT_ROWS: Final = 1024  # enough for a steady estimate, little enough to be quick on a CPU


class ActorLearner:
    """An actor and the rows that it learns from."""

    def __init__(
        self, actor: Actor, train: ActorData, held_out: ActorData, description: dict[str, Any]
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
        self.module.normaliser.fit(*self._train.chunk_range())
        self.module.encoder.fit(self._train.observations(np.arange(len(self._train))))

    def batch(self, positions: NDArray[np.int64]) -> tuple[Any, ...]:
        return self._train.observations(positions), self._train.relative_chunks(positions)

    def held_out_loss(self, device: torch.device) -> float | None:
        """Denoising loss on a fixed choice of rows, steps and noise."""
        count = len(self._held_out)
        if not count:
            return None
        positions = np.linspace(0, count - 1, min(count, HELD_OUT_ROWS)).astype(np.int64)
        generator = torch.Generator().manual_seed(0)
        observations = self._held_out.observations(positions).to(device)
        chunks = self._held_out.relative_chunks(positions).to(device)
        return float(self.module(observations, chunks, generator).detach())

    def describe(self) -> dict[str, Any]:
        normaliser = self.module.normaliser
        statistics = {"centre": normaliser.centre.tolist(), "half_range": normaliser.half_range.tolist()}
        return {**self._description, "action_normalisation": statistics}


def train_actor(options: TrainActorOptions) -> TrainReport:
    """Train or continue a run, see TrainActorOptions."""
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    dataset = Dataset.open(options.dataset)
    if options.resume:
        run = RunFolder.open(options.out)
        config, optimiser = _stored_configuration(run, dataset, options)
    else:
        config, optimiser = configuration(options, dataset)
        run = RunFolder.create(options.out, _run_description(options, config, optimiser, dataset))
    try:
        return _train(options, dataset, config, optimiser, run)
    finally:
        run.discard_if_empty()


def _train(
    options: TrainActorOptions,
    dataset: Dataset,
    config: ActorConfig,
    optimiser: OptimiserConfig,
    run: RunFolder,
) -> TrainReport:
    rows = behaviour_cloning_rows(dataset)
    train_mask, held_out_mask = split_episodes(dataset, options.held_out, options.seed)
    train = ActorData.prepare(dataset, rows[train_mask[rows]], config.horizon)
    held_out = ActorData.prepare(dataset, rows[held_out_mask[rows]], config.horizon)
    if not len(train):
        raise UsageError(
            f"{options.dataset}: no successful demonstrations in it, {options.method} has nothing to learn"
        )
    torch.manual_seed(options.seed)
    learner = ActorLearner(Actor(config), train, held_out, _description(options, config, dataset))
    learner.fit_statistics()
    loop_config = _loop_config(options, optimiser, len(train), parameter_count(learner.module))
    loop = TrainingLoop(learner, loop_config, run)
    if options.resume:
        loop.resume(find_checkpoint(options.out))
    checkpoint = loop.train()
    meta = find_checkpoint(options.out).meta if checkpoint is None else checkpoint.meta
    policy_id = "" if checkpoint is None else checkpoint.policy_id
    return TrainReport(
        options.out, policy_id, int(meta["step"]), float(meta["elapsed_s"]) / 60.0, meta["held_out_loss"]
    )


def configuration(options: TrainActorOptions, dataset: Dataset) -> tuple[ActorConfig, OptimiserConfig]:
    """Configuration of a new run: preset, then what the options override."""
    if not dataset.meta["state_names"]:
        raise UsageError(f"{options.dataset}: has no simulated state, --encoder state cannot be used")
    preset = ACTOR_PRESETS[options.preset]
    config = ActorConfig(
        unet=preset.unet,
        diffusion=preset.diffusion,
        action_range=preset.action_range,
        encoder=EncoderConfig(kind=options.encoder),
        state_names=tuple(dataset.meta["state_names"]),
    )
    optimiser = preset.optimiser
    if options.batch_size is not None:
        optimiser = replace(optimiser, batch_size=options.batch_size)
    if options.learning_rate is not None:
        optimiser = replace(optimiser, learning_rate=options.learning_rate)
    return config, optimiser


def _stored_configuration(
    run: RunFolder, dataset: Dataset, options: TrainActorOptions
) -> tuple[ActorConfig, OptimiserConfig]:
    stored = run.description
    if stored["dataset"]["content_sha256"] != dataset.content_hash:
        raise UsageError(f"--dataset {options.dataset} is not the one that {options.out} was trained on")
    if stored["seed"] != options.seed or stored["held_out"] != options.held_out:
        raise UsageError(
            f"{options.out} was started with --seed {stored['seed']} --held-out {stored['held_out']}"
        )
    return from_dict(ActorConfig, stored["config"]), from_dict(OptimiserConfig, stored["optimiser"])


def _run_description(
    options: TrainActorOptions, config: ActorConfig, optimiser: OptimiserConfig, dataset: Dataset
) -> dict[str, Any]:
    return {
        **_description(options, config, dataset),
        "optimiser": asdict(optimiser),
        "preset": options.preset,
        "seed": options.seed,
        "held_out": options.held_out,
    }


def _description(options: TrainActorOptions, config: ActorConfig, dataset: Dataset) -> dict[str, Any]:
    meta = dataset.meta
    return {
        "kind": "actor",
        "method": options.method,
        "config": asdict(config),
        "dataset": {
            "path": str(Path(options.dataset).resolve()),
            "content_sha256": dataset.content_hash,
            "task": meta["task"],
            "rate_hz": meta["rate_hz"],
            "cameras": meta["cameras"],
            "episodes": len(dataset.episodes),
            "rows": len(dataset),
            "action_offset_rows": meta["alignment"]["action_offset_rows"],
        },
        "code_version": code_version(),
    }


def _loop_config(
    options: TrainActorOptions, optimiser: OptimiserConfig, rows: int, parameters: int
) -> LoopConfig:
    per_epoch = max(1, round(rows / optimiser.batch_size))
    steps = options.steps or (options.epochs or optimiser.epochs) * per_epoch
    return LoopConfig(
        optimiser=optimiser,
        steps=steps,
        max_minutes=options.max_minutes,
        precision=_precision(options.precision, parameters),
        seed=options.seed,
    )


def _precision(wanted: str, parameters: int) -> str:
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    capability = torch.backends.cpu.get_cpu_capability()
    has_bf16 = capability.startswith("AVX512") and _cpu_flag("avx512_bf16")
    return "bf16" if has_bf16 and parameters > SMALL_NETWORK else "fp32"


def _cpu_flag(flag: str) -> bool:
    try:
        return f" {flag} " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
