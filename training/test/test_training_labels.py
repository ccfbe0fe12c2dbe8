"""Labels: what is in them, where they come from, and whose they are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import expit
from synthetic_dataset import write_dataset

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training import critic_config
from dexpie_training.checkpoint import find_checkpoint
from dexpie_training.config import OptimiserConfig
from dexpie_training.critic_config import CRITIC_PRESETS, CriticConfig
from dexpie_training.critic_data import CriticData
from dexpie_training.critic_training import load_critics
from dexpie_training.dataset import Dataset
from dexpie_training.labels import Labels
from dexpie_training.make_labels import LabelOptions, run_label
from dexpie_training.train_critic import TrainCriticOptions, run_train_critic


def train(dataset: Path, out: Path) -> Path:
    fast = OptimiserConfig(learning_rate=3e-3, warmup_steps=5, batch_size=64, ema_max=0.0)
    with pytest.MonkeyPatch.context() as patch:
        preset = replace(CRITIC_PRESETS["default"], optimiser=fast)
        patch.setitem(critic_config.CRITIC_PRESETS, "default", preset)
        run_train_critic(TrainCriticOptions(dataset, out, crossfit=2, steps=15, threads=1, precision="fp32"))
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dataset with labels `a`, and the critic that they come from."""
    folder = tmp_path_factory.mktemp("labels")
    dataset = write_dataset(folder / "dataset", successes=5, failures=5)
    critic = train(dataset, folder / "critic")
    run_label(LabelOptions(dataset, critic, "a"))
    return dataset, critic


def test_labels_follow_from_values_by_the_definition(made) -> None:
    """Values by the critic that did not see the episode; the rest row by row from the equations."""
    dataset, labels = Dataset.open(made[0]), Labels.open(Dataset.open(made[0]), "a")
    checkpoint = find_checkpoint(made[1])
    config = checkpoint.config_of("critic", CriticConfig)
    data = CriticData.prepare(dataset, config, np.array(checkpoint.meta["unseen_by"]))
    critics = load_critics(checkpoint, data)
    for episode in range(len(dataset.episodes)):
        rows = np.arange(len(dataset))[dataset.episode_rows(episode)]
        own = critics.critics[checkpoint.meta["unseen_by"][episode]]
        values = critics.values(own(data.inputs.rows(rows))).numpy()
        np.testing.assert_allclose(labels.value[rows], values, atol=1e-6)
    length, advantage = dataset.lengths.max(), []
    for episode in range(len(dataset.episodes)):
        v = labels.value[dataset.episode_rows(episode)]
        last = len(v) - 1
        cost = 0.0 if dataset.episodes[episode]["outcome"] == "success" else float(length)
        for t in range(len(v)):
            inside = t + 24 <= last
            reward = -24.0 if inside else -float(last - t) - cost
            advantage.append(reward / length + (v[t + 24] if inside else 0.0) - v[t])
    np.testing.assert_allclose(labels.advantage, advantage, atol=1e-12)
    low, high = np.quantile(advantage, [0.6, 0.8])
    scored = expit(5.0 * (labels.advantage - low) / (high - low))
    np.testing.assert_allclose(labels.scored, scored, atol=1e-9)
    demonstration = np.isin(dataset.episode, [0, 1])
    assert np.array_equal(labels.human, demonstration)
    np.testing.assert_allclose(labels.optimality, np.where(demonstration, 1.0, scored), atol=1e-9)
    windows = np.arange(24)[None] + np.array([[0], [int(dataset.first_rows[5])]])
    expected = [1.0, labels.scored[dataset.first_rows[5]]]
    np.testing.assert_allclose(labels.of_windows(windows, "first_step"), expected)


def test_provenance_says_where_labels_come_from(made) -> None:
    dataset, critic = made
    meta = json.loads((dataset / "labels" / "a.json").read_text())
    assert meta["critic"]["model_sha256"] == find_checkpoint(critic).meta["model_sha256"]
    assert meta["dataset"]["content_sha256"] == Dataset.open(dataset).content_hash
    assert meta["config"]["horizon_steps"] == 24 and meta["critic"]["crossfit"] == 2
    assert meta["counts"]["rows"] == len(Dataset.open(dataset)) and len(meta["quantiles"]["all rows"]) == 2


def test_labelling_leaves_the_dataset_as_it_is(made) -> None:
    """Files outside labels/ keep their bytes and times; options override a preset."""
    dataset, critic = made

    def others() -> dict[Path, tuple[bytes, int]]:
        files = [p for p in dataset.rglob("*") if p.is_file() and p.parent.name != "labels"]
        return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}

    before = others()
    report = run_label(LabelOptions(dataset, critic, "recap", form="binary", low_quantile=0.5))
    assert others() == before and str(report).startswith(str(dataset / "labels" / "recap.parquet"))
    labels = Labels.open(Dataset.open(dataset), "recap")
    assert set(labels.scored) == {0.0, 1.0} and labels.scored.mean() == pytest.approx(0.5, abs=0.02)
    assert sorted(p.name for p in (dataset / "labels").iterdir()) == [
        "a.json", "a.parquet", "recap.json", "recap.parquet",
    ]  # fmt: skip


def test_labels_of_another_dataset_are_refused(made, tmp_path: Path) -> None:
    """Negative: a critic or labels of other data, even with as many rows, are never taken."""
    dataset, critic = made
    other = write_dataset(tmp_path / "other", successes=5, failures=5, seed=7)
    with pytest.raises(UsageError, match=r"--critic .* was trained on .*dataset, not on .*other"):
        run_label(LabelOptions(other, critic, "a"))
    assert not (other / "labels").exists()
    (other / "labels").mkdir()
    for name in ("a.json", "a.parquet"):
        (other / "labels" / name).write_bytes((dataset / "labels" / name).read_bytes())
    with pytest.raises(UsageError, match="labels of another dataset"):
        Labels.open(Dataset.open(other), "a")


def test_wrong_use(made, tmp_path: Path) -> None:
    dataset, critic = made
    with pytest.raises(UsageError, match=r"--name a: .* exists already"):
        run_label(LabelOptions(dataset, critic, "a"))
    with pytest.raises(UsageError, match="must be a plain file name"):
        LabelOptions(dataset, critic, "../a")
    with pytest.raises(UsageError, match=r"--low-quantile 0\.9 must be below high-quantile 0\.8"):
        LabelOptions(dataset, critic, "b", low_quantile=0.9)
    with pytest.raises(UsageError, match="no such labels; make them with `dexpie label`"):
        Labels.open(Dataset.open(dataset), "b")
    with pytest.raises(UsageError, match="no such run"):
        run_label(LabelOptions(dataset, tmp_path / "none", "b"))
    table = dataset / "labels" / "spoilt.parquet"
    pq.write_table(pq.read_table(dataset / "labels" / "a.parquet").slice(1), table)
    table.with_suffix(".json").write_bytes((dataset / "labels" / "a.json").read_bytes())
    with pytest.raises(DexpieError, match=r"is not the file that spoilt\.json describes"):
        Labels.open(Dataset.open(dataset), "spoilt")
    table.unlink()
    table.with_suffix(".json").unlink()
