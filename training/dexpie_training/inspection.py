"""`dexpie inspect` of a dataset or a run: a short text."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from dexpie_training import schema
from dexpie_training.checkpoint import META_FILE, RUN_FILE, Checkpoint, find_checkpoint, read_run
from dexpie_training.critic_config import CriticConfig
from dexpie_training.dataset import Dataset
from dexpie_training.feature_files import describe_features


def is_dataset(path: Path) -> bool:
    """Whether the folder looks like a dataset."""
    return (path / schema.META_FILE).is_file()


def is_run(path: Path) -> bool:
    """Whether the folder looks like a run or a checkpoint."""
    return (path / RUN_FILE).is_file() or (path / META_FILE).is_file()


def describe_dataset(path: Path) -> str:
    """Counts, rates, outcomes, alignment and sizes of a dataset."""
    dataset = Dataset.open(path)
    meta, lengths = dataset.meta, dataset.lengths
    rate = float(meta["rate_hz"])
    size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    cameras = ", ".join(f"{c} {meta['image_size_px']} px" for c in meta["cameras"]) or "none"
    state = (
        f"{len(meta['state_names'])} values ({_objects(meta['state_names'])})"
        if meta["state_names"]
        else "none"
    )
    lines = [
        ("dataset", f"{path}, task {meta['task']}, {_megabytes(size)}, content {dataset.content_hash[:12]}"),
        (
            "episodes",
            f"{len(lengths)}: {_counts(dataset.episodes, 'kind')}; {_counts(dataset.episodes, 'outcome')}",
        ),
        ("stages", _counts(dataset.episodes, "stage")),
        ("rows", f"{len(dataset)} at {rate:g} Hz, {len(dataset) / rate:.0f} s"),
        (
            "length",
            "{:.1f} to {:.1f} s, median {:.1f} s".format(*np.quantile(lengths / rate, [0, 1, 0.5])),
        ),
        ("human", _interventions(dataset)),
        ("cameras", cameras),
        ("state", state),
        ("features", describe_features(dataset)),
        ("left out", _left_out(meta)),
        (
            "alignment",
            f"worst {_worst(meta)}; actions shifted by {meta['alignment']['action_offset_rows']} rows",
        ),
        ("bags", f"{len(meta['bags'])}, {_megabytes(sum(b['bytes'] for b in meta['bags']))}"),
        ("damage", "; ".join(line for bag in meta["bags"] for line in bag.get("damage", ())) or "none"),
    ]
    return _table(lines)


def describe_run(path: Path) -> str:
    """Method, size, data, checkpoints and last losses of a run or checkpoint."""
    checkpoint = find_checkpoint(path)
    meta = checkpoint.meta
    data, held_out = meta["dataset"], meta.get("held_out_loss")
    size = sum(f.stat().st_size for f in checkpoint.folder.rglob("*") if f.is_file())
    network = _critic_lines if meta.get("kind") == "critic" else _actor_lines
    lines = [
        ("checkpoint", f"{checkpoint.folder}, {checkpoint.policy_id}, {_megabytes(size)}"),
        ("trained", f"{meta['method']}, {meta['step']} steps in {float(meta['elapsed_s']) / 60:.1f} min"),
        ("held out", "not measured" if held_out is None else f"loss {held_out:.4f}"),
        (
            "data",
            f"{data['path']}, {data['task']}, {data['episodes']} episodes, "
            f"content {data['content_sha256'][:12]}",
        ),
        *network(checkpoint),
        ("code", str(meta["code_version"])),
    ]
    if (path / RUN_FILE).is_file():
        run = read_run(path)
        lines.insert(
            1,
            (
                "run",
                f"latest {run['latest']}, best {run['best']}, preset {run['preset']}, seed {run['seed']}",
            ),
        )
    return _table(lines)


def _actor_lines(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    config = checkpoint.actor_config()
    unet, encoder, diffusion = config.unet, config.encoder, config.diffusion
    rate_hz = checkpoint.meta["dataset"]["rate_hz"]
    return [
        ("network", f"{'-'.join(map(str, unet.down_dims))}, prefix marking {unet.prefix_marking}"),
        ("sees", f"encoder {encoder.kind}, proprioception {', '.join(encoder.proprioception)}"),
        (
            "chunk",
            f"{config.horizon} steps at {rate_hz:g} Hz, prefix up to {diffusion.max_delay}, "
            f"{diffusion.sample_steps} denoising steps ({diffusion.prediction})",
        ),
    ]


def _critic_lines(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    config = checkpoint.config_of("critic", CriticConfig)
    returns = config.returns
    fitted = f"{config.crossfit} cross-fitted critics" if config.crossfit else "one critic"
    return [
        ("network", f"{fitted}, {'-'.join(map(str, config.hidden_dims))}, {config.bins.count} values"),
        ("sees", f"encoder {config.encoder}, proprioception {', '.join(config.proprioception)}"),
        ("returns", f"longest episode {returns.max_length_steps} steps, failures {returns.failure_return}"),
    ]


def _interventions(dataset: Dataset) -> str:
    begins = np.flatnonzero(np.diff(dataset.intervention.astype(np.int8), prepend=0) == 1)
    rollouts = [i for i, e in enumerate(dataset.episodes) if e["kind"] == "rollout"]
    taken_over = np.unique(dataset.episode[begins])
    return (
        f"{100 * dataset.intervention.mean():.0f} % of the rows; an operator took over in "
        f"{len(np.intersect1d(taken_over, rollouts))} of {len(rollouts)} rollouts"
    )


def _table(lines: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines)


def _counts(episodes: list[dict[str, Any]], field: str) -> str:
    counted = Counter(str(e[field]) for e in episodes)
    return ", ".join(f"{n} {name}" for name, n in counted.most_common())


def _objects(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(name.split(".")[0] for name in names))


def _left_out(meta: dict[str, Any]) -> str:
    counts = meta["counts"]
    topics: Counter[str] = Counter()
    for report in meta["report"]:
        topics.update(report["left_out"])
    because = f" ({', '.join(f'{topic} {n}' for topic, n in topics.most_common())})" if topics else ""
    skipped = ", ".join(f"{n} {why}" for why, n in counts["skipped"].items()) or "none"
    return f"{counts['rows_left_out']} rows{because}; episodes skipped: {skipped}"


def _worst(meta: dict[str, Any]) -> str:
    worst: dict[str, float] = {}
    for report in meta["report"]:
        for topic, error in report["worst_error_ms"].items():
            worst[topic] = max(worst.get(topic, 0.0), error)
    topic = max(worst, key=lambda name: worst[name])
    return f"{worst[topic]:.1f} ms ({topic}), tolerance {1e3 * meta['alignment']['tolerance_s']:.0f} ms"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
