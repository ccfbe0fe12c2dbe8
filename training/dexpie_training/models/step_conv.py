"""Convolutions over the steps of a chunk; wide ones are products of matrices on a CPU.

A CPU with matrix units multiplies large bfloat16 matrices ten times faster than its float32 convolutions run;
torch loses that by reordering weights and activations at every call. A wide convolution keeps its
weights in the order of the product, (taps, in, out), and leaves activations in memory as (B, T, C).
"""

import math
from typing import Any, Final

import torch
from torch import Tensor, nn

WIDE_FROM: Final = 128 * 128  # channels in times out; narrower ones are faster as convolutions


def step_conv(channels_in: int, channels_out: int, taps: int, stride: int = 1) -> nn.Module:
    """Convolution (B, in, T) -> (B, out, T / stride), zeros beyond the ends; taps is odd."""
    if channels_in * channels_out < WIDE_FROM:
        return nn.Conv1d(channels_in, channels_out, taps, stride, taps // 2)
    return WideConv(channels_in, channels_out, taps, stride)


class WideConv(nn.Module):
    """As nn.Conv1d, weight (taps, in, out)."""

    def __init__(self, channels_in: int, channels_out: int, taps: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.padding = stride, taps // 2
        bound = 1.0 / math.sqrt(taps * channels_in)  # as nn.Conv1d
        self.weight = nn.Parameter(torch.empty(taps, channels_in, channels_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels_out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """The convolution."""
        if _multiplies(x):
            return _product(x, self.weight, self.bias, self.stride, self.padding)
        return nn.functional.conv1d(x, self.weight.permute(2, 1, 0), self.bias, self.stride, self.padding)


class StepUp(nn.ConvTranspose1d):
    """Twice as many steps: (B, in, T) -> (B, out, 2 T)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 4, stride=2, padding=1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The transposed convolution: as a product, a convolution to the even and the odd steps."""
        if self.in_channels * self.out_channels < WIDE_FROM or not _multiplies(x):
            return super().forward(x, output_size)
        assert self.bias is not None
        w = self.weight  # (in, out, 4): tap k of step t goes to step 2 t + k - 1
        none = torch.zeros_like(w[..., 0])
        even = torch.stack([w[..., 3], w[..., 1], none])
        odd = torch.stack([none, w[..., 2], w[..., 0]])
        out = _product(x, torch.cat([even, odd], dim=2), self.bias.repeat(2), stride=1, padding=1)
        count, width, steps = out.shape
        return out.transpose(1, 2).reshape(count, 2 * steps, width // 2).transpose(1, 2)


class StepNorm(nn.GroupNorm):
    """nn.GroupNorm that leaves activations in memory as they lie."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        if x.is_contiguous():
            return super().forward(x)
        return super().forward(x[:, :, None])[:, :, 0]


def joined(a: Tensor, b: Tensor) -> Tensor:
    """Channels of both, (B, C, T) each, that lie in memory as those of `a`."""
    if a.is_contiguous():
        return torch.cat([a, b], dim=1)
    return torch.cat([a.transpose(1, 2), b.transpose(1, 2)], dim=2).transpose(1, 2)


def _multiplies(x: Tensor) -> bool:
    """Compilers that trace the network know better what to do with a convolution."""
    traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return x.is_cpu and not traced


def _product(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    out: Tensor = _Product.apply(x, weight, bias, stride, padding)  # type: ignore[no-untyped-call]
    return out


class _Product(torch.autograd.Function):
    """x (B, C, T), weight (K, C, O), bias (O,) -> (B, O, T'), in the precision of autocast if it is on."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        columns = _columns(x.transpose(1, 2), len(weight), stride, padding, dtype)
        matrix = weight.flatten(0, 1).to(dtype)
        out = torch.addmm(bias.to(dtype), columns.flatten(0, 1), matrix)
        ctx.save_for_backward(columns, matrix)
        ctx.shape, ctx.dtypes, ctx.stride, ctx.padding = x.shape, (x.dtype, weight.dtype), stride, padding
        return out.view(*columns.shape[:2], -1).transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        columns, matrix = ctx.saved_tensors
        to_x, to_weight = ctx.dtypes
        channels = ctx.shape[1]
        given = gradients[0].transpose(1, 2).to(matrix.dtype).flatten(0, 1)
        of_weight = (columns.flatten(0, 1).t() @ given).to(to_weight).unflatten(0, (-1, channels))
        of_bias = given.sum(0, dtype=to_weight)
        of_x = None
        if ctx.needs_input_grad[0]:
            taps = (given @ matrix.t()).view(*columns.shape[:2], -1, channels)
            of_x = _gathered(taps, ctx.shape[2], ctx.stride, ctx.padding, to_x).transpose(1, 2)
        return of_x, of_weight, of_bias, None, None


def _columns(x: Tensor, taps: int, stride: int, padding: int, dtype: torch.dtype) -> Tensor:
    """What each output step sees, side by side: (B, T, C) -> (B, T', taps * C)."""
    if taps == 1:
        return x.to(dtype).contiguous()
    count, steps, channels = x.shape
    padded = x.new_empty(count, steps + 2 * padding, channels, dtype=dtype)
    padded[:, :padding] = 0
    padded[:, padding : padding + steps] = x
    padded[:, padding + steps :] = 0
    outputs = (steps + 2 * padding - taps) // stride + 1
    size = (count, outputs, taps * channels)
    return padded.as_strided(size, (padded.stride(0), stride * channels, 1)).contiguous()


def _gathered(taps: Tensor, steps: int, stride: int, padding: int, dtype: torch.dtype) -> Tensor:
    """The other way: what each tap (B, T', taps, C) gives back to the steps it saw, (B, T, C)."""
    count, outputs, number, channels = taps.shape
    if number == 1:
        return taps[:, :, 0].to(dtype)
    padded = taps.new_zeros(count, steps + 2 * padding, channels, dtype=dtype)
    for tap in range(number):
        padded[:, tap : tap + stride * outputs : stride] += taps[:, :, tap]
    return padded[:, padding : padding + steps]
