"""The actor on pictures: trained or frozen network, cached features, augmentation, the policy that looks."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_dataset import write_dataset
from torch import Tensor

from dexpie_core import se3
from dexpie_core.errors import UsageError
from dexpie_core.observation import Observation
from dexpie_training.actor_presets import actor_preset
from dexpie_training.checkpoint import find_checkpoint
from dexpie_training.config import ActorConfig, AugmentationConfig, EncoderConfig
from dexpie_training.dataset import Dataset
from dexpie_training.feature_files import FrozenFeatures
from dexpie_training.make_features import FeaturesOptions, run_features
from dexpie_training.models.augmentation import Augmentation
from dexpie_training.models.image_encoder import random_resnet18
from dexpie_training.models.observation import ObservationBatch
from dexpie_training.models.picture_encoder import PictureEncoder
from dexpie_training.observed import ObservedRows
from dexpie_training.policy import LoadedPolicy
from dexpie_training.serial import with_fields
from dexpie_training.train_actor import TrainActorOptions, run_train_actor

PX = 32
CAMERAS = ("front", "wrist")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset", 3, 1, images_px=PX)


@pytest.fixture(scope="module")
def with_features(dataset: Path) -> Path:
    run_features(FeaturesOptions(dataset, encoder="resnet18", device="cpu", threads=1))
    return dataset


def train(dataset: Path, out: Path, **more: object) -> Path:
    common = {"batch_size": 4, "threads": 1, "precision": "fp32", "steps": 2, "held_out": 0.0}
    run_train_actor(TrainActorOptions(dataset, out, **(common | more)))  # type: ignore[arg-type]
    return out


def batch(count: int = 2) -> ObservationBatch:
    """Random pictures, the arm at rest."""
    pose = torch.from_numpy(se3.pose9_from_matrix(np.eye(4)).astype(np.float32)).expand(count, -1)
    generator = torch.Generator().manual_seed(0)
    shape = (count, len(CAMERAS), PX, PX, 3)
    pictures = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return ObservationBatch(torch.zeros(count, 6), pose, torch.zeros(count, 6), images=pictures)


def test_a_network_from_scratch_is_trained(dataset: Path, tmp_path: Path) -> None:
    one, two = (
        find_checkpoint(train(dataset, tmp_path / str(steps), encoder="resnet18", steps=steps))
        for steps in (1, 2)
    )
    encoder = two.actor_config().encoder
    assert not encoder.frozen and encoder.cameras == CAMERAS and encoder.image_size_px == PX
    assert not two.actor_config().state_names
    name = "encoder.pixels.network.layer4.1.conv2.weight"
    assert not torch.equal(one.tensors()[name], two.tensors()[name])


def test_a_frozen_network_is_in_the_checkpoint_as_it_was(with_features: Path, tmp_path: Path) -> None:
    """What the policy sees in pictures is what the training read from the cache."""
    run = train(with_features, tmp_path / "run", encoder="resnet18", pictures="frozen")
    policy = LoadedPolicy.load(run)
    encoder = policy.actor.encoder
    assert isinstance(encoder, PictureEncoder) and policy.info.cameras == CAMERAS
    assert encoder.pixels.sha256 == random_resnet18().sha256
    opened = Dataset.open(with_features)
    cached = ObservedRows.open(opened, policy.actor.config.encoder)(np.array([0, 7]))
    assert cached.images is None and cached.features is not None
    pictures = np.stack([opened.frames[camera][[0, 7]] for camera in CAMERAS], axis=1)
    live = dataclasses.replace(cached, features=None, images=torch.from_numpy(pictures))
    torch.testing.assert_close(encoder(live), encoder(cached), atol=1e-4, rtol=1e-4)
    assert encoder.train().pixels.network.training is False


def test_the_policy_looks_at_every_camera(with_features: Path, tmp_path: Path) -> None:
    policy = LoadedPolicy.load(train(with_features, tmp_path / "run", encoder="resnet18", pictures="frozen"))
    rng = np.random.default_rng(0)
    views = {camera: rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for camera in CAMERAS}

    def chunk(**changed: np.ndarray) -> np.ndarray:
        policy.reset(0)
        seen = Observation(0.0, np.zeros(6), np.eye(4), np.zeros(6), images=views | changed)
        return policy.infer(seen, np.zeros((0, 15)))

    policy.warm_up(1)
    assert np.array_equal(chunk(), chunk())
    for camera in CAMERAS:
        assert not np.array_equal(chunk(**{camera: 255 - views[camera]}), chunk())
    blind = Observation(0.0, np.zeros(6), np.eye(4), np.zeros(6), images={"front": views["front"]})
    with pytest.raises(UsageError, match="looks at camera wrist, the observation has front"):
        policy.infer(blind, np.zeros((0, 15)))


def test_what_cannot_be_learnt_from_is_refused(dataset: Path, tmp_path: Path) -> None:
    blind = write_dataset(tmp_path / "blind", 3, 1)
    unseen = write_dataset(tmp_path / "unseen", 3, 1, images_px=PX)
    cases: list[tuple[Path, dict[str, object], str]] = [
        (blind, {"encoder": "resnet18"}, "has no images, --encoder resnet18 cannot be used"),
        (unseen, {"encoder": "resnet18", "pictures": "frozen"}, "compute them with `dexpie features"),
        (unseen, {"encoder": "r3m", "pictures": "trained"}, "--weights is missing"),
        (unseen, {"weights": tmp_path}, "--weights is for --encoder r3m, not state"),
        (unseen, {"pictures": "frozen"}, "--encoder state has no network behind pictures"),
        (unseen, {"set": ("unet.depth=3",)}, "ActorConfig has no field unet.depth"),
        (unseen, {"set": ("horizon=long",)}, "ActorConfig.horizon 'long' is not int"),
    ]
    for folder, options, message in cases:
        with pytest.raises(UsageError, match=message):
            train(folder, tmp_path / "run", **options)
        assert not (tmp_path / "run").exists()


def test_features_of_another_network_are_refused(with_features: Path) -> None:
    opened = Dataset.open(with_features)
    known = FrozenFeatures.open(opened, "resnet18").encoder_sha256
    config = EncoderConfig(kind="resnet18", cameras=CAMERAS, weights_sha256=known)
    ObservedRows.open(opened, config)
    with pytest.raises(UsageError, match="made by another encoder"):
        ObservedRows.open(opened, dataclasses.replace(config, weights_sha256="0" * 64))


def test_augmentation_is_of_training_alone_and_of_every_picture() -> None:
    """Negative: with evaluation as in training the same picture would give other features each time."""
    torch.manual_seed(0)
    encoder = PictureEncoder(EncoderConfig(kind="resnet18", frozen=False, cameras=CAMERAS)).eval()
    seen = batch()
    with torch.no_grad():
        assert torch.equal(encoder(seen), encoder(seen))
        encoder.train()
        assert not torch.equal(encoder(seen), encoder(seen))
        alike = dataclasses.replace(seen, images=seen.images[:1].expand(4, -1, -1, -1, -1))  # type: ignore[index]
        alike = dataclasses.replace(
            alike, **{k: getattr(alike, k)[:1].expand(4, -1) for k in ("arm_q", "tcp", "hand")}
        )
        looked = encoder.look(alike)
    assert not torch.allclose(looked[0], looked[1])


def plain(**changed: float) -> Augmentation:
    """Nothing is changed but what is named."""
    none = dict.fromkeys(("rotation_deg", "brightness", "contrast", "saturation", "hue"), 0.0)
    return Augmentation(AugmentationConfig(**({"crop": 1.0} | none | changed)))


def test_augmentation_by_hand() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(3, 3, 16, 16) * 0.5 + 0.25
    torch.testing.assert_close(plain()(pictures), pictures, atol=1e-5, rtol=0.0)
    grey = pictures[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(plain(saturation=0.5, hue=0.3)(grey), grey, atol=1e-3, rtol=0.0)
    brighter = plain(brightness=0.3)(pictures) / pictures
    gains = brighter.flatten(1)
    torch.testing.assert_close(gains, gains[:, :1].expand_as(gains))
    assert len(gains[:, 0].unique()) == 3 and gains.min() > 0.7 and gains.max() < 1.3
    luma = torch.tensor([0.299, 0.587, 0.114])

    def mean_luma(x: Tensor) -> Tensor:
        return torch.einsum("bchw,c->bhw", x, luma).mean(dim=(1, 2))

    torch.testing.assert_close(mean_luma(plain(contrast=0.4)(pictures)), mean_luma(pictures))
    with pytest.raises(ValueError, match=r"augmentation\.crop 0\.0 must be in"):
        plain(crop=0.0)


def test_a_crop_keeps_its_share_and_a_turn_its_angle() -> None:
    """The gradient of a ramp is that of the crop; its direction that of the turn."""
    side = torch.linspace(0.2, 0.8, 65)
    ramp = side.expand(1, 3, 65, 65).repeat(64, 1, 1, 1)
    torch.manual_seed(0)
    inner = plain(crop=0.5)(ramp)[:, 0]
    slope = (inner[:, 32, 40] - inner[:, 32, 24]) / 16.0
    torch.testing.assert_close(slope, torch.full_like(slope, 0.5 * 0.6 / 64.0), atol=1e-5, rtol=1e-3)
    middle = inner[:, 32, 32]
    assert middle.min() < 0.37 and middle.max() > 0.63 and middle.min() > 0.34 and middle.max() < 0.66
    turned = plain(rotation_deg=5.0)(ramp)[:, 0]
    across, down = turned[:, 32, 40] - turned[:, 32, 24], turned[:, 40, 32] - turned[:, 24, 32]
    angle_deg = torch.rad2deg(torch.atan2(down, across))
    assert -5.01 < angle_deg.min() < -4.0 and 4.0 < angle_deg.max() < 5.01


@pytest.mark.parametrize("size", ["tiny", "small", "paper"])
def test_presets_differ_as_the_sources_do(size: str) -> None:
    """spec/learning.md 4 and facts of the authors' release, one by one."""
    paper, release, default = (actor_preset(name, size).config for name in ("paper", "release", "default"))  # type: ignore[arg-type]
    assert (paper.horizon, release.horizon) == (24, 28)
    assert (paper.action_scale, release.action_scale, default.action_scale) == ("chunk", "none", "step")
    assert (paper.diffusion.prediction, default.diffusion.prediction) == ("epsilon", "sample")
    assert (paper.unet.prefix_marking, release.unet.prefix_marking) == ("per_step_time", "none")
    assert (paper.condition.null, release.condition.null) == ("learned", "zeros")
    assert release.diffusion.prefix_probability_means == "drop" and release.encoder.proprioception == ("q",)
    assert release.condition.min_period == pytest.approx(2.0 * np.pi)
    assert {c.unet.down_dims for c in (paper, release, default)} == {paper.unet.down_dims}
    assert (paper.encoder.frozen, release.encoder.frozen, default.encoder.frozen) == (False, False, True)


def test_fields_are_set_by_name() -> None:
    changed = with_fields(
        ActorConfig(), ["unet.prefix_marking=none", "unet.down_dims=[16, 32]", "horizon=28"]
    )
    assert (changed.unet.prefix_marking, changed.unet.down_dims, changed.horizon) == ("none", (16, 32), 28)
    for wrong in ("unet", "unet.prefix_marking=loud", "unet=3", "a.b.c=1"):
        with pytest.raises(UsageError, match=f"--set {wrong}"):
            with_fields(ActorConfig(), [wrong])
