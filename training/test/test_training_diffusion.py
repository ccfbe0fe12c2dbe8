"""The noise schedule, the loss and the sampler, against diffusers and hand-computed values."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from dexpie_training.config import DiffusionConfig
from dexpie_training.diffusion import Diffusion, alphas_cumprod, prefix_mask

KWARGS = {
    "num_train_timesteps": 50,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "squaredcos_cap_v2",
    "clip_sample": True,
    "prediction_type": "epsilon",
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_schedule_equals_diffusers() -> None:
    torch.testing.assert_close(alphas_cumprod(50), DDPMScheduler(**KWARGS).alphas_cumprod, rtol=0, atol=1e-7)


def test_add_noise_equals_diffusers() -> None:
    clean, noise = (
        torch.randn(50, 24, 15, generator=generator()),
        torch.randn(50, 24, 15, generator=generator(1)),
    )
    steps = torch.arange(50)
    expected = DDPMScheduler(**KWARGS).add_noise(clean, noise, steps)
    torch.testing.assert_close(
        Diffusion(DiffusionConfig()).add_noise(clean, noise, steps), expected, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("prediction", ["epsilon", "sample"])
@pytest.mark.parametrize("sample_steps", [10, 5, 50])
def test_sampler_equals_diffusers(sample_steps: int, prediction: str) -> None:
    weight = torch.randn(15, 15, generator=generator(3)) / 4

    def denoiser(x: Tensor, step: Tensor, mask: Tensor | None) -> Tensor:
        return torch.tanh(x @ weight + step[:, None, None] / 50)

    noise = torch.randn(3, 24, 15, generator=generator(2))
    kwargs = {**KWARGS, "prediction_type": prediction}
    scheduler = DDIMScheduler(**kwargs, set_alpha_to_one=True, steps_offset=0)
    scheduler.set_timesteps(sample_steps)
    expected = noise
    for step in scheduler.timesteps:
        expected = scheduler.step(denoiser(expected, step.expand(3), None), step, expected).prev_sample
    config = DiffusionConfig(sample_steps=sample_steps, prediction=prediction)  # type: ignore[arg-type]
    actual = Diffusion(config).sample(denoiser, noise)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_prefix_is_imposed_at_every_step() -> None:
    prefix = torch.rand(2, 3, 15, generator=generator())
    seen: list[Tensor] = []

    def denoiser(x: Tensor, step: Tensor, mask: Tensor | None) -> Tensor:
        assert mask is not None and mask.sum(dim=1).tolist() == [3, 3]
        seen.append(x.clone())
        return torch.zeros_like(x)

    out = Diffusion(DiffusionConfig()).sample(denoiser, torch.randn(2, 24, 15), prefix)
    assert len(seen) == 10
    assert all(torch.equal(x[:, :3], prefix) for x in seen)
    assert torch.equal(out[:, :3], prefix)


def test_sampler_leaves_its_inputs_alone() -> None:
    noise = torch.randn(1, 24, 15, generator=generator())
    before = noise.clone()
    Diffusion(DiffusionConfig()).sample(lambda x, s, m: 0.1 * x, noise)
    assert torch.equal(noise, before)


def test_prefix_mask() -> None:
    assert prefix_mask(torch.tensor([0, 2]), 4).tolist() == [[False] * 4, [True, True, False, False]]


def test_loss_counts_only_the_rest() -> None:
    """Two steps, the first is prefix: the error there is ignored, and the divisor is the rest alone."""
    diffusion = Diffusion(DiffusionConfig())
    clean, noise = torch.zeros(1, 2, 1), torch.tensor([[[1.0], [3.0]]])
    mask = torch.tensor([[True, False]])
    loss = diffusion.loss_given(lambda x, s, m: torch.zeros_like(x), clean, noise, torch.tensor([10]), mask)
    assert loss.item() == pytest.approx(
        9.0
    )  # (3 - 0)^2 / 1; with the prefix it would be 5, over all steps 4.5


def test_no_gradient_reaches_the_prefix() -> None:
    diffusion = Diffusion(DiffusionConfig())
    output = torch.zeros(4, 8, 2, requires_grad=True)
    mask = prefix_mask(torch.tensor([0, 1, 2, 4]), 8)
    noise = torch.randn(4, 8, 2, generator=generator())
    diffusion.loss_given(
        lambda x, s, m: output, torch.zeros(4, 8, 2), noise, torch.zeros(4, dtype=torch.long), mask
    ).backward()
    assert output.grad is not None
    assert torch.all(output.grad[mask] == 0) and torch.all(output.grad[~mask] != 0)


def test_network_sees_the_clean_prefix() -> None:
    diffusion = Diffusion(DiffusionConfig())
    clean = torch.rand(3, 8, 2, generator=generator())
    mask = prefix_mask(torch.tensor([0, 2, 4]), 8)

    def denoiser(x: Tensor, step: Tensor, given: Tensor | None) -> Tensor:
        assert given is not None and torch.equal(given, mask)
        assert torch.equal(x[mask], clean[mask]) and not torch.any(x[~mask] == clean[~mask])
        return x

    diffusion.loss_given(
        denoiser, clean, torch.randn(3, 8, 2, generator=generator(1)), torch.full((3,), 30), mask
    )


@pytest.mark.parametrize(("means", "share_without"), [("keep", 0.1 + 0.9 / 5), ("drop", 0.9 + 0.1 / 5)])
def test_prefix_rates(means: str, share_without: float) -> None:
    config = DiffusionConfig(prefix_probability_means=means)  # type: ignore[arg-type]
    lengths = Diffusion(config).draw_prefix_lengths(40_000, generator())
    assert lengths.min() == 0 and lengths.max() == 4
    assert (lengths == 0).float().mean().item() == pytest.approx(share_without, abs=0.01)
    counts = torch.bincount(lengths, minlength=5)[1:].float()
    assert torch.all((counts / counts.mean() - 1).abs() < 0.15)


def test_steps_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="does not divide"):
        Diffusion(DiffusionConfig(sample_steps=7))
