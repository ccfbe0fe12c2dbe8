"""Labels: what is in them, where they come from, and whose they are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from scipy.special import expit
from synthetic_dataset import STATE_NAMES, write_dataset

from dexpie_core.errors import DexpieError, UsageError
from dexpie_core.observation import Observation
from dexpie_training import critic_config
from dexpie_training.actor_data import LabelledRows
from dexpie_training.checkpoint import find_checkpoint
from dexpie_training.config import ActorConfig, ConditionConfig, OptimiserConfig
from dexpie_training.critic_config import CRITIC_PRESETS, CriticConfig
from dexpie_training.critic_data import CriticData
from dexpie_training.critic_training import load_critics
from dexpie_training.dataset import Dataset
from dexpie_training.labels import Labels
from dexpie_training.make_labels import LabelOptions, run_label
from dexpie_training.methods import ROWS_OF
from dexpie_training.observed import ObservedRows
from dexpie_training.policy import LoadedPolicy
from dexpie_training.train_actor import TrainActorOptions, run_train_actor
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
    demonstration = np.isin(dataset.episode, [0, 1])
    low, high = np.quantile(np.array(advantage)[demonstration], [0.1, 0.3])
    scored = expit(5.0 * (labels.advantage - low) / (high - low))
    np.testing.assert_allclose(labels.scored, scored, atol=1e-9)
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
    assert meta["counts"]["rows"] == len(Dataset.open(dataset)) and len(meta["quantiles"]["human rows"]) == 2


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


@pytest.fixture
def actor_of(made, tmp_path: Path):
    """Trains an actor of a method for a step on the labelled dataset."""

    def train_actor(method: str, **more) -> Path:
        size = {"steps": 1, "batch_size": 8, "threads": 1}
        run_train_actor(TrainActorOptions(made[0], tmp_path / "run", method=method, **size, **more))
        return tmp_path / "run"

    return train_actor


def test_actors_are_conditioned_on_labels_and_say_on_which(made, actor_of, tmp_path: Path) -> None:
    run = actor_of("dexpie", labels="a", guidance=2.0)
    meta = find_checkpoint(run).meta
    labels = Labels.open(Dataset.open(made[0]), "a")
    assert (meta["labels"], meta["labels_sha256"]) == ("a", labels.meta["labels_sha256"])
    policy = LoadedPolicy.load(run)
    assert policy.policy_id.startswith("dexpie-") and policy.info.guidance == 2.0
    observation = Observation(0.0, np.zeros(6), np.eye(4), np.zeros(6), np.zeros(3))
    plain = LoadedPolicy.load(run, guidance=1.0)
    chunks = [p.infer(observation, np.zeros((0, 15))) for p in (policy, policy, plain)]
    policy.reset(0)
    np.testing.assert_array_equal(policy.infer(observation, np.zeros((0, 15))), chunks[0])
    assert not np.allclose(chunks[2], chunks[0])
    with pytest.raises(UsageError, match="was started with --method dexpie, not bc"):
        actor_of("bc", resume=True)


def test_windows_of_an_actor_take_the_labels_of_their_first_rows(made) -> None:
    dataset = Dataset.open(made[0])
    labels = Labels.open(dataset, "a")
    config = ActorConfig(condition=ConditionConfig("continuous"), state_names=STATE_NAMES)
    rows = ROWS_OF["dexpie"].rows(dataset)
    observed = ObservedRows.open(dataset, config.encoder)
    data = LabelledRows.prepare(observed, rows, config, labels)
    np.testing.assert_allclose(data.optimality, labels.optimality[data.data.rows], rtol=1e-6, atol=1e-38)
    assert 0 < int((data.optimality < 0.5).sum()) < len(data)
    assert torch.all(LabelledRows.prepare(observed, rows, config, None).optimality == 1.0)


def test_methods_refuse_labels_that_do_not_fit(made, actor_of) -> None:
    with pytest.raises(UsageError, match="--labels is missing: recap learns from labels"):
        actor_of("recap")
    with pytest.raises(UsageError, match="--labels: hg-dagger has no condition"):
        actor_of("hg-dagger", labels="a")
    with pytest.raises(UsageError, match="--labels a: are continuous, recap needs binary ones"):
        actor_of("recap", labels="a")


def test_wrong_use(made, tmp_path: Path) -> None:
    dataset, critic = made
    with pytest.raises(UsageError, match=r"--name a: .* exists already"):
        run_label(LabelOptions(dataset, critic, "a"))
    with pytest.raises(UsageError, match="must be a plain file name"):
        LabelOptions(dataset, critic, "../a")
    with pytest.raises(UsageError, match=r"--low-quantile 0\.9 must be below high-quantile 0\.3"):
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
