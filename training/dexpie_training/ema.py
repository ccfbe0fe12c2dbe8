"""Exponential moving average of a module's trained parameters; everything else is copied."""

import torch
from torch import Tensor, nn


class ParameterAverage:
    """Average with decay 1 - (1 + step)^-power, at most `max_decay`; 0 on the first step."""

    def __init__(self, module: nn.Module, power: float, max_decay: float) -> None:
        self.power, self.max_decay = power, max_decay
        self._module = module
        trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._names, self._live = list(trained), list(trained.values())
        self._average = [p.detach().clone() for p in self._live]

    def decay(self, step: int) -> float:
        """Share of the old average that is kept at optimiser step `step` (1, 2, ...)."""
        return 0.0 if step <= 1 else min(1.0 - (1.0 + step) ** -self.power, self.max_decay)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the live parameters."""
        live = [p.detach() for p in self._live]
        torch._foreach_lerp_(self._average, live, 1.0 - self.decay(step))

    def state_dict(self) -> dict[str, Tensor]:
        """The module's, with averaged parameters."""
        averaged = dict(zip(self._names, self._average, strict=True))
        whole = self._module.state_dict().items()
        return {name: averaged[name] if name in averaged else value.detach().clone() for name, value in whole}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take averaged parameters back."""
        with torch.no_grad():
            for name, average in zip(self._names, self._average, strict=True):
                average.copy_(tensors[name])

    def swap(self) -> None:
        """Exchange the average and the live parameters; call again to undo."""
        with torch.no_grad():
            for average, live in zip(self._average, self._live, strict=True):
                held = live.detach().clone()
                live.copy_(average)
                average.copy_(held)
