"""Shapes, conditioning and prefix marking of the networks."""

from dataclasses import replace

import pytest
import torch

from dexpie_training.actor_presets import actor_preset
from dexpie_training.config import ConditionConfig, UnetConfig
from dexpie_training.models.embeddings import OptimalityEmbedding, StepEmbedding, sinusoid
from dexpie_training.models.modulation import CLEAN_STEP
from dexpie_training.models.unet1d import ConditionalUnet1d, FilmBlock

TINY = UnetConfig(down_dims=(32, 64, 64), step_dim=64)


def unet(config: UnetConfig = TINY, condition_dim: int = 7) -> ConditionalUnet1d:
    torch.manual_seed(0)
    return ConditionalUnet1d(15, condition_dim, config).eval()


@pytest.mark.parametrize("marking", ["per_step_time", "mask_channel", "none"])
@pytest.mark.parametrize("length", [4, 24, 28])
def test_shapes(marking: str, length: int) -> None:
    net = unet(UnetConfig(down_dims=(16, 32, 64), step_dim=16, prefix_marking=marking))  # type: ignore[arg-type]
    x, step, condition = torch.randn(2, length, 15), torch.tensor([3, 40]), torch.randn(2, 7)
    mask = torch.zeros(2, length, dtype=torch.bool)
    mask[0, :2] = True
    assert net(x, step, condition).shape == x.shape
    assert net(x, step, condition, mask).shape == x.shape


def test_prefix_features_tell_prefixes_apart_and_ignore_the_rest() -> None:
    encoder = unet(UnetConfig(down_dims=(16, 32), step_dim=16, prefix_features=8)).modulator.prefix_encoder
    assert encoder is not None
    x, mask = torch.randn(2, 24, 15), torch.zeros(2, 24, dtype=torch.bool)
    mask[:, :2] = True
    other = x.clone()
    other[:, 2:] = 0.0  # noise, not prefix
    torch.testing.assert_close(encoder(x, mask), encoder(other, mask))
    other[:, 1] += 0.1
    assert not torch.allclose(encoder(x, mask), encoder(other, mask))
    torch.testing.assert_close(encoder(x, None), encoder(x, torch.zeros_like(mask)))


def test_length_must_be_divisible() -> None:
    with pytest.raises(ValueError, match="not divisible by 4"):
        unet()(torch.zeros(1, 26, 15), torch.zeros(1), torch.zeros(1, 7))


def test_paper_size() -> None:
    """The published network has some 65 M parameters at this condition size."""
    with torch.device("meta"):
        net = ConditionalUnet1d(15, 128, actor_preset("paper", "paper").config.unet)
    assert 60e6 < sum(p.numel() for p in net.parameters()) < 80e6


def test_output_depends_on_step_and_condition() -> None:
    net, x = unet(), torch.randn(1, 24, 15)
    base = net(x, torch.tensor([10]), torch.zeros(1, 7))
    assert not torch.allclose(base, net(x, torch.tensor([11]), torch.zeros(1, 7)), atol=1e-6)
    assert not torch.allclose(base, net(x, torch.tensor([10]), torch.ones(1, 7)), atol=1e-6)


@pytest.mark.parametrize("marking", ["per_step_time", "mask_channel", "none"])
def test_only_marked_prefixes_are_seen(marking: str) -> None:
    net = unet(UnetConfig(down_dims=(16, 32, 64), step_dim=16, prefix_marking=marking))  # type: ignore[arg-type]
    x, step, condition = torch.randn(1, 24, 15), torch.tensor([20]), torch.randn(1, 7)
    empty = torch.zeros(1, 24, dtype=torch.bool)
    marked = empty.clone()
    marked[:, :3] = True
    plain = net(x, step, condition)
    torch.testing.assert_close(net(x, step, condition, empty), plain)
    assert torch.allclose(net(x, step, condition, marked), plain, atol=1e-6) == (marking == "none")


def test_per_step_time_all_clean_equals_the_clean_step() -> None:
    """With every step marked clean, the modulation is that of a uniform chunk at the clean step."""
    net, x, condition = unet(), torch.randn(2, 24, 15), torch.randn(2, 7)
    marked = net(x, torch.tensor([30, 5]), condition, torch.ones(2, 24, dtype=torch.bool))
    torch.testing.assert_close(marked, net(x, torch.tensor([-1, -1]), condition))


def test_modulation_is_one_linear_layer_of_step_condition_and_prefix() -> None:
    net = unet(UnetConfig(down_dims=(16, 32), step_dim=16, prefix_features=8))
    modulator, x, condition = net.modulator, torch.randn(2, 8, 15), torch.randn(2, 7)
    mask = torch.arange(8)[None] < torch.tensor([[0], [3]])
    step = torch.tensor([30, 5])
    weight = torch.cat([modulator.step_film.weight, modulator.condition_film.weight], dim=1)
    assert float(weight.detach().abs().max()) <= (16 + 7 + 8) ** -0.5

    def whole(steps: torch.Tensor) -> torch.Tensor:
        inputs = [modulator.step_embedding(steps), condition, modulator.prefix_encoder(x, mask)]
        joined = torch.nn.functional.mish(torch.cat(inputs, dim=1))
        return torch.nn.functional.linear(joined, weight, modulator.step_film.bias)

    found = modulator(step, net.prepare(condition, x, mask), mask)
    torch.testing.assert_close(found.noisy, whole(step))
    torch.testing.assert_close(found.noisy + found.to_clean, whole(torch.tensor([CLEAN_STEP] * 2)))
    scale, bias = found.of(slice(0, 32), 4)  # positions 0 and 1 of the second sample: clean, and half clean
    expected = found.noisy[1, :32] + 0.5 * found.to_clean[1, :32]
    torch.testing.assert_close(torch.cat([scale, bias], dim=1)[1, :, 1], expected)
    torch.testing.assert_close(torch.cat([scale, bias], dim=1)[0, :, 0], found.noisy[0, :32])


def test_blocks_share_no_modulation() -> None:
    """Every block has columns of its own, and all columns are used."""
    net = unet()
    columns = [block.film for block in net.modules() if isinstance(block, FilmBlock)]
    taken = sorted(i for c in columns for i in range(c.start, c.stop))
    assert len(columns) == 12 and taken == list(range(net.trunk.modulation_dim))


def test_sinusoid_hand_values() -> None:
    out = sinusoid(torch.tensor([0.0, 1.0]), 4, min_period=2.0, max_period=4.0)
    expected = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, -1.0, 0.0]])  # periods 2 and 4 at x = 1
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=0)


def test_step_embedding_tells_all_steps_apart() -> None:
    torch.manual_seed(0)
    out = StepEmbedding(64)(torch.arange(-1, 50))
    distance = torch.cdist(out, out) + 10 * torch.eye(51)
    assert distance.min() > 1e-3


CONTINUOUS = ConditionConfig("continuous")


def test_optimality_embedding_resolves_what_the_usual_ladder_does_not() -> None:
    values = torch.tensor([0.6, 0.8])
    ours = OptimalityEmbedding(CONTINUOUS)(values, torch.zeros(2, dtype=torch.bool))
    usual = sinusoid(values, 128, 6.2831853, 6.2831853e4)
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(usual[0], usual[1], dim=0) > 0.99 and cosine(ours[0], ours[1], dim=0) < 0.6


@pytest.mark.parametrize("learned", [True, False])
def test_masked_optimality_is_the_null_vector(learned: bool) -> None:
    null = "learned" if learned else "zeros"
    embedding = OptimalityEmbedding(replace(CONTINUOUS, dim=16, null=null))
    out = embedding(torch.tensor([0.3, 1.0]), torch.tensor([True, False]))
    torch.testing.assert_close(out[0], embedding.null.data)
    assert embedding.null.requires_grad == learned and (learned or torch.all(out[0] == 0))
