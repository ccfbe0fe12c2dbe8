"""Configuration and presets of the critic. A preset is a set of values, never a fork of code."""

from dataclasses import dataclass, field
from typing import Final, Literal

from dexpie_training.config import EncoderName, OptimiserConfig, Preset, ProprioceptionName, Size
from dexpie_training.returns import ReturnConfig, ValueBins

HIDDEN_DIMS: Final[dict[Size, tuple[int, ...]]] = {
    "tiny": (128, 128, 64),
    "small": (512, 512, 256),
    "paper": (2048, 2048, 512),
}


@dataclass(frozen=True)
class CriticConfig:
    """Everything that determines the critic's shape and meaning."""

    encoder: EncoderName = "r3m"
    """what is seen beside proprioception: frozen features of the cameras, or simulated object poses"""
    proprioception: tuple[ProprioceptionName, ...] = ("q", "tcp", "hand")
    """measured quantities that are given: joint angles, TCP pose, hand position"""
    hidden_dims: tuple[int, ...] = HIDDEN_DIMS["paper"]
    """widths of the hidden layers; one more layer gives the logits"""
    block: Literal["plain", "residual"] = "plain"
    """hidden layer: Linear, ReLU (plain), or Linear, LayerNorm, ReLU beside a linear shortcut (release)"""
    dropout: float = 0.0
    """share of hidden units that is dropped in training"""
    standardise: bool = True
    """inputs to zero mean and unit deviation; the release gives them as they are"""
    crossfit: int = 0
    """K: every episode is labelled by one of K critics, the one that did not see it; 0: by one that did"""
    returns: ReturnConfig = field(default_factory=ReturnConfig)
    """what an episode is worth"""
    bins: ValueBins = field(default_factory=ValueBins)
    """grid of values and width of the targets"""
    state_names: tuple[str, ...] = ()
    """columns of the simulated state, in the order of the dataset, where the encoder is `state`"""
    encoder_sha256: str = ""
    """hash of the weights behind the cached features, where the encoder looks at images"""

    def __post_init__(self) -> None:
        if self.crossfit == 1 or self.crossfit < 0:
            raise ValueError(f"crossfit {self.crossfit} must be 0 (off) or at least 2")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout {self.dropout} must be in [0, 1)")

    @property
    def members(self) -> int:
        """Critics in the run."""
        return max(1, self.crossfit)


@dataclass(frozen=True)
class CriticPreset:
    """Values of one preset."""

    config: CriticConfig
    optimiser: OptimiserConfig


# The paper names neither a warm-up nor an average of weights for the critic; the release averages none.
_PAPER_OPTIMISER: Final = OptimiserConfig(batch_size=512, epochs=250, ema_max=0.0)

CRITIC_PRESETS: Final[dict[Preset, CriticPreset]] = {
    "paper": CriticPreset(CriticConfig(), _PAPER_OPTIMISER),
    "release": CriticPreset(
        CriticConfig(
            proprioception=("q",),
            block="residual",
            standardise=False,
            returns=ReturnConfig(failure_return="decay"),
            bins=ValueBins(centre="floor"),
        ),
        OptimiserConfig(batch_size=128, epochs=201, ema_max=0.0),
    ),
    # Bottle, state encoder, `tiny`, 5 folds, one run a variant; Kendall tau and late AUC over all episodes,
    # each unseen by its critic. 40 demonstrations, 40 rollouts of a policy that fails 33 of them, 7 epochs:
    # `decay` 0.837 and 0.9499, `unclipped` 0.826 and 0.939, `clip` (paper) 0.787 and 0.956. At the paper's
    # learning rate and warm-up, 300 steps of 512 left the cross-entropy at 5.2, that of knowing nothing 5.3;
    # its 250 epochs were not run. 41 demonstrations, 61 rollouts and corrections: 7 epochs 0.914 and 0.703,
    # 25 with dropout 0.928 and 0.768; on twins, on which nothing was chosen, more: docs/learning.md.
    "default": CriticPreset(
        CriticConfig(crossfit=5, dropout=0.3, returns=ReturnConfig(failure_return="decay")),
        OptimiserConfig(learning_rate=2e-3, warmup_steps=50, batch_size=256, epochs=25),
    ),
}
