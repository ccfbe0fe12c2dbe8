"""Labelling a million rows, and an epoch of the critic on cached features."""

import time

import numpy as np
import torch
from measure import Result, faster, seconds_a_call

from dexpie_training.advantage import OptimalityConfig, label_rows
from dexpie_training.critic_config import CriticConfig
from dexpie_training.models.critic import CriticEnsemble
from dexpie_training.models.image_encoder import ImageEncoder
from dexpie_training.models.resnet import ResNet18
from dexpie_training.returns import EpisodeLayout, ReturnConfig, rewards

LABEL_ROWS, EPISODE_ROWS, N, LENGTH = 1_000_000, 250, 24, 400
EPOCH_ROWS, IMAGE_PX = 64, 224


def label() -> Result:
    """Advantages, quantiles and optimality of a million rows: vectorised against row by row."""
    rng = np.random.default_rng(0)
    episodes = LABEL_ROWS // EPISODE_ROWS
    layout = EpisodeLayout(np.full(episodes, EPISODE_ROWS), rng.random(episodes) < 0.5)
    reward = rewards(layout, ReturnConfig(LENGTH))
    values, human = rng.uniform(-1.0, 0.0, LABEL_ROWS), rng.random(LABEL_ROWS) < 0.2
    config = OptimalityConfig()

    def ours():
        return label_rows(values, reward, LENGTH, layout, human, ["bottle"] * episodes, config).optimality

    def row_by_row():
        advantage = np.empty(LABEL_ROWS)
        for t in range(LABEL_ROWS):
            last = t - t % EPISODE_ROWS + EPISODE_ROWS - 1
            end = min(t + N, last + 1)
            total = 0.0
            for row in range(t, end):
                total += reward[row]
            ahead = values[t + N] if t + N <= last else 0.0
            advantage[t] = total / LENGTH + ahead - values[t]
        low, high = np.quantile(advantage, [0.6, 0.8])
        scored = 1.0 / (1.0 + np.exp(-5.0 * (advantage - low) / (high - low)))
        return np.where(human, 1.0, scored)

    theirs: list[np.ndarray] = []
    theirs_s = _seconds_once(lambda: theirs.append(row_by_row()))
    np.testing.assert_allclose(ours(), theirs[0], atol=1e-9)
    return faster("label", seconds_a_call(ours), "row by row", theirs_s, "1e6 rows, N = 24")


def critic_epoch() -> Result:
    """An epoch of the critic (paper size, two views a row): cached features against encoding anew."""
    torch.manual_seed(0)
    critic = CriticEnsemble(2 * ImageEncoder.feature_dim + 21, CriticConfig())
    encoder = ImageEncoder(ResNet18())
    optimiser = torch.optim.AdamW(critic.parameters(), lr=1e-4, fused=True)
    views = torch.randint(0, 256, (2, EPOCH_ROWS, IMAGE_PX, IMAGE_PX, 3), dtype=torch.uint8)
    proprioception, centres = torch.randn(EPOCH_ROWS, 21), torch.rand(EPOCH_ROWS) - 1.0
    everyone = torch.full((EPOCH_ROWS,), -1)

    def encode():
        return torch.cat([encoder(view) for view in views], dim=1)

    def epoch(features):
        loss = critic(torch.cat([features, proprioception], dim=1), centres, everyone)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    cached = encode()
    epoch(cached)
    ours_s = seconds_a_call(lambda: epoch(cached), budget_s=1.0)
    theirs_s = _seconds_once(lambda: epoch(encode()))
    return faster("critic_epoch", ours_s, "encoding anew", theirs_s, f"a batch of {EPOCH_ROWS} rows, float32")


def _seconds_once(function):
    """Duration of one call, for what takes seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
