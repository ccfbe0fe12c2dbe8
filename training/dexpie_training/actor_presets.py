"""Presets and sizes of the actor. Each is a set of values, never a fork of code (spec/learning.md 4)."""

import math
from dataclasses import dataclass, replace
from typing import Final

from dexpie_training.config import (
    ActorConfig,
    ConditionConfig,
    DiffusionConfig,
    EncoderConfig,
    OptimiserConfig,
    Preset,
    Size,
    UnetConfig,
)


@dataclass(frozen=True)
class ActorPreset:
    """Values of one preset at one size."""

    config: ActorConfig
    optimiser: OptimiserConfig


@dataclass(frozen=True)
class ActorSize:
    """How large the network is. `tiny` and `small` are what a CPU trains in minutes."""

    down_dims: tuple[int, ...]
    step_dim: int = 128
    condition_dim: int = 128


ACTOR_SIZES: Final[dict[Size, ActorSize]] = {
    "tiny": ActorSize((64, 64, 64), step_dim=64, condition_dim=64),
    "small": ActorSize((64, 128, 256), condition_dim=64),
    "paper": ActorSize((256, 512, 1024)),
}

# Visual features and proprioception join the condition as they are, and the visual encoder is trained: the
# paper calls that of the critic frozen, that of the actor not (A.2).
_PAPER: Final = ActorPreset(ActorConfig(encoder=EncoderConfig(hidden_dim=0, frozen=False)), OptimiserConfig())

# Where the authors' code differs: chunks of 24 steps behind a prefix of 4, a prefix in one of ten windows
# that the network is not told of, optimality on the Transformer's ladder, joint angles alone, no ranges.
_RELEASE: Final = ActorPreset(
    ActorConfig(
        horizon=28,
        action_scale="none",
        unet=UnetConfig(prefix_marking="none"),
        encoder=EncoderConfig(hidden_dim=0, frozen=False, proprioception=("q",)),
        diffusion=DiffusionConfig(prefix_probability_means="drop"),
        condition=ConditionConfig(null="zeros", min_period=2.0 * math.pi, max_period=2.0 * math.pi * 1e4),
    ),
    OptimiserConfig(batch_size=32, epochs=301),
)

# Measured at size tiny only, one training run a variant (bottle, 60 demonstrations, 3000 steps of 64, state
# encoder). On lockstep seeds 0..39, on which the variants were also chosen: without prefix features 28 of 40,
# with them 40 of 40; on seeds 5000..5049, on which nothing was chosen, 49 of 50. Ranges of each step: 14 of
# 20 against 15 without, no gain in successes; the error of the first step on training windows fell from 7.4
# to 3.9 mm. Predicting the chunk has no matched control in the closed loop: the one policy that predicted
# the noise (64-128-256, 1000 steps of 256) failed 12 of 12.
_DEFAULT: Final = ActorConfig(
    action_scale="step", unet=UnetConfig(prefix_features=64), diffusion=DiffusionConfig(prediction="sample")
)
_DEFAULT_OPTIMISERS: Final[dict[Size, OptimiserConfig]] = {
    "tiny": OptimiserConfig(learning_rate=2e-3, warmup_steps=50, batch_size=64, epochs=20),
    "small": OptimiserConfig(learning_rate=1e-3, warmup_steps=50, batch_size=64, epochs=20),
    "paper": OptimiserConfig(),
}


def actor_preset(preset: Preset, size: Size) -> ActorPreset:
    """Values of a preset at a size; the condition is that of cloning, a method gives it its kind."""
    if preset == "default":
        chosen = ActorPreset(_DEFAULT, _DEFAULT_OPTIMISERS[size])
    else:
        chosen = _PAPER if preset == "paper" else _RELEASE
    dims, config = ACTOR_SIZES[size], chosen.config
    unet = replace(config.unet, down_dims=dims.down_dims, step_dim=dims.step_dim)
    condition = replace(config.condition, dim=dims.condition_dim)
    return replace(chosen, config=replace(config, unet=unet, condition=condition))
