"""Frozen image encoders, R3M's checkpoint format, cached features."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_dataset import Toy, path_m, write_episodes
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d

from dexpie_core.errors import UsageError
from dexpie_training.dataset import Dataset
from dexpie_training.feature_files import FrozenFeatures
from dexpie_training.make_features import FeaturesOptions, run_features
from dexpie_training.models.image_encoder import ImageEncoder, load_r3m, random_resnet18
from dexpie_training.models.resnet import ResNet18, batch_norm, group_norm
from dexpie_training.train_critic import TrainCriticOptions, run_train_critic

IMAGES = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network() -> ResNet18:
    """With statistics as of a trained network: not the initial zeros and ones."""
    torch.manual_seed(1)
    made = ResNet18(batch_norm)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0.0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
            module.weight.data.uniform_(0.5, 1.5)
    return made


@pytest.fixture(scope="module")
def r3m_file(network: ResNet18, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in R3M's format: its prefix, and heads that are not ours."""
    file = tmp_path_factory.mktemp("r3m") / "model.pt"
    parameters = {f"module.convnet.{name}": value for name, value in network.state_dict().items()}
    parameters["module.lang_enc.model.weight"] = torch.zeros(2)
    parameters["module.lang_rew.pred.0.weight"] = torch.zeros(2)
    torch.save({"r3m": parameters, "global_step": 1}, file)
    return file


def reference(w: dict[str, Tensor], x: Tensor) -> Tensor:
    """ResNet-18 out of its parameters' names, as in the paper's figure 3 and table 1."""

    def norm(x: Tensor, name: str) -> Tensor:
        shape = (1, -1, 1, 1)
        mean, var, weight, bias = (
            w[f"{name}.{part}"].view(shape) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    x = max_pool2d(norm(conv2d(x, w["conv1.weight"], None, 2, 3), "bn1").relu(), 3, 2, 1)
    for stage in range(1, 5):
        for block in range(2):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = norm(conv2d(x, w[f"{name}.conv1.weight"], None, stride, 1), f"{name}.bn1").relu()
            y = norm(conv2d(y, w[f"{name}.conv2.weight"], None, 1, 1), f"{name}.bn2")
            if f"{name}.downsample.0.weight" in w:
                x = norm(conv2d(x, w[f"{name}.downsample.0.weight"], None, stride), f"{name}.downsample.1")
            x = (x + y).relu()
    return x.flatten(2).mean(dim=2)


def normalised(images: Tensor) -> Tensor:
    """uint8 images as ImageNet's networks want them, per channel by hand."""
    x = images.permute(0, 3, 1, 2).double() / 255.0
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((x - mean.double().view(1, 3, 1, 1)) / deviation.double().view(1, 3, 1, 1)).float()


def test_features_are_those_of_resnet_18(network: ResNet18) -> None:
    assert sum(p.numel() for p in network.parameters()) == 11_176_512  # 11,689,512 less the classifier
    found = ImageEncoder(network)(IMAGES)
    assert found.shape == (3, 512)
    torch.testing.assert_close(
        found, reference(network.state_dict(), normalised(IMAGES)), atol=1e-3, rtol=1e-3
    )


def test_range_of_the_images(network: ResNet18) -> None:
    """Negative: floats are refused, since dividing by 255 twice or never goes unnoticed."""
    encoder = ImageEncoder(network)
    for wrong in (IMAGES.float(), IMAGES.float() / 255.0):
        with pytest.raises(ValueError, match="not uint8"):
            encoder(wrong)


def test_a_frozen_encoder_stays_frozen_whatever_train_is_called(network: ResNet18) -> None:
    """Negative: the same network, not frozen, changes its statistics and its output."""
    encoder = ImageEncoder(network)
    before, statistics = encoder(IMAGES), network.bn1.running_mean.clone()
    encoder.train()
    nn.Sequential(nn.Linear(1, 1), encoder).train()
    assert not any(module.training for module in encoder.modules())
    assert torch.equal(encoder(IMAGES), before) and torch.equal(network.bn1.running_mean, statistics)
    assert not any(p.requires_grad for p in encoder.parameters())
    network.train()
    assert not torch.allclose(network(normalised(IMAGES)), before, atol=1e-2)
    assert not torch.equal(network.bn1.running_mean, statistics)
    network.bn1.running_mean.copy_(statistics)
    network.eval()


def test_group_norm_has_no_statistics_to_flip() -> None:
    network = ResNet18(group_norm)
    assert not list(network.buffers())
    x = normalised(IMAGES)
    torch.testing.assert_close(network.train()(x), network.eval()(x))
    assert random_resnet18().sha256 == random_resnet18().sha256 != random_resnet18(seed=1).sha256


def test_r3m_checkpoint_is_read_strictly(network: ResNet18, r3m_file: Path, tmp_path: Path) -> None:
    loaded = load_r3m(r3m_file)
    expected = network.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.network.state_dict().items())

    def changed(file: str, edit) -> Path:
        content = torch.load(r3m_file, weights_only=True)
        edit(content)
        torch.save(content, tmp_path / file)
        return tmp_path / file

    def deeper(content) -> None:
        content["r3m"]["module.convnet.layer1.0.conv3.weight"] = torch.zeros(1)

    def wider(content) -> None:
        content["r3m"]["module.convnet.conv1.weight"] = torch.zeros(64, 3, 3, 3)

    (tmp_path / "text.pt").write_text("no checkpoint")
    cases = {
        tmp_path / "none.pt": "no such file; give model.pt of r3m_18",
        tmp_path / "text.pt": "cannot be read as a checkpoint",
        changed("key.pt", lambda content: content.pop("r3m")): "entry 'r3m' is missing",
        changed("deep.pt", deeper): r"1 parameters differ \(first: layer1.0.conv3.weight\)",
        changed("wide.pt", wider): r"1 parameters differ \(first: conv1.weight\)",
        changed("empty.pt", lambda content: content["r3m"].clear()): "120 parameters differ",
    }
    for file, message in cases.items():
        with pytest.raises(UsageError, match=message) as caught:
            load_r3m(file)
        assert "\n" not in str(caught.value) and str(file) in str(caught.value)


def test_features_are_computed_once_and_serve_the_critic(r3m_file: Path, tmp_path: Path) -> None:
    episodes = [Toy(path_m(True, 1)[:4]), Toy(path_m(False, 2)[:3], success=False)]
    folder = write_episodes(tmp_path / "dataset", episodes, images_px=32)
    options = FeaturesOptions(folder, "r3m", weights=r3m_file, batch_size=4, threads=1)
    steps: list[tuple[int, int]] = []
    report = run_features(options, lambda done, total: steps.append((done, total)))
    assert (report.rows, report.dim) == (7, 1024) and steps == [(4, 7), (7, 7)]
    dataset, encoder = Dataset.open(folder), load_r3m(r3m_file)
    found = FrozenFeatures.open(dataset, "r3m")
    both = [encoder(torch.from_numpy(np.array(dataset.frames[c]))) for c in ("front", "wrist")]
    np.testing.assert_allclose(found.rows, torch.cat(both, dim=1).numpy(), atol=1e-4, rtol=1e-4)
    assert found.encoder_sha256 == encoder.sha256 and isinstance(found.rows, np.memmap)
    with pytest.raises(UsageError, match="exists already"):
        run_features(options)
    critic = TrainCriticOptions(folder, tmp_path / "critic", encoder="r3m", steps=2, crossfit=2, threads=1)
    assert run_train_critic(critic).metrics.rows == 7
    provenance = folder / "features" / "r3m.json"
    meta = json.loads(provenance.read_text())
    assert meta["cameras"] == ["front", "wrist"] and meta["dataset_sha256"] == dataset.content_hash
    provenance.write_text(json.dumps({**meta, "dataset_sha256": "0"}))
    with pytest.raises(UsageError, match="features of another dataset"):
        FrozenFeatures.open(dataset, "r3m")


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--weights is missing"):
        FeaturesOptions(tmp_path, "r3m")
    with pytest.raises(UsageError, match="--weights is for --encoder r3m"):
        FeaturesOptions(tmp_path, "resnet18", weights=tmp_path)
    blind = write_episodes(tmp_path / "blind", [Toy(path_m(True, 1))])
    with pytest.raises(UsageError, match="has no images"):
        run_features(FeaturesOptions(blind, "resnet18"))
    assert not list((blind / "features").glob("resnet18*"))
