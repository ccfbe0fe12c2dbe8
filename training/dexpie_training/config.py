"""Configurations and presets of the learning code. A preset is a set of values, never a fork of code."""

from dataclasses import dataclass, field
from typing import Final, Literal

from dexpie_training.advantage import WindowRule

MethodName = Literal["bc", "hg-dagger", "recap", "dexpie"]
ConditionKind = Literal["none", "continuous", "binary"]
PrefixMarking = Literal["per_step_time", "mask_channel", "none"]
ProprioceptionName = Literal["q", "tcp", "hand"]
Size = Literal["tiny", "small", "paper"]


@dataclass(frozen=True)
class UnetConfig:
    """Size of the network over a chunk's steps."""

    down_dims: tuple[int, ...] = (64, 128, 256)
    """channels per level, from fine to coarse"""
    kernel_size: int = 5
    """taps of the convolutions over chunk steps (odd)"""
    groups: int = 8
    """groups of every GroupNorm"""
    step_dim: int = 128
    """size of the denoising-step embedding"""
    prefix_marking: PrefixMarking = "per_step_time"
    """how the network is told which steps are clean: own step embedding, extra channel, or not at all"""
    prefix_features: int = 0
    """size of a feature vector of the prefix, given to every block beside the observation's (0: none)"""
    prefix_steps: int = 4
    """longest prefix that these features look at [steps]"""


@dataclass(frozen=True)
class DiffusionConfig:
    """Noise schedule, sampler and prefix conditioning."""

    train_steps: int = 50
    """denoising steps of the forward process"""
    sample_steps: int = 10
    """DDIM steps at inference; divides train_steps"""
    prediction: Literal["epsilon", "sample"] = "epsilon"
    """what the network predicts and the loss compares: the noise, or the chunk without it"""
    clip_sample: float = 1.0
    """the predicted clean chunk is clipped to +- this (normalised units)"""
    max_delay: int = 4
    """longest prefix n in training and deployment [steps]"""
    prefix_probability: float = 0.9
    """the p_pre of the paper"""
    prefix_probability_means: Literal["keep", "drop"] = "keep"
    """whether p_pre is the probability that a prefix is given (keep) or withheld (drop, as in the release)"""


@dataclass(frozen=True)
class EncoderConfig:
    """What the networks see and how it becomes a vector."""

    kind: Literal["state"] = "state"
    """`state`: simulated object poses"""
    proprioception: tuple[ProprioceptionName, ...] = ("q", "tcp", "hand")
    """measured quantities that are given: joint angles, TCP pose, hand position"""
    objects_in_base: bool = True
    """object poses in the arm's base frame are given"""
    objects_in_tcp: bool = True
    """object poses in the observed TCP frame are given"""
    hidden_dim: int = 256
    """width of the state encoder's hidden layer"""
    feature_dim: int = 128
    """size of the feature vector"""
    noise: float = 0.0
    """standard deviation of noise on the standardised features, in training only"""


@dataclass(frozen=True)
class ConditionConfig:
    """How the actor is told the optimality of what it learns, and how that is used at inference."""

    kind: ConditionKind = "none"
    """none (cloning), continuous: optimality in [0, 1] as a sinusoid, binary: a bit as a learned vector"""
    dim: int = 128
    """size of the embedding"""
    min_period: float = 4e-3
    """shortest period of the sinusoid, in units of optimality"""
    max_period: float = 4.0
    """longest period of the sinusoid, in units of optimality"""
    null: Literal["learned", "zeros"] = "learned"
    """what stands for no condition"""
    mask_probability: float = 0.3
    """share of training windows whose condition is withheld"""
    window_rule: WindowRule = "first_step"
    """optimality of a window that mixes human and policy steps"""
    guidance: float = 1.5
    """beta: chunks move this far from the unconditional towards the optimal prediction; 1: the optimal one"""

    def __post_init__(self) -> None:
        if not 0.0 <= self.mask_probability < 1.0:
            raise ValueError(f"mask_probability {self.mask_probability} must be in [0, 1)")
        if self.guidance < 0.0:
            raise ValueError(f"guidance {self.guidance} must not be negative")


@dataclass(frozen=True)
class ActorConfig:
    """Everything that determines the actor's shape and meaning."""

    horizon: int = 24
    """steps of a chunk [1/25 s]"""
    action_range: Literal["chunk", "step"] = "chunk"
    """ranges that scale positions and hand: over whole chunks, or of each step of the chunk"""
    unet: UnetConfig = field(default_factory=UnetConfig)
    """the network over the chunk"""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """what is observed"""
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    """noise, sampler, prefix"""
    condition: ConditionConfig = field(default_factory=ConditionConfig)
    """optimality and guidance"""
    state_names: tuple[str, ...] = ()
    """columns of the simulated state, in the order of the dataset"""


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW, cosine schedule, EMA (spec/learning.md 4)."""

    learning_rate: float = 1e-4
    """peak learning rate"""
    betas: tuple[float, float] = (0.95, 0.999)
    """AdamW moment decays"""
    weight_decay: float = 1e-6
    """AdamW weight decay"""
    warmup_steps: int = 500
    """linear warm-up [steps]; then cosine to zero"""
    batch_size: int = 256
    """windows a step"""
    epochs: int = 300
    """passes over the training windows where no number of steps is given"""
    gradient_clip: float = 1.0
    """largest gradient norm"""
    ema_power: float = 0.75
    """EMA decay at step s is 1 - (1 + s)^-power"""
    ema_max: float = 0.9999
    """largest EMA decay"""


@dataclass(frozen=True)
class ActorPreset:
    """Values of one preset."""

    unet: UnetConfig
    optimiser: OptimiserConfig
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    action_range: Literal["chunk", "step"] = "chunk"
    condition_dim: int = 128


# `tiny` and `small` are what a CPU trains in minutes. Only `tiny` was measured, one training run a variant
# (bottle, 60 demonstrations, 3000 steps of 64). On lockstep seeds 0..39, on which the variants were also
# chosen: without prefix features 28 of 40, with them 40 of 40; on seeds 5000..5049, on which nothing was
# chosen, 49 of 50. Ranges of each step: 14 of 20 against 15 without, no gain in successes; the error of the
# first step on training windows fell from 7.4 to 3.9 mm. Predicting the chunk has no matched control in the
# closed loop: the one policy that predicted the noise (64-128-256, 1000 steps of 256) failed 12 of 12.
ACTOR_PRESETS: Final[dict[Size, ActorPreset]] = {
    "tiny": ActorPreset(
        UnetConfig(down_dims=(64, 64, 64), step_dim=64, prefix_features=64),
        OptimiserConfig(learning_rate=2e-3, warmup_steps=50, batch_size=64, epochs=20),
        DiffusionConfig(prediction="sample"),
        action_range="step",
        condition_dim=64,
    ),
    "small": ActorPreset(
        UnetConfig(down_dims=(64, 128, 256), prefix_features=64),
        OptimiserConfig(learning_rate=1e-3, warmup_steps=50, batch_size=64, epochs=20),
        DiffusionConfig(prediction="sample"),
        action_range="step",
        condition_dim=64,
    ),
    "paper": ActorPreset(UnetConfig(down_dims=(256, 512, 1024)), OptimiserConfig()),
}
