"""What acceleration changes is rounding, and warming up neither takes for ever nor moves the noise."""

import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dexpie_core.action_space import pack
from dexpie_core.observation import Observation
from dexpie_core.topics import CAMERAS
from dexpie_policy.loading import warm_up
from dexpie_training import acceleration
from dexpie_training.acceleration import FastPixels, FastTrunk, accelerate, suitable_threads
from dexpie_training.actor_presets import actor_preset
from dexpie_training.compiled import CapturedModule, CompiledModule, HalfModule
from dexpie_training.models.actor import Actor
from dexpie_training.models.encoders import StateEncoder
from dexpie_training.models.unet1d import ConditionalUnet1d
from dexpie_training.policy import LoadedPolicy, PolicyInfo

INFO = PolicyInfo("bc-0", "bc", "bottle", 25.0, 24, 4, cameras=(), state_names=(), guidance=1.0)
CONFIG = actor_preset("paper", "tiny").config
DIM = StateEncoder(CONFIG.encoder, ()).feature_dim
SEEN = Observation(0.0, np.zeros(6), np.eye(4), np.full(6, 0.5))


def policy() -> LoadedPolicy:
    torch.manual_seed(0)
    return LoadedPolicy(Actor(CONFIG), INFO, torch.device("cpu"))


MASK = torch.arange(24)[None] < 4


def predicted(unet: ConditionalUnet1d, seed: int = 0) -> torch.Tensor:
    """What is predicted for a chunk with a prefix of four steps, twice over a chunk with one condition."""
    generator = torch.Generator().manual_seed(seed)
    x, condition = (torch.randn(shape, generator=generator) for shape in ((1, 24, 15), (1, DIM)))
    with torch.inference_mode():
        known = unet.prepare(condition, x, MASK)
        return torch.cat([unet.denoise(x, torch.tensor([step]), known, MASK) for step in (25, 5)])


WAYS = {
    "bfloat16": (HalfModule, 0.03),
    "compiled": (lambda module: CompiledModule(module, half=False), 1e-5),
    "compiled in bfloat16": (lambda module: CompiledModule(module, half=True), 0.03),
}


@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_predicts_the_same_but_for_rounding(way: str):
    wrap, bound = WAYS[way]
    exact, fast = policy().actor.unet, policy().actor.unet
    fast.trunk = FastTrunk(fast.trunk, wrap)
    fast.modulator.tabulate(50)
    for seed in (0, 1):  # another input, through what was made ready for the first
        a, b = predicted(exact, seed), predicted(fast, seed)
        assert b.dtype == torch.float32
        assert 0.0 < float((a - b).norm() / a.norm()) < bound


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA graph needs a GPU")
def test_captured_it_predicts_the_same_but_for_rounding():
    module, x = torch.nn.Linear(4, 4).cuda(), torch.randn(2, 4, device="cuda")
    captured = CapturedModule(module)
    with torch.inference_mode():
        for given in (x, x + 1.0):
            torch.testing.assert_close(captured(given), module(given))


def test_compiled_results_are_kept_apart():
    """Negative: the engine writes every result to the same memory."""
    double = CompiledModule(Double(), half=False)
    first, second = double(torch.ones(3)), double(torch.zeros(3))
    assert first.tolist() == [2.0] * 3 and second.tolist() == [0.0] * 3
    assert double(torch.ones(2, 2)).shape == (2, 2)


class Double(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2.0 * x


def test_compiling_loads_nothing_that_reports_to_its_maker():
    CompiledModule(Double(), half=False)(torch.ones(1))
    assert sys.modules["openvino_telemetry"] is None


def test_a_sampled_chunk_is_the_same_compiled():
    exact, fast = policy(), policy()
    assert accelerate(fast.actor) == "compiled" and isinstance(fast.actor.unet.trunk, FastTrunk)
    prefix = np.tile(pack(np.eye(4), np.full(6, 0.5)), (3, 1))
    np.testing.assert_allclose(fast.infer(SEEN, prefix), exact.infer(SEEN, prefix), atol=1e-4)


def test_pictures_are_seen_the_same_compiled():
    torch.manual_seed(0)
    encoder = replace(CONFIG.encoder, kind="resnet18", cameras=CAMERAS, image_size_px=64)
    exact = Actor(replace(CONFIG, encoder=encoder)).eval().encoder
    seen = torch.randint(0, 256, (2 * len(CAMERAS), 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        expected = exact.pixels(seen)
        found = FastPixels(exact.pixels, WAYS["compiled"][0])(seen)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("half", [False, True])
def test_without_the_engine_an_actor_is_brought_to_bfloat16_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch, half: bool
):
    monkeypatch.setattr(acceleration, "engine_installed", lambda: False)
    monkeypatch.setattr(acceleration, "computes_in_bfloat16", lambda device: half)
    loaded = policy()
    assert accelerate(loaded.actor) == ("bfloat16" if half else "as it is")
    dtypes = {parameter.dtype for parameter in loaded.actor.unet.trunk.parameters()}
    assert dtypes == {torch.bfloat16 if half else torch.float32}


def test_a_large_network_is_given_all_cores_and_a_small_one_a_thread():
    with torch.device("meta"):
        large = ConditionalUnet1d(15, DIM, actor_preset("paper", "paper").config.unet)
    assert suitable_threads(large) == len(os.sched_getaffinity(0))
    assert suitable_threads(policy().actor.unet) == 1


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
