"""Exponential moving average of a module's parameters; buffers are copied."""

import torch
from torch import Tensor, nn


class ParameterAverage:
    """Average with decay 1 - (1 + step)^-power, at most `max_decay`; 0 on the first step."""

    def __init__(self, module: nn.Module, power: float, max_decay: float) -> None:
        self.power, self.max_decay = power, max_decay
        self._live = module
        self._names = [name for name, _ in module.named_parameters()]
        self._average = [p.detach().clone() for p in module.parameters()]

    def decay(self, step: int) -> float:
        """Share of the old average that is kept at optimiser step `step` (1, 2, ...)."""
        return 0.0 if step <= 1 else min(1.0 - (1.0 + step) ** -self.power, self.max_decay)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the live parameters."""
        live = [p.detach() for p in self._live.parameters()]
        torch._foreach_lerp_(self._average, live, 1.0 - self.decay(step))

    def state_dict(self) -> dict[str, Tensor]:
        """Averaged parameters and the live buffers, under the module's names."""
        buffers = {name: buffer.detach().clone() for name, buffer in self._live.named_buffers()}
        return {**dict(zip(self._names, self._average, strict=True)), **buffers}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take averaged parameters back."""
        with torch.no_grad():
            for name, average in zip(self._names, self._average, strict=True):
                average.copy_(tensors[name])

    def swap(self) -> None:
        """Exchange the average and the live parameters; call again to undo."""
        with torch.no_grad():
            for average, live in zip(self._average, self._live.parameters(), strict=True):
                held = live.detach().clone()
                live.copy_(average)
                average.copy_(held)
