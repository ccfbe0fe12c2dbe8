"""Sampling a chunk and assembling training batches."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler
from measure import Result, faster, median_pair

from dexpie_core import se3
from dexpie_core.action_space import pack, relative_from_absolute
from dexpie_training.acceleration import accelerate
from dexpie_training.actor_presets import actor_preset
from dexpie_training.dataset import Dataset, Windows
from dexpie_training.diffusion import Diffusion, DiffusionConfig
from dexpie_training.models.actor import Actor
from dexpie_training.models.observation import ObservationBatch
from dexpie_training.models.unet1d import ConditionalUnet1d, UnetConfig

HORIZON, ACTION_DIM, CONDITION_DIM, PREFIX = 24, 15, 64, 4


def chunk_sampling() -> Result:
    """Ten DDIM steps with an imposed prefix: our fused loop against diffusers' scheduler, same network."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = ConditionalUnet1d(ACTION_DIM, CONDITION_DIM, UnetConfig()).eval()
    diffusion = Diffusion(DiffusionConfig())
    scheduler = DDIMScheduler(
        num_train_timesteps=50, beta_schedule="squaredcos_cap_v2", prediction_type="epsilon", clip_sample=True
    )
    scheduler.set_timesteps(10)
    noise, condition = torch.randn(1, HORIZON, ACTION_DIM), torch.randn(1, CONDITION_DIM)
    prefix = torch.rand(1, PREFIX, ACTION_DIM)
    mask = torch.zeros(1, HORIZON, dtype=torch.bool)
    mask[:, :PREFIX] = True

    @torch.inference_mode()
    def ours():
        return diffusion.sample(lambda x, step, clean: network(x, step, condition, clean), noise, prefix)

    @torch.inference_mode()
    def theirs():
        x = noise.clone()
        for step in scheduler.timesteps:
            x[:, :PREFIX] = prefix
            x = scheduler.step(network(x, step[None], condition, mask), step, x).prev_sample
        x[:, :PREFIX] = prefix
        return x

    torch.testing.assert_close(ours(), theirs(), atol=1e-4, rtol=1e-4)
    mine, other = median_pair(ours, theirs, rounds=5)
    return faster("chunk_sampling", mine, "diffusers DDIMScheduler", other, "10 steps, one thread, float32")


def sampler() -> Result:
    """Guided sampling at the paper's size: one batch, compiled, against two calls and diffusers."""
    torch.manual_seed(0)
    torch.set_num_threads(2)
    config = actor_preset("paper", "paper").config
    actor = Actor(replace(config, condition=replace(config.condition, kind="continuous"))).eval()
    scheduler = DDIMScheduler(num_train_timesteps=50, beta_schedule="squaredcos_cap_v2", clip_sample=True)
    scheduler.set_timesteps(actor.diffusion.config.sample_steps)
    noise, prefix = torch.randn(1, HORIZON, ACTION_DIM), 0.5 * torch.rand(1, PREFIX, ACTION_DIM)
    mask = torch.zeros(1, HORIZON, dtype=torch.bool)
    mask[:, :PREFIX] = True
    q, hand = torch.zeros(1, 6), torch.full((1, 6), 0.5)
    pose = torch.tensor([[0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]])
    observed, beta = ObservationBatch(q, pose, hand), config.condition.guidance

    @torch.inference_mode()
    def theirs():
        features, one = actor.encoder(observed), torch.ones(1)
        null = actor.denoiser(features, one, torch.tensor([True]))
        best = actor.denoiser(features, one, torch.tensor([False]))
        x, given = noise.clone(), actor.normaliser.normalise(prefix)
        for step in scheduler.timesteps:
            x[:, :PREFIX] = given
            plain = null(x, step[None], mask)
            x = scheduler.step(plain + beta * (best(x, step[None], mask) - plain), step, x).prev_sample
        x[:, :PREFIX] = given
        return actor.normaliser.denormalise(x)

    fast = copy.deepcopy(actor)
    way = accelerate(fast)

    def ours(own=fast):
        with torch.inference_mode():
            return own.sample(observed, noise, prefix)

    torch.testing.assert_close(ours(actor), theirs(), atol=1e-3, rtol=1e-3)
    exact, _ = median_pair(lambda: ours(actor), lambda: None, rounds=1)
    mine, other = median_pair(ours, theirs, rounds=5)
    details = f"two threads, {way}; float32 in torch in one batch {other / exact:.2f}x"
    return faster("sampler", mine, "diffusers, two passes, float32", other, details)


def training_batches() -> Result:
    """Batches of 256 relative chunks: vectorised against row by row."""
    dataset = _random_dataset(episodes=20, length=300)
    windows = Windows(dataset, HORIZON)
    starts = np.random.default_rng(1).choice(windows.starts, 256)

    def row_by_row():
        chunks = []
        for start in starts:
            last = windows.rows(np.array([start]))[0]
            reference = se3.matrix_from_pose9(dataset.tcp_pose[start])
            chunks.append(relative_from_absolute(reference, dataset.action[last]))
        return np.stack(chunks)

    np.testing.assert_allclose(windows.relative_chunks(starts), row_by_row(), atol=1e-12)
    mine, other = median_pair(lambda: windows.relative_chunks(starts), row_by_row)
    return faster("training_batches", mine, "row by row", other, "256 windows of 24 steps")


def _random_dataset(episodes: int, length: int) -> Dataset:
    rng = np.random.default_rng(0)
    rows = episodes * length
    T = se3.make(se3.rotation_from_rotvec(rng.normal(size=(rows, 3))), rng.normal(size=(rows, 3)))
    hand = rng.uniform(size=(rows, 6))
    return Dataset(
        path=Path("."),
        meta={"rate_hz": 25.0, "state_names": [], "cameras": []},
        episodes=[{"first_row": i * length, "length": length} for i in range(episodes)],
        episode=np.repeat(np.arange(episodes), length),
        stamp_ns=np.arange(rows) * 40_000_000,
        arm_q=rng.normal(size=(rows, 6)),
        tcp_pose=se3.pose9_from_matrix(T),
        hand_q=hand,
        action=pack(T, hand),
        intervention=np.ones(rows, dtype=bool),
        mode=np.full(rows, 3, dtype=np.uint8),
        state=None,
        frames={},
    )
