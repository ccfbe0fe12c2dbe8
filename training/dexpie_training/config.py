"""Configurations and presets of the learning code. A preset is a set of values, never a fork of code."""

from dataclasses import dataclass, field
from typing import Literal

from dexpie_training.advantage import WindowRule

MethodName = Literal["bc", "hg-dagger", "recap", "dexpie"]
ConditionKind = Literal["none", "continuous", "binary"]
PrefixMarking = Literal["per_step_time", "mask_channel", "none"]
ProprioceptionName = Literal["q", "tcp", "hand"]
ActionScale = Literal["chunk", "step", "none"]
EncoderName = Literal["state", "r3m", "resnet18"]
Preset = Literal["paper", "release", "default"]
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
class AugmentationConfig:
    """Random changes of pictures in training, drawn for every picture on its own."""

    crop: float = 0.95
    """side of the part that is kept, of the picture's; 1: all of it"""
    rotation_deg: float = 5.0
    """largest turn to either side"""
    brightness: float = 0.3
    """largest relative change"""
    contrast: float = 0.4
    """largest relative change"""
    saturation: float = 0.5
    """largest relative change"""
    hue: float = 0.08
    """largest change, of the whole circle"""


@dataclass(frozen=True)
class EncoderConfig:
    """What the networks see and how it becomes a vector."""

    kind: EncoderName = "state"
    """`state`: simulated object poses; `r3m`: pictures, pretrained; `resnet18`: pictures, from scratch"""
    proprioception: tuple[ProprioceptionName, ...] = ("q", "tcp", "hand")
    """measured quantities that are given: joint angles, TCP pose, hand position"""
    objects_in_base: bool = True
    """object poses in the arm's base frame are given"""
    objects_in_tcp: bool = True
    """object poses in the observed TCP frame are given"""
    hidden_dim: int = 256
    """width of the hidden layer behind what is seen; 0: it is the condition as it is"""
    feature_dim: int = 128
    """size of the feature vector where there is a hidden layer"""
    noise: float = 0.0
    """standard deviation of noise on the standardised features, in training only"""
    frozen: bool = True
    """the network behind pictures is not trained; its features are computed once, by `dexpie features`"""
    cameras: tuple[str, ...] = ()
    """cameras that are looked at, in this order, where the kind looks at pictures"""
    image_size_px: int = 224
    """side of the pictures"""
    weights_sha256: str = ""
    """hash of the network behind pictures, where it is frozen"""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """of pictures, where the network behind them is trained"""

    @property
    def looks(self) -> bool:
        """Whether it looks at pictures."""
        return self.kind != "state"


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
    action_scale: ActionScale = "chunk"
    """ranges that scale positions and hand: over whole chunks, of each step, or none (release)"""
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
