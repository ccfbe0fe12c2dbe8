"""Labels of a dataset: DATASET/labels/<name>.parquet, one row a row of the dataset, and <name>.json.

Columns: value, advantage (normalised), optimality (what the actor is given), scored (optimality before the
rule for human steps), human (a human decided the row, so optimality is 1).
"""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.advantage import Optimality, WindowRule, label_rows, window_optimality
from dexpie_training.checkpoint import Checkpoint, code_version, find_checkpoint
from dexpie_training.critic_config import CriticConfig
from dexpie_training.critic_data import CriticData, episode_layout
from dexpie_training.critic_training import load_critics, predict
from dexpie_training.dataset import Dataset
from dexpie_training.make_labels import LabelOptions, LabelReport
from dexpie_training.returns import Bools, Floats, Ints, rewards
from dexpie_training.serial import read_provenance, write_json

FORMAT: Final = "dexpie-labels"
VERSION: Final = 1
LABELS_SCHEMA: Final = pa.schema(
    [
        ("value", pa.float64()),
        ("advantage", pa.float64()),
        ("optimality", pa.float64()),
        ("scored", pa.float64()),
        ("human", pa.bool_()),
    ]
)


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of all rows (N,) of a dataset, and where they come from."""

    meta: dict[str, Any]
    value: Floats
    advantage: Floats
    optimality: Floats
    scored: Floats
    human: Bools

    @classmethod
    def open(cls, dataset: Dataset, name: str) -> Self:
        """Labels of this name; UsageError where they are missing or those of another dataset."""
        file = labels_file(dataset.path, name)
        meta = read_provenance(file, FORMAT, VERSION, "no such labels; make them with `dexpie label`")
        if meta["dataset"]["content_sha256"] != dataset.content_hash:
            raise UsageError(f"{file}: labels of another dataset; label this one with `dexpie label`")
        if _sha256(file) != meta["labels_sha256"]:
            raise DexpieError(f"{file}: is not the file that {file.stem}.json describes; label again")
        table = pq.read_table(file, schema=LABELS_SCHEMA)
        return cls(meta, **{name: table[name].to_numpy() for name in LABELS_SCHEMA.names})

    def of_windows(self, window_rows: Ints, rule: WindowRule) -> Floats:
        """Optimality (B,) of training windows, rows window_rows (B, H) each."""
        return window_optimality(self.scored, self.human, window_rows, rule)


def labels_file(dataset: Path, name: str) -> Path:
    """Where labels of this name lie."""
    return dataset / "labels" / f"{name}.parquet"


def human_rows(dataset: Dataset) -> Bools:
    """Rows (N,) that a human decided: demonstrations, and interventions in rollouts."""
    demonstration = np.array([e["kind"] == "demonstration" for e in dataset.episodes], dtype=bool)
    return demonstration[dataset.episode] | dataset.intervention


def label_dataset(options: LabelOptions) -> LabelReport:
    """Label, see LabelOptions. The JSON is written last: labels without it do not count."""
    dataset = Dataset.open(options.dataset)
    file = labels_file(dataset.path, options.name)
    if file.with_suffix(".json").exists():
        raise UsageError(f"--name {options.name}: {file} exists already; choose another name")
    checkpoint = find_checkpoint(options.critic, options.checkpoint)
    critic = checkpoint.config_of("critic", CriticConfig)
    if checkpoint.meta["dataset"]["content_sha256"] != dataset.content_hash:
        trained_on = checkpoint.meta["dataset"]["path"]
        raise UsageError(f"--critic {options.critic}: was trained on {trained_on}, not on {options.dataset}")
    found = _labels(options, dataset, checkpoint, critic)
    digest = _write(file, found)
    write_json(file.with_suffix(".json"), _describe(options, dataset, checkpoint, found, digest))
    policy_rows = ~found.human
    mean = float(found.optimality[policy_rows].mean()) if policy_rows.any() else 1.0
    return LabelReport(file, len(dataset), int(found.human.sum()), found.quantiles, mean)


def _labels(
    options: LabelOptions, dataset: Dataset, checkpoint: Checkpoint, critic: CriticConfig
) -> Optimality:
    unseen = np.array(checkpoint.meta["unseen_by"], dtype=np.int64)
    data = CriticData.prepare(dataset, critic, unseen)
    value = predict(load_critics(checkpoint, data), data, np.arange(len(dataset))).value
    reward = rewards(data.layout, critic.returns)
    tasks = [str(e["task"]) for e in dataset.episodes]
    divisor = critic.returns.divisor
    return label_rows(value, reward, divisor, data.layout, human_rows(dataset), tasks, options.config)


def _write(file: Path, found: Optimality) -> str:
    """Write the table whole; its SHA-256."""
    file.parent.mkdir(exist_ok=True)
    columns = [getattr(found, name) for name in LABELS_SCHEMA.names]
    partial = file.with_name(f".{file.name}.partial-{os.getpid()}")
    try:
        pq.write_table(pa.table(columns, schema=LABELS_SCHEMA), partial)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
    return _sha256(file)


def _describe(
    options: LabelOptions, dataset: Dataset, checkpoint: Checkpoint, found: Optimality, digest: str
) -> dict[str, Any]:
    layout, meta = episode_layout(dataset), checkpoint.meta
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": options.name,
        "preset": options.preset,
        "config": asdict(options.config),
        "quantiles": found.quantiles,
        "critic": {
            "run": str(Path(options.critic).resolve()),
            "step": checkpoint.step,
            "model_sha256": meta["model_sha256"],
            "crossfit": meta["config"]["crossfit"],
            "returns": meta["config"]["returns"],
        },
        "dataset": {"content_sha256": dataset.content_hash, "task": dataset.meta["task"]},
        "counts": {
            "rows": len(dataset),
            "human_rows": int(found.human.sum()),
            "episodes": len(layout.lengths),
            "successes": int(layout.success.sum()),
        },
        "labels_sha256": digest,
        "code_version": code_version(),
    }


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise DexpieError(f"{file}: cannot be read ({error})") from None
