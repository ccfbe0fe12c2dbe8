"""Conditioning on optimality and guidance: identities that hold exactly, and a toy whose answer is known."""

from dataclasses import replace

import pytest
import torch

from dexpie_training.config import ActorConfig, ConditionConfig, DiffusionConfig, EncoderConfig, UnetConfig
from dexpie_training.diffusion import Diffusion
from dexpie_training.guidance import combine, guided
from dexpie_training.models.actor import Actor
from dexpie_training.models.observation import ObservationBatch

HORIZON, COUNT = 8, 3
UNET = UnetConfig(down_dims=(16, 32), step_dim=32, prefix_features=16)
CONDITION = ConditionConfig("continuous", dim=32)
CONFIG = ActorConfig(
    horizon=HORIZON,
    unet=UNET,
    encoder=EncoderConfig(hidden_dim=16, feature_dim=8),
    diffusion=DiffusionConfig(prediction="sample"),
    condition=CONDITION,
)


def observed(count: int) -> ObservationBatch:
    """The same observation many times: what differs can only come from condition and noise."""
    pose = torch.tensor([0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).repeat(count, 1)
    return ObservationBatch(torch.zeros(count, 6), pose, torch.full((count, 6), 0.5))


def make_actor(config: ActorConfig = CONFIG) -> Actor:
    torch.manual_seed(0)
    return Actor(config)


@pytest.fixture(scope="module")
def actor() -> Actor:
    return make_actor().eval()


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.randn(COUNT, HORIZON, 15, generator=torch.Generator().manual_seed(1))


def test_combination_by_hand() -> None:
    null, best = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 2.0])
    assert combine(null, best, 1.5).tolist() == [4.0, 4.0]  # -0.5 null + 1.5 best
    assert torch.equal(combine(null, best, 0.0), null) and torch.equal(combine(null, best, 1.0), best)


def sample_naively(
    actor: Actor, noise: torch.Tensor, prefix: torch.Tensor | None, beta: float
) -> torch.Tensor:
    """Two separate evaluations a step, as one would write it without a thought for speed."""
    features, ones = actor.encoder(observed(len(noise))), torch.ones(len(noise))
    null = actor.denoiser(features, ones, torch.ones(len(noise), dtype=torch.bool))
    best = actor.denoiser(features, ones, torch.zeros(len(noise), dtype=torch.bool))
    given = None if prefix is None else actor.normaliser.normalise(prefix)
    x = actor.diffusion.sample(
        lambda x, s, m: null(x, s, m) + beta * (best(x, s, m) - null(x, s, m)), noise, given
    )
    return actor.normaliser.denormalise(x)


@pytest.mark.parametrize("prefixed", [False, True])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 1.5])
def test_one_batch_gives_what_two_evaluations_give(
    actor: Actor, noise: torch.Tensor, beta: float, prefixed: bool
) -> None:
    prefix = 0.1 * torch.ones(COUNT, 2, 15) if prefixed else None
    with torch.no_grad():
        ours = actor.sample(observed(COUNT), noise, prefix, beta)
        naive = sample_naively(actor, noise, prefix, beta)
    torch.testing.assert_close(ours, naive, atol=1e-4, rtol=1e-4)


def test_the_ends_of_guidance_are_the_plain_models_bit_for_bit(actor: Actor, noise: torch.Tensor) -> None:
    features, ones = actor.encoder(observed(COUNT)), torch.ones(COUNT)
    for beta, withheld in ((0.0, True), (1.0, False)):
        plain = actor.denoiser(features, ones, torch.full((COUNT,), withheld))
        with torch.no_grad():
            expected = actor.normaliser.denormalise(actor.diffusion.sample(plain, noise))
            assert torch.equal(actor.sample(observed(COUNT), noise, guidance=beta), expected)


def test_guidance_of_noise_and_of_chunks_is_the_same_thing(noise: torch.Tensor) -> None:
    """x = s c + n e: guiding the clean chunk c or the noise e gives the same samples."""
    config = DiffusionConfig(clip_sample=1e9)
    signal = Diffusion(config)._signal_share.sqrt()
    level = (1.0 - Diffusion(config)._signal_share).sqrt()
    half = torch.tensor([0.2, 0.7])  # clean chunks of the unconditional and the conditional half

    def chunks(x: torch.Tensor, step: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return half.repeat_interleave(COUNT)[:, None, None].expand_as(x)

    def noises(x: torch.Tensor, step: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        s, n = signal[step][:, None, None], level[step][:, None, None]
        return (x - s * chunks(x, step, mask)) / n

    as_chunk = Diffusion(replace(config, prediction="sample")).sample(guided(chunks, 1.5), noise)
    as_noise = Diffusion(config).sample(guided(noises, 1.5), noise)
    torch.testing.assert_close(as_chunk, torch.full_like(noise, 0.95))  # -0.5 * 0.2 + 1.5 * 0.7
    torch.testing.assert_close(as_noise, as_chunk, atol=1e-4, rtol=1e-4)


def test_condition_is_withheld_at_the_stated_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    actor, seen = make_actor(), []
    plain = actor.condition.forward  # type: ignore[union-attr]

    def spy(optimality: torch.Tensor, masked: torch.Tensor) -> torch.Tensor:
        seen.append(masked)
        return plain(optimality, masked)

    monkeypatch.setattr(actor.condition, "forward", spy)
    count = 1000
    actor(
        observed(count), torch.zeros(count, HORIZON, 15), torch.ones(count), torch.Generator().manual_seed(0)
    )
    rate = seen[0].float().mean().item()
    assert abs(rate - 0.3) < 3 * (0.3 * 0.7 / count) ** 0.5


def test_a_bit_knows_good_from_the_rest() -> None:
    actor = make_actor(replace(CONFIG, condition=replace(CONDITION, kind="binary")))
    out = actor.condition(torch.tensor([1.0, 0.0, 0.99]), torch.zeros(3, dtype=torch.bool))  # type: ignore[misc]
    assert torch.equal(out[1], out[2]) and not torch.equal(out[0], out[1])


@pytest.mark.parametrize("kind", ["continuous", "binary"])
def test_a_known_answer_is_found(kind: str) -> None:
    """One observation, two habits: one in five goes left and is good, the others go right and are bad.

    Without a condition it does what is frequent; with it, what is good.
    """
    torch.set_num_threads(1)
    diffusion = DiffusionConfig(prediction="sample", prefix_probability=0.0)  # a prefix would say it all
    actor = make_actor(replace(CONFIG, condition=replace(CONDITION, kind=kind), diffusion=diffusion))
    low, high = -torch.ones(HORIZON, 15), torch.ones(HORIZON, 15)
    actor.normaliser.fit(low.numpy(), high.numpy())
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(actor.parameters(), lr=2e-3)
    for _ in range(150):
        good = torch.rand(64, generator=generator) < 0.2
        value = torch.where(good, -0.5, 0.5)[:, None, None]
        chunks = value + 0.05 * torch.randn(64, HORIZON, 15, generator=generator)
        optimality = torch.where(good, 1.0, 0.0 if kind == "binary" else 0.05)
        loss = actor(observed(64), chunks, optimality, generator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    noise = torch.randn(64, HORIZON, 15, generator=generator)
    with torch.no_grad():
        left = {
            beta: (actor.eval().sample(observed(64), noise, guidance=beta)[..., 0].mean(1) < 0).float().mean()
            for beta in (0.0, 1.0, 1.5)
        }
    assert left[0.0] < 0.5 and left[1.0] > 0.95 and left[1.5] > 0.95
