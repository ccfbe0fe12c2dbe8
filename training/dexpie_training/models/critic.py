"""The critic: a distribution over values of what is observed (paper 4.3, equations 4 to 6)."""

import torch
from torch import Tensor, nn

from dexpie_training.critic_config import CriticConfig
from dexpie_training.normalisation import Standardiser
from dexpie_training.returns import ValueBins


class ResidualLayer(nn.Module):
    """(B, inputs) -> (B, outputs): Linear, LayerNorm, ReLU, added to a linear shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.ReLU())
        self.shortcut = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x) + self.shortcut(x)
        return y


class Critic(nn.Module):
    """What is observed, (B, input_dim), to logits (B, bins)."""

    def __init__(self, input_dim: int, config: CriticConfig) -> None:
        super().__init__()
        self.standardiser = Standardiser(input_dim) if config.standardise else None
        layers: list[nn.Module] = []
        width = input_dim
        for hidden in config.hidden_dims:
            if config.block == "residual":
                layers.append(ResidualLayer(width, hidden))
            else:
                layers += [nn.Linear(width, hidden), nn.ReLU()]
            layers.append(nn.Dropout(config.dropout))
            width = hidden
        self.mlp = nn.Sequential(*layers, nn.Linear(width, config.bins.count))

    def fit(self, inputs: Tensor) -> None:
        """Take the standardisation from the rows that it learns from, (N, input_dim)."""
        if self.standardiser is not None:
            self.standardiser.fit(inputs)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.standardiser is not None:
            inputs = self.standardiser(inputs)
        logits: Tensor = self.mlp(inputs)
        return logits


class CriticEnsemble(nn.Module):
    """K critics, trained side by side: each learns from all episodes but those that are unseen by it."""

    def __init__(self, input_dim: int, config: CriticConfig) -> None:
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(Critic(input_dim, config) for _ in range(config.members))
        self.register_buffer("bin_values", torch.from_numpy(config.bins.values).float())
        self.bin_values: Tensor

    @property
    def critics(self) -> list[Critic]:
        """The members."""
        return [member for member in self.members if isinstance(member, Critic)]

    def forward(
        self, inputs: Tensor, centres: Tensor, unseen_by: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Cross-entropy (scalar), the mean of the members' over the rows that they may see.

        inputs (B, input_dim); centres (B,): centres of the targets; unseen_by (B,): the member that must
        not learn from the row, or -1. The generator is not used: the critic draws no noise of its own.
        """
        target = soft_targets(self.bin_values, centres, self.config.bins)
        losses = []
        for k, member in enumerate(self.critics):
            seen = (unseen_by != k).float()
            losses.append((cross_entropy(member(inputs), target) * seen).sum() / seen.sum().clamp(min=1.0))
        return torch.stack(losses).mean()

    def logits(self, inputs: Tensor, member: Tensor) -> Tensor:
        """Logits (B, bins) of each row by its member (B,)."""
        by_member = torch.stack([m(inputs) for m in self.critics])
        return by_member[member, torch.arange(len(inputs), device=inputs.device)]

    def values(self, logits: Tensor) -> Tensor:
        """Expectations (B,) of distributions given by logits (B, bins)."""
        return logits.float().softmax(dim=-1) @ self.bin_values


def soft_targets(bin_values: Tensor, centres: Tensor, bins: ValueBins) -> Tensor:
    """`ValueBins.soft_targets` of centres (B,) on the device: (B, bins). A Gaussian is a softmax."""
    return torch.softmax(-0.5 * ((bin_values - centres[:, None]) / bins.sigma) ** 2, dim=-1)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy (B,) of distributions (B, bins), in float32."""
    return -(target * logits.float().log_softmax(dim=-1)).sum(dim=-1)
