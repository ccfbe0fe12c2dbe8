"""Wide convolutions as products of matrices: the same numbers and gradients as torch's convolutions."""

import pytest
import torch
from torch import Tensor, nn

from dexpie_training.models.step_conv import WIDE_FROM, StepNorm, StepUp, WideConv, joined, step_conv


def values_and_gradients(module: nn.Module, x: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    """Output, and gradients of a weighted sum of it."""
    out = module(x)
    weights = torch.linspace(-1.0, 1.0, out.numel(), dtype=out.dtype).view(out.shape)
    return [out, *torch.autograd.grad((out * weights).sum(), [x, *parameters])]


def inputs(channels: int, steps: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, channels, steps, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(
    ("taps", "stride", "steps"), [(5, 1, 12), (3, 2, 12), (1, 1, 6), (5, 1, 3), (3, 2, 2)]
)
def test_a_wide_convolution_is_torchs(taps: int, stride: int, steps: int) -> None:
    wide = WideConv(6, 9, taps, stride).double()
    plain = nn.Conv1d(6, 9, taps, stride, taps // 2).double()
    plain.load_state_dict({"weight": wide.weight.detach().permute(2, 1, 0), "bias": wide.bias.detach()})
    x = inputs(6, steps)
    found = values_and_gradients(wide, x, [wide.weight, wide.bias])
    expected = values_and_gradients(plain, x, [plain.weight, plain.bias])
    expected[2] = expected[2].permute(2, 1, 0)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_wide_transposed_convolution_is_torchs() -> None:
    wide = StepUp(128, 128).double()
    x = inputs(128, 6)
    found = values_and_gradients(wide, x, [wide.weight, wide.bias])
    expected = values_and_gradients(
        lambda x: nn.functional.conv_transpose1d(x, wide.weight, wide.bias, 2, 1), x, [wide.weight, wide.bias]
    )
    assert wide.in_channels * wide.out_channels >= WIDE_FROM and not found[0].is_contiguous()
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_norm_and_joining_keep_what_lies_steps_first() -> None:
    lying = inputs(8, 6).detach().transpose(1, 2).contiguous().transpose(1, 2)
    norm = StepNorm(4, 8).double()
    torch.testing.assert_close(norm(lying), norm(lying.contiguous()))
    torch.testing.assert_close(joined(lying, lying.contiguous()), torch.cat([lying, lying], dim=1))
    for out in (norm(lying), joined(lying, lying.contiguous())):
        assert out.transpose(1, 2).is_contiguous()


def test_under_autocast_it_is_rounded_as_a_convolution_is() -> None:
    wide = WideConv(32, 16, 5)
    x = inputs(32, 12).detach().float()
    exact = wide(x)
    with torch.autocast("cpu", torch.bfloat16):
        half = wide(x)
    assert half.dtype == torch.bfloat16
    error = (half.float() - exact).norm() / exact.norm()
    assert 1e-4 < error < 1e-2


def test_a_traced_one_is_a_convolution() -> None:
    """Compilers for inference get an operation that they know."""
    wide = WideConv(4, 4, 3)
    x = torch.randn(1, 4, 6)
    traced = torch.jit.trace(wide, x)
    assert "conv1d" in str(traced.graph) or "_convolution" in str(traced.graph)
    torch.testing.assert_close(traced(x), wide(x))


def test_only_wide_ones_are_products() -> None:
    assert isinstance(step_conv(128, 128, 5), WideConv)
    assert isinstance(step_conv(127, 128, 5), nn.Conv1d)


def test_starting_weights_are_torchs() -> None:
    """Same distribution as nn.Conv1d: uniform to 1 / sqrt(taps * in)."""
    torch.manual_seed(0)
    wide, plain = (made(64, 256, 5).weight.detach() for made in (WideConv, nn.Conv1d))
    assert float(wide.abs().max()) == pytest.approx(float(plain.abs().max()), rel=1e-3)
    assert float(wide.std()) == pytest.approx(float(plain.std()), rel=0.02)
