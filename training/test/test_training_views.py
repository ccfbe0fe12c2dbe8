"""Augmented views of cached features: made once, drawn from in training alone, the same after a resume."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_dataset import Toy, path_m, write_episodes

from dexpie_core.errors import UsageError
from dexpie_training.actor_data import LabelledRows
from dexpie_training.actor_training import ActorLearner
from dexpie_training.checkpoint import find_checkpoint
from dexpie_training.config import ActorConfig, AugmentationConfig, EncoderConfig
from dexpie_training.critic_config import CriticConfig
from dexpie_training.critic_data import CriticData, episode_layout
from dexpie_training.critic_training import predict
from dexpie_training.dataset import Dataset
from dexpie_training.feature_files import FrozenFeatures, describe_features, features_file, stored_views
from dexpie_training.features import view_draws
from dexpie_training.make_features import FeaturesOptions, run_features
from dexpie_training.models.actor import Actor
from dexpie_training.models.augmentation import Augmentation
from dexpie_training.models.critic import CriticEnsemble
from dexpie_training.models.image_encoder import random_resnet18
from dexpie_training.observed import ObservedRows
from dexpie_training.returns import with_length
from dexpie_training.train_actor import TrainActorOptions, run_train_actor
from dexpie_training.train_critic import TrainCriticOptions, run_train_critic
from dexpie_training.training_loop import TrainingLoop
from dexpie_training.verification import verify_dataset

ROWS = 12


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    episodes = [Toy(path_m(True, 1)[:7], human=True), Toy(path_m(False, 2)[:5], success=False)]
    return write_episodes(tmp_path / "dataset", episodes, images_px=32)


def make(dataset: Path, views: int, batch_size: int = 8) -> str:
    options = FeaturesOptions(
        dataset, "resnet18", views=views, batch_size=batch_size, device="cpu", threads=1
    )
    return str(run_features(options))


def opened(dataset: Path) -> FrozenFeatures:
    return FrozenFeatures.open(Dataset.open(dataset), "resnet18", stored_views(dataset, "resnet18"))


def test_more_views_leave_what_there_is_and_no_batch_size_tells(dataset: Path, tmp_path: Path) -> None:
    at_once = shutil.copytree(dataset, tmp_path / "at once")
    assert "2 augmented views, 0 of 3 versions were there" in make(at_once, views=2, batch_size=5)
    make(dataset, views=0)
    assert not opened(dataset).views
    make(dataset, views=1)
    before = [features_file(dataset, "resnet18", view).read_bytes() for view in (0, 1)]
    assert "2 augmented views, 2 of 3 versions were there" in make(dataset, views=2)
    assert before == [features_file(dataset, "resnet18", view).read_bytes() for view in (0, 1)]
    found, expected = opened(dataset), opened(at_once)
    for a, b in zip((found.rows, *found.views), (expected.rows, *expected.views), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4)
    assert np.abs(found.views[0] - found.rows).max() > 0.01 < np.abs(found.views[0] - found.views[1]).max()
    with pytest.raises(UsageError, match="exists already"):
        make(dataset, views=1)


def test_a_view_is_what_the_encoder_sees_of_changed_pictures(dataset: Path) -> None:
    make(dataset, views=2)
    frames = torch.from_numpy(np.array(Dataset.open(dataset).frames["wrist"][[9]]))
    augmentation = Augmentation(AugmentationConfig())
    drawn = view_draws(2, 1, slice(9, 10))
    expected = random_resnet18()(frames, lambda pictures: augmentation(pictures, drawn))
    np.testing.assert_allclose(opened(dataset).views[1][[9], 512:], expected.numpy(), atol=1e-4, rtol=1e-4)


def test_draws_of_a_row_do_not_depend_on_its_batch() -> None:
    whole = view_draws(1, 0, slice(0, 500))
    assert torch.equal(whole[37:64], view_draws(1, 0, slice(37, 64)))
    assert whole.shape == (500, 7) and -1.0 <= whole.min() < -0.99 and 0.99 < whole.max() < 1.0
    assert whole.mean(dim=0).abs().max() < 0.1
    for other in (view_draws(2, 0, slice(0, 500)), view_draws(1, 1, slice(0, 500))):
        assert not torch.isclose(whole, other).any(dim=1).all()


def test_what_is_cut_short_leaves_whole_views_alone(dataset: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 3 * ROWS
        if done > 2 * ROWS:
            raise KeyboardInterrupt

    options = FeaturesOptions(dataset, "resnet18", views=2, batch_size=8, device="cpu", threads=1)
    with pytest.raises(KeyboardInterrupt):
        run_features(options, stop)
    assert stored_views(dataset, "resnet18") == 1
    files = sorted(file.name for file in (dataset / "features").iterdir())
    assert files == [
        "resnet18.json",
        "resnet18.npy",
        "resnet18.view1.json",
        "resnet18.view1.npy",
        "state.npy",
    ]
    assert run_features(options).computed == 1 and stored_views(dataset, "resnet18") == 2


def test_each_row_and_camera_draws_a_version_of_its_own(dataset: Path) -> None:
    make(dataset, views=2)
    features, rows = opened(dataset), np.array([3, 3, 8, 0, 11])
    versions = np.stack([features.rows, *features.views])
    assert np.array_equal(features.seen(rows), features.rows[rows])
    taken = set()
    for seed in range(40):
        found = features.seen(rows, np.random.default_rng(seed))
        assert np.array_equal(found, features.seen(rows, np.random.default_rng(seed)))
        for camera in (slice(0, 512), slice(512, None)):
            alike = (found[:, camera] == versions[:, rows][:, :, camera]).all(axis=2)
            assert (alike.sum(axis=0) == 1).all()
            taken |= {(place, camera.start, int(v)) for place, v in enumerate(alike.argmax(axis=0))}
    assert len(taken) == 5 * 2 * 3


def spoil(dataset: Path, view: int) -> None:
    np.save(features_file(dataset, "resnet18", view), np.full((ROWS, 1024), np.nan, dtype=np.float32))


def test_only_training_sees_views(dataset: Path) -> None:
    """Statistics, held-out loss and predictions are finite where a view is not; training batches are not."""
    make(dataset, views=1)
    spoil(dataset, 1)
    data, rows, draw = Dataset.open(dataset), np.arange(ROWS), np.random.default_rng(0)
    sha = opened(dataset).encoder_sha256
    actor = ActorConfig(
        encoder=EncoderConfig(kind="resnet18", cameras=("front", "wrist"), weights_sha256=sha)
    )
    windows = LabelledRows.prepare(ObservedRows.open(data, actor.encoder, views=1), rows, actor, None)
    learner = ActorLearner(Actor(actor), windows, windows, {})
    learner.fit_statistics()
    assert np.isfinite(learner.held_out_loss(torch.device("cpu")))
    assert learner.batch(rows, draw)[0].features.isnan().any()
    critic = CriticConfig(encoder="resnet18", hidden_dims=(8,), encoder_sha256=sha)
    critic = CriticConfig(**{**vars(critic), "returns": with_length(critic.returns, episode_layout(data))})
    seen = CriticData.prepare(data, critic, np.zeros(2, dtype=np.int64), views=1)
    critics = CriticEnsemble(seen.inputs.dim, critic).eval()
    critics.critics[0].fit(seen.inputs.rows(rows))
    assert np.isfinite(predict(critics, seen, rows).value).all()
    assert seen.batch(rows, draw)[0].isnan().any()


@pytest.mark.parametrize("kind", ["actor", "critic"])
def test_a_resumed_run_draws_the_same(kind: str, dataset: Path, tmp_path: Path) -> None:
    """Bit for bit, though a view was added meanwhile. Negative: without views it is another run."""
    make(dataset, views=1)

    def train(out: Path, **more: object) -> None:
        common = {"encoder": "resnet18", "steps": 6, "threads": 1, "batch_size": 4, "precision": "fp32"}
        if kind == "actor":
            run_train_actor(
                TrainActorOptions(dataset, out, pictures="frozen", held_out=0.0, **(common | more))
            )  # type: ignore[arg-type]
        else:
            run_train_critic(TrainCriticOptions(dataset, out, crossfit=2, **(common | more)))  # type: ignore[arg-type]

    one_step = TrainingLoop._one_step

    def interrupting(self: TrainingLoop, generator: torch.Generator) -> None:
        one_step(self, generator)
        if self.state.step == 3:
            self._request_stop()

    train(tmp_path / "whole")
    train(tmp_path / "plain", views=0)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingLoop, "_one_step", interrupting)
        train(tmp_path / "parts")
    make(dataset, views=2)
    with pytest.raises(UsageError, match="was started with --views 1"):
        train(tmp_path / "parts", resume=True, views=2)
    train(tmp_path / "parts", resume=True)
    whole, parts, plain = (find_checkpoint(tmp_path / name).tensors() for name in ("whole", "parts", "plain"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert not all(torch.equal(whole[name], plain[name]) for name in whole)
    assert json.loads((tmp_path / "parts" / "run.json").read_text())["views"] == 1


def test_views_are_inspected_and_verified(dataset: Path) -> None:
    make(dataset, views=1)
    network = random_resnet18().sha256
    told = describe_features(Dataset.open(dataset))
    assert told == f"resnet18, 1024 wide, 1 augmented views, network {network[:12]}"
    features = dataset / "features"
    before = [line for line in verify_dataset(dataset) if "resnet18" in line]
    assert not before
    spoil(dataset, 1)
    found = [line for line in verify_dataset(dataset) if "resnet18" in line]
    assert "is not the file that resnet18.view1.json describes" in found[0] and "not finite" in found[1]
    described = features / "resnet18.view1.json"
    meta = json.loads(described.read_text())
    described.write_text(json.dumps(meta | {"encoder_sha256": "0"}))
    with pytest.raises(UsageError, match=r"view1\.npy: of another network than resnet18\.npy"):
        opened(dataset)
    described.write_text(json.dumps(meta | {"dataset_sha256": "0"}))
    assert any("features of another dataset" in line for line in verify_dataset(dataset))


def test_wrong_use(dataset: Path, tmp_path: Path) -> None:
    make(dataset, views=1)
    with pytest.raises(UsageError, match="--views -1 must not be negative"):
        FeaturesOptions(dataset, "resnet18", views=-1)
    with pytest.raises(UsageError, match="--views -1 must not be negative"):
        TrainCriticOptions(dataset, tmp_path / "run", views=-1)
    for encoder, message in (
        ("state", "--views 2: no cached features are looked at"),
        ("resnet18", "--views 2: there are 1; make them with `dexpie features"),
    ):
        with pytest.raises(UsageError, match=message):
            run_train_critic(
                TrainCriticOptions(dataset, tmp_path / "run", encoder=encoder, crossfit=2, views=2)
            )
        assert not (tmp_path / "run").exists()
