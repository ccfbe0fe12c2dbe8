"""The critic: targets, folds, metrics, training on a toy task, exact resume, wrong use."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_dataset import Toy, path_m, write_dataset, write_episodes

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training import critic_config
from dexpie_training.checkpoint import find_checkpoint
from dexpie_training.config import OptimiserConfig
from dexpie_training.critic_config import CRITIC_PRESETS, CriticConfig
from dexpie_training.critic_data import CriticData, assign_folds, unseen_by
from dexpie_training.critic_metrics import auc, critic_metrics, episode_tau, late_auc
from dexpie_training.critic_training import load_critics, predict
from dexpie_training.dataset import Dataset
from dexpie_training.inspection import describe_run
from dexpie_training.models.critic import CriticEnsemble, cross_entropy, soft_targets
from dexpie_training.policy import LoadedPolicy
from dexpie_training.returns import EpisodeLayout, ValueBins
from dexpie_training.train_actor import TrainActorOptions, run_train_actor
from dexpie_training.train_critic import TrainCriticOptions, run_train_critic

FAST = OptimiserConfig(learning_rate=3e-3, warmup_steps=10, batch_size=128, ema_max=0.0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset", successes=16, failures=16)


def train(dataset: Path, out: Path, **options: object):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("default", "paper"):
            preset = replace(CRITIC_PRESETS[name], optimiser=FAST)
            patch.setitem(critic_config.CRITIC_PRESETS, name, preset)
        chosen = {"threads": 1, "precision": "fp32", **options}
        return run_train_critic(TrainCriticOptions(dataset, out, **chosen))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory):
    return train(dataset, tmp_path_factory.mktemp("runs") / "critic", crossfit=3, steps=120)


def loaded(dataset: Path, run: Path) -> tuple[CriticEnsemble, CriticData]:
    checkpoint = find_checkpoint(run)
    config = checkpoint.config_of("critic", CriticConfig)
    data = CriticData.prepare(Dataset.open(dataset), config, np.array(checkpoint.meta["unseen_by"]))
    return load_critics(checkpoint, data), data


@pytest.mark.parametrize("centre", ["exact", "floor"])
def test_targets_on_the_device_are_those_of_the_definition(centre) -> None:
    bins, returns = ValueBins(centre=centre), np.linspace(-1.0, 0.0, 333)
    values, centres = (torch.from_numpy(x).float() for x in (bins.values, bins.centres(returns)))
    found = soft_targets(values, centres, bins).double().numpy()
    np.testing.assert_allclose(found, bins.soft_targets(returns), atol=1e-4)
    np.testing.assert_allclose(
        bins.expectation(found), bins.expectation(bins.soft_targets(returns)), atol=1e-6
    )


def test_cross_entropy_by_hand() -> None:
    """Logits 0 give log(bins) whatever the target; probabilities 1/4, 3/4 against a half each."""
    assert cross_entropy(torch.zeros(1, 201), torch.full((1, 201), 1 / 201)).item() == pytest.approx(
        math.log(201), abs=1e-5
    )
    logits = torch.tensor([[0.0, math.log(3.0)]])
    found = cross_entropy(logits, torch.tensor([[0.5, 0.5]])).item()
    assert found == pytest.approx(0.5 * math.log(4.0) + 0.5 * math.log(4.0 / 3.0), abs=1e-6)


def test_a_member_learns_nothing_from_what_it_must_not_see() -> None:
    """Negative: only the other members get a gradient from the rows of a member's fold."""
    critics = CriticEnsemble(4, CriticConfig(hidden_dims=(8,), crossfit=3))
    inputs, centres = torch.randn(5, 4), torch.full((5,), -0.5)
    critics(inputs, centres, torch.full((5,), 1)).backward()
    moved = [sum(float(p.grad.abs().sum()) for p in member.parameters()) > 0 for member in critics.critics]
    assert moved == [True, False, True]


def test_every_row_is_valued_by_the_member_that_did_not_see_it() -> None:
    critics = CriticEnsemble(4, CriticConfig(hidden_dims=(8,), crossfit=3))
    inputs, member = torch.randn(6, 4), torch.tensor([2, 0, 1, 1, 2, 0])
    found = critics.logits(inputs, member)
    for row, k in enumerate(member):
        torch.testing.assert_close(found[row], critics.critics[k](inputs)[row])


def test_folds_share_out_failures() -> None:
    success = np.arange(23) % 3 > 0  # 8 failures
    folds = assign_folds(success, 4, seed=1)
    assert np.bincount(folds).min() >= 5 and np.bincount(folds[~success]).tolist() == [2, 2, 2, 2]
    assert np.array_equal(folds, assign_folds(success, 4, seed=1))
    assert not np.array_equal(folds, assign_folds(success, 4, seed=2))


def test_who_must_not_see_what() -> None:
    success = np.arange(40) % 2 == 0
    assert set(unseen_by(success, 5, 0.1, 0)) == {0, 1, 2, 3, 4}
    alone = unseen_by(success, 0, 0.1, 0)
    assert set(alone) == {-1, 0} and (alone == 0).sum() == 4 and (alone[success] == 0).sum() == 2
    assert set(unseen_by(success, 0, 0.0, 0)) == {-1}
    with pytest.raises(DexpieError, match="--crossfit 41 needs as many episodes, there are 40"):
        unseen_by(success, 41, 0.1, 0)


def test_metrics_by_hand() -> None:
    assert auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True])) == 3.5 / 4
    assert auc(np.array([0.1]), np.array([True])) is None
    assert episode_tau(np.array([1.0, 2.0, 4.0, 3.0])) == pytest.approx(4 / 6)  # one of six pairs is turned
    layout = EpisodeLayout(np.array([10, 5]), np.array([True, False]))
    values = np.zeros(15)
    values[[8, 9]] = 1.0  # the last fifth of the success: rows 8 and 9; of the failure: row 14
    everything = np.array([True, True])
    assert late_auc(values, layout, everything) == 1.0
    values[14] = 2.0
    assert late_auc(values, layout, everything) == 0.0
    assert late_auc(values, layout, np.array([True, False])) is None


def test_the_end_is_the_last_row_of_each_episode() -> None:
    layout = EpisodeLayout(np.array([10, 50, 5]), np.array([True, False, True]))
    values = np.zeros(65)
    values[[9, 59, 64]] = 0.0, -0.5, -1.0  # 49 of the failure's rows are valued as highly as a success
    found = critic_metrics(values, values, values, values, layout, np.ones(3, dtype=bool))
    assert found.end_auc == 0.5 and found.late_auc is not None
    some = critic_metrics(values, values, values, values, layout, np.array([True, True, False]))
    assert some.end_auc == 1.0


def test_a_toy_task_is_ordered_on_unseen_episodes(dataset: Path, trained) -> None:
    metrics = trained.metrics
    assert metrics.episodes == 32 and metrics.kendall_tau > 0.8 and metrics.end_auc > 0.95
    assert metrics.cross_entropy_floor < metrics.cross_entropy < math.log(201) - 1.0
    stored = json.loads((trained.run / "run.json").read_text())
    assert stored["metrics"] == metrics.to_json() and stored["kind"] == "critic"
    assert "3 cross-fitted critics, 120 steps" in str(trained) and "end AUC" in str(trained)
    described = describe_run(trained.run)
    assert "3 cross-fitted critics, 128-128-64, 201 values" in described and "failures decay" in described
    assert (trained.run / "tensorboard").is_dir() and (trained.run / "curve.csv").is_file()


def test_sliding_off_lowers_the_advantage(dataset: Path, trained, tmp_path: Path) -> None:
    """Twins that share their first 14 rows; the corrupted one slides sideways for the next 11."""
    twins = []
    for seed in range(10):
        clean = path_m(True, 500 + seed)[:25]
        corrupted = clean.copy()
        corrupted[14:, 1] += np.linspace(0.0, 0.08, 11)
        twins += [Toy(clean), Toy(corrupted)]
    critics, _ = loaded(dataset, trained.run)
    seen = CriticData.prepare(
        Dataset.open(write_episodes(tmp_path / "twins", twins)), critics.config, np.zeros(20, dtype=np.int64)
    )
    value = predict(critics, seen, np.arange(500)).value.reshape(10, 2, 25)
    assert np.array_equal(value[:, 0, 13], value[:, 1, 13])
    clean_gain, corrupted_gain = (value[:, :, 24] - value[:, :, 13]).T  # the rewards in between are equal
    assert (corrupted_gain < clean_gain).sum() >= 9


def test_statistics_are_those_of_the_rows_that_a_member_learns_from(dataset: Path, trained) -> None:
    """Negative: with the statistics of something else, a critic is lost."""
    critics, data = loaded(dataset, trained.run)
    for k, member in enumerate(critics.critics):
        rows = np.flatnonzero(data.unseen_by != k)
        expected = data.inputs.rows(rows).double().numpy()
        np.testing.assert_allclose(member.standardiser.mean, expected.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(
            member.standardiser.deviation, np.maximum(expected.std(axis=0), 0.01), atol=1e-6
        )
    rows = np.flatnonzero(np.repeat(data.layout.success, data.layout.lengths))
    error = np.abs(predict(critics, data, rows).value - data.returns[rows]).mean()
    for member in critics.critics:
        member.standardiser.mean.zero_()
    assert np.abs(predict(critics, data, rows).value - data.returns[rows]).mean() > 2 * error


def test_resume_is_exact(dataset: Path, tmp_path: Path) -> None:
    """50 steps, Ctrl-C, 50 more: bit for bit what 100 steps in one go give, dropout included."""
    from dexpie_training.training_loop import TrainingLoop

    one_step = TrainingLoop._one_step

    def interrupting(self: TrainingLoop, generator: torch.Generator) -> None:
        one_step(self, generator)
        if self.state.step == 50:
            self._request_stop()

    common = {"crossfit": 2, "steps": 100, "seed": 3}
    with pytest.MonkeyPatch.context() as patch:
        default = CRITIC_PRESETS["default"]
        dropout = replace(default, config=replace(default.config, dropout=0.1))
        patch.setitem(critic_config.CRITIC_PRESETS, "default", dropout)
        whole = find_checkpoint(train(dataset, tmp_path / "whole", **common).run)
        with pytest.MonkeyPatch.context() as inner, pytest.raises(KeyboardInterrupt):
            inner.setattr(TrainingLoop, "_one_step", interrupting)
            train(dataset, tmp_path / "parts", **common)
        assert find_checkpoint(tmp_path / "parts").step == 50
        parts = find_checkpoint(train(dataset, tmp_path / "parts", **common, resume=True).run)
    assert parts.step == whole.step == 100
    for file in ("model.safetensors", "training.safetensors"):
        a, b = whole.tensors(file), parts.tensors(file)
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_presets_differ_in_values_alone(dataset: Path, tmp_path: Path) -> None:
    """Every preset and return trains; a run says what it was trained with."""
    for preset, failure in (("paper", None), ("release", None), ("default", "unclipped")):
        out = tmp_path / preset
        report = train(dataset, out, preset=preset, failure_return=failure, crossfit=0, steps=3)
        config = find_checkpoint(out).config_of("critic", CriticConfig)
        expected = failure or {"paper": "clip", "release": "decay"}[preset]
        assert config.returns.failure_return == expected and config.returns.max_length_steps == 44
        assert report.critics == 1 and report.metrics.episodes == 3


def test_wrong_use(dataset: Path, trained, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--crossfit 1 must be 0"):
        TrainCriticOptions(dataset, tmp_path, crossfit=1)
    with pytest.raises(UsageError, match="--steps and --epochs exclude each other"):
        TrainCriticOptions(dataset, tmp_path, steps=1, epochs=1)
    with pytest.raises(DexpieError, match="--max-length-steps 20 is less than the longest episode"):
        train(dataset, tmp_path / "run", max_length_steps=20, steps=1)
    with pytest.raises(UsageError, match=r"r3m.npy: no such features; compute them with `dexpie features"):
        train(dataset, tmp_path / "run", encoder="r3m", steps=1)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="is of `dexpie train critic`, an actor is needed"):
        LoadedPolicy.load(trained.run)
    with pytest.raises(UsageError, match="is of `dexpie train critic`, not of `dexpie train actor`"):
        run_train_actor(TrainActorOptions(dataset, trained.run, resume=True))
    other = write_dataset(tmp_path / "other", successes=3, failures=3, seed=9)
    with pytest.raises(UsageError, match="is not the one that"):
        train(other, trained.run, resume=True)
