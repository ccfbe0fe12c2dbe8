"""What the training of actor and critic set up alike: run folder, configuration, length, precision."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar

import torch

from dexpie_core.errors import UsageError
from dexpie_training.checkpoint import RunFolder, code_version
from dexpie_training.config import OptimiserConfig
from dexpie_training.dataset import Dataset
from dexpie_training.devices import computes_in_bfloat16
from dexpie_training.feature_files import stored_views
from dexpie_training.serial import from_dict
from dexpie_training.tracking import check_trackers
from dexpie_training.training_loop import LoopConfig
from dexpie_training.training_options import TrainingOptions

SMALL_NETWORK: Final = 2_000_000  # parameters; on a CPU, conversions cost such a one more than bf16 saves
Kind = Literal["actor", "critic"]
C = TypeVar("C")


@dataclass(frozen=True)
class Setup(Generic[C]):
    """A run that is about to start or to go on."""

    run: RunFolder
    dataset: Dataset
    config: C
    optimiser: OptimiserConfig
    description: dict[str, Any]  # what run and checkpoints say of it


def prepare_run(
    options: TrainingOptions,
    kind: Kind,
    config_type: type[C],
    new: Callable[[Dataset], tuple[C, OptimiserConfig]],
    naming: dict[str, Any],
) -> Setup[C]:
    """Open the dataset and make or reopen the run; `new` gives the configuration of a new run.

    naming: fields of run and checkpoints that say how it was asked for, such as the method.
    """
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    check_trackers(options.trackers)
    dataset = Dataset.open(options.dataset)
    if options.resume:
        run = RunFolder.open(options.out)
        _check_same(run, dataset, options, kind)
        _check_named_alike(run, naming)
        config = from_dict(config_type, run.description["config"])
        optimiser = from_dict(OptimiserConfig, run.description["optimiser"])
    else:
        config, optimiser = new(dataset)
    description = {
        "kind": kind,
        **naming,
        "config": asdict(config),  # type: ignore[call-overload]
        "dataset": dataset_description(options.dataset, dataset),
        "code_version": code_version(),
    }
    if not options.resume:
        asked = {"seed": options.seed, "held_out": options.held_out}
        run = RunFolder.create(options.out, {**description, "optimiser": asdict(optimiser), **asked})
    return Setup(run, dataset, config, optimiser, description)


def _check_same(run: RunFolder, dataset: Dataset, options: TrainingOptions, kind: Kind) -> None:
    stored = run.description
    if stored.get("kind") != kind:
        raise UsageError(
            f"{options.out} is of `dexpie train {stored.get('kind')}`, not of `dexpie train {kind}`"
        )
    if stored["dataset"]["content_sha256"] != dataset.content_hash:
        raise UsageError(f"--dataset {options.dataset} is not the one that {options.out} was trained on")
    if stored["seed"] != options.seed or stored["held_out"] != options.held_out:
        raise UsageError(
            f"{options.out} was started with --seed {stored['seed']} --held-out {stored['held_out']}"
        )


def _check_named_alike(run: RunFolder, naming: dict[str, Any]) -> None:
    for name in ("method", "labels"):
        stored = run.description.get(name)
        if stored != naming.get(name):
            raise UsageError(f"{run.path} was started with --{name} {stored}, not {naming.get(name)}")


def augmented_views(options: TrainingOptions, setup: Setup[Any], encoder: str | None) -> int:
    """Augmented views of cached features that a run draws from; a resumed one keeps to what it began with.

    encoder: whose features are cached; None: nothing cached is looked at.
    """
    asked = options.views
    if options.resume:
        views = int(setup.run.description.get("views", 0))
        if asked is not None and asked != views:
            raise UsageError(f"{options.out} was started with --views {views}")
    else:
        stored = stored_views(setup.dataset.path, encoder) if encoder else 0
        views = stored if asked is None else asked
        if views and encoder is None:
            raise UsageError(f"--views {views}: no cached features are looked at; leave it out")
        if views > stored:
            command = f"dexpie features {options.dataset} --encoder {encoder} --views {views}"
            raise UsageError(f"--views {views}: there are {stored}; make them with `{command}`")
        setup.run.record(views=views)
    setup.description["views"] = views
    return views


def dataset_description(path: Path, dataset: Dataset) -> dict[str, Any]:
    """What a run says of its data."""
    meta = dataset.meta
    return {
        "path": str(Path(path).resolve()),
        "content_sha256": dataset.content_hash,
        "task": meta["task"],
        "rate_hz": meta["rate_hz"],
        "cameras": meta["cameras"],
        "image_rule": meta.get("image_rule"),
        "episodes": len(dataset.episodes),
        "rows": len(dataset),
        "action_offset_rows": meta["alignment"]["action_offset_rows"],
    }


def with_overrides(optimiser: OptimiserConfig, options: TrainingOptions) -> OptimiserConfig:
    """A preset's optimiser with what the options say instead."""
    if options.batch_size is not None:
        optimiser = replace(optimiser, batch_size=options.batch_size)
    if options.learning_rate is not None:
        optimiser = replace(optimiser, learning_rate=options.learning_rate)
    return optimiser


def loop_config(
    options: TrainingOptions, optimiser: OptimiserConfig, rows: int, parameters: int
) -> LoopConfig:
    """Length and precision of a training over `rows` rows of a network of so many parameters."""
    per_epoch = max(1, round(rows / optimiser.batch_size))
    steps = options.steps or (options.epochs or optimiser.epochs) * per_epoch
    return LoopConfig(
        optimiser=optimiser,
        steps=steps,
        max_minutes=options.max_minutes,
        precision=_precision(options.precision, parameters),
        seed=options.seed,
        trackers=options.trackers,
    )


def _precision(wanted: str, parameters: int) -> str:
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if computes_in_bfloat16(torch.device("cuda")) else "fp32"
    has_bf16 = computes_in_bfloat16(torch.device("cpu"))
    return "bf16" if has_bf16 and parameters > SMALL_NETWORK else "fp32"
