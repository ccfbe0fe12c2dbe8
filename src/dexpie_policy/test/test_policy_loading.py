"""What acceleration changes is rounding, and warming up neither takes for ever nor moves the noise."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dexpie_core.observation import Observation
from dexpie_policy.loading import warm_up
from dexpie_training.acceleration import Bfloat16Unet, accelerate
from dexpie_training.actor_presets import actor_preset
from dexpie_training.devices import computes_in_bfloat16
from dexpie_training.models.actor import Actor
from dexpie_training.models.encoders import StateEncoder
from dexpie_training.policy import LoadedPolicy, PolicyInfo

INFO = PolicyInfo("bc-0", "bc", "bottle", 25.0, 24, 4, cameras=(), state_names=(), guidance=1.0)
CONFIG = actor_preset("paper", "tiny").config
DIM = StateEncoder(CONFIG.encoder, ()).feature_dim
SEEN = Observation(0.0, np.zeros(6), np.eye(4), np.full(6, 0.5))


def policy() -> LoadedPolicy:
    torch.manual_seed(0)
    return LoadedPolicy(Actor(CONFIG), INFO, torch.device("cpu"))


def test_bfloat16_predicts_the_same_but_for_rounding():
    exact, fast = policy().actor.unet, Bfloat16Unet(policy().actor.unet)
    assert fast.network.head[1].weight.dtype == torch.bfloat16
    mask = torch.arange(24)[None] < 4
    given = torch.randn(1, 24, 15), torch.tensor([25]), torch.randn(1, DIM), mask
    with torch.inference_mode():
        a, b = exact(*given), fast(*given)
    assert b.dtype == torch.float32
    assert 0.0 < float((a - b).norm() / a.norm()) < 0.03


def test_an_actor_is_accelerated_where_its_device_computes_in_bfloat16():
    loaded = policy()
    expected = computes_in_bfloat16(torch.device("cpu"))
    assert accelerate(loaded.actor) is expected
    assert isinstance(loaded.actor.unet, Bfloat16Unet) is expected


def test_warming_up_keeps_the_noise_of_the_next_chunk():
    loaded, fresh = policy(), policy()
    latency = warm_up(loaded)
    assert latency.count > 1
    assert 0.0 < latency.p50_s <= latency.p99_s <= latency.max_s
    np.testing.assert_allclose(loaded.infer(SEEN, np.zeros((0, 15))), fresh.infer(SEEN, np.zeros((0, 15))))


def test_a_slow_policy_is_not_warmed_up_for_ever(monkeypatch: pytest.MonkeyPatch):
    now_s = [0.0]

    def run(calls: int) -> None:
        now_s[0] += 2.0 * calls

    monkeypatch.setattr("dexpie_policy.loading.time", SimpleNamespace(monotonic=lambda: now_s[0]))
    latency = warm_up(SimpleNamespace(warm_up=run))
    assert (latency.count, latency.p99_s) == (2, pytest.approx(2.0))
