"""Training end to end on synthetic bags: learns, resumes exactly, refuses; and the policy it makes."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_bags import Recipe, action_of, scene_of, write_bags

from dexpie_core import action_space, se3
from dexpie_core.errors import DexpieError, UsageError
from dexpie_core.observation import Observation
from dexpie_training.actor_presets import actor_preset
from dexpie_training.batches import ActorData
from dexpie_training.checkpoint import find_checkpoint
from dexpie_training.config import ActionScale, OptimiserConfig, UnetConfig
from dexpie_training.convert import ConvertOptions, run_convert
from dexpie_training.dataset import Dataset
from dexpie_training.normalisation import ActionNormaliser
from dexpie_training.policy import LoadedPolicy
from dexpie_training.sampling import batch_positions
from dexpie_training.train_actor import TrainActorOptions, run_train_actor

# A network of two levels, that learns the toy task in seconds.
DEFAULT = actor_preset("default", "tiny")
TEST_PRESET = replace(
    DEFAULT,
    config=replace(DEFAULT.config, unet=UnetConfig(down_dims=(64, 64), step_dim=32, prefix_features=16)),
    optimiser=OptimiserConfig(learning_rate=3e-3, warmup_steps=30, batch_size=32),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    bags = write_bags(folder / "bags", 24, ticks=28)
    return run_convert(ConvertOptions(bags=(bags,), out=folder / "dataset")).out


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    options = TrainActorOptions(dataset, out, steps=400, threads=1, precision="fp32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dexpie_training.actor_training.actor_preset", lambda preset, size: TEST_PRESET)
        report = run_train_actor(options)
    assert report.steps == 400 and report.policy_id.startswith("bc-")
    return out


def observation(recipe: Recipe, tick: int) -> Observation:
    T, hand = action_space.unpack(action_of(recipe, tick - 1))
    scene = np.concatenate([scene_of(recipe)[1], [1, 0, 0, 0, 1, 0]])
    return Observation(0.0, np.full(6, 0.01 * tick), T, hand, scene)


def expected_chunk(recipe: Recipe, tick: int) -> np.ndarray:
    return np.stack([action_of(recipe, min(tick + k, 27)) for k in range(24)])


@pytest.mark.parametrize("tick", [4, 10])
@pytest.mark.parametrize("n", [0, 4])
def test_the_policy_reaches_for_the_ball(trained: Path, tick: int, n: int) -> None:
    policy = LoadedPolicy.load(trained)
    error_mm, blind_error_mm = [], []
    for seed in range(0, 20, 2):
        recipe = Recipe(seed=seed)
        expected = expected_chunk(recipe, tick)
        targets = policy.infer(observation(recipe, tick), expected[:n])
        assert targets.shape == (24, 15)
        np.testing.assert_allclose(targets[:n], expected[:n], atol=1e-9)
        error_mm.append(1e3 * np.linalg.norm(targets[-1, :3] - expected[-1, :3]))
        blind_error_mm.append(1e3 * np.linalg.norm([0.5, 0.0, 0.1] - expected[-1, :3]))
        assert np.abs(targets[-1, 9:] - expected[-1, 9:]).max() < 0.2
    assert np.mean(error_mm) < 0.5 * np.mean(blind_error_mm)  # blind: always to the middle of the range


def test_the_prefix_steers_the_first_steps_after_it(trained: Path) -> None:
    """Given a prefix that runs ahead of the observation, the steps after it continue from there."""
    policy, recipe = LoadedPolicy.load(trained), Recipe(seed=100)
    seen = observation(recipe, 4)
    ahead = np.stack([action_of(recipe, 8 + k) for k in range(4)])
    policy.reset(0)
    with_prefix = policy.infer(seen, ahead)
    policy.reset(0)
    without = policy.infer(seen, ahead[:0])
    jump = np.linalg.norm(with_prefix[4, :3] - ahead[3, :3])
    assert jump < np.linalg.norm(without[4, :3] - ahead[3, :3])


def test_inference_is_a_function_of_seed_and_order(trained: Path) -> None:
    policy, other = LoadedPolicy.load(trained), LoadedPolicy.load(trained)
    seen, prefix = observation(Recipe(), 3), expected_chunk(Recipe(), 3)[:4]
    policy.reset(7)
    other.reset(7)
    other.warm_up()
    first, second = policy.infer(seen, prefix), policy.infer(seen, prefix)
    assert np.array_equal(first, other.infer(seen, prefix)) and not np.array_equal(first, second)


def test_chunks_move_with_the_cell(trained: Path) -> None:
    """Relative action space: network output depends on the frame only through what it observes."""
    policy, recipe = LoadedPolicy.load(trained), Recipe(seed=100)
    seen = observation(recipe, 5)
    policy.reset(0)
    targets = policy.infer(seen, np.zeros((0, 15)))
    relative = action_space.relative_from_absolute(seen.tcp_T, targets)
    np.testing.assert_allclose(relative[0, :3], 0.0, atol=0.03)
    R = se3.rotation_from_6d(targets[:, 3:9])
    np.testing.assert_allclose(np.linalg.det(R), 1.0, atol=1e-9)


def test_statistics_are_those_of_relative_chunks(dataset: Path, trained: Path) -> None:
    """Negative: ranges of absolute targets, the classic mistake, are far from the stored ones."""
    opened = Dataset.open(dataset)
    normaliser = LoadedPolicy.load(trained)._actor.normaliser
    data = ActorData.prepare(opened, np.arange(len(opened)), 24)
    normalised = normaliser.normalise(data.relative_chunks(np.arange(len(data))))
    assert normalised[..., :3].abs().max() < 1.5 and normalised[..., 9:].abs().max() < 1.5
    absolute = torch.from_numpy(opened.action[None, :24].astype(np.float32))
    assert normaliser.normalise(absolute)[..., :3].abs().max() > 4.0
    assert torch.all(normaliser.centre[:, 3:9] == 0) and torch.all(normaliser.half_range[:, 3:9] == 1)


@pytest.mark.parametrize("scale", ["chunk", "step"])
def test_normaliser_by_hand(scale: ActionScale) -> None:
    """x from -0.1 to 0.3 m in step 0, to 0.5 m in step 1; y constant; hand from 0 to 1."""
    low, high = np.zeros((2, 15)), np.zeros((2, 15))
    low[:, 0], high[:, 0], high[:, 9:] = -0.1, [0.3, 0.5], 1.0
    low[:, 1] = high[:, 1] = 0.2
    normaliser = ActionNormaliser(2, scale)
    normaliser.fit(low, high)
    chunk = torch.zeros(2, 15)
    chunk[:, 0], chunk[:, 1], chunk[:, 3], chunk[:, 14] = 0.3, 0.2, 0.7, 0.25
    out = normaliser.normalise(chunk)
    assert out[:, 0].tolist() == pytest.approx([1.0 if scale == "step" else 1 / 3, 1 / 3])
    assert out[:, 1].tolist() == [0.0, 0.0] and out[0, 3].item() == pytest.approx(0.7)
    assert out[0, 14].item() == pytest.approx(-0.5)
    torch.testing.assert_close(normaliser.denormalise(out), chunk)
    torch.testing.assert_close(normaliser.normalise(chunk[:1]), out[:1])


def test_resuming_equals_not_stopping(dataset: Path, tmp_path: Path) -> None:
    """20 steps, then 20 more, equal 40 in one go, bit for bit: weights, average and optimiser."""
    common = {"batch_size": 16, "threads": 1, "precision": "fp32", "seed": 3}

    def train(out: Path, stop_at: int | None, **more: object) -> Path:
        options = TrainActorOptions(dataset, out, steps=40, **common, **more)  # type: ignore[arg-type]
        if stop_at is None:
            run_train_actor(options)
        else:
            _train_and_interrupt(options, stop_at)
        return out

    whole = find_checkpoint(train(tmp_path / "whole", None))
    half = train(tmp_path / "parts", 20)
    assert find_checkpoint(half).step == 20
    parts = find_checkpoint(train(half, None, resume=True))
    assert parts.step == whole.step == 40
    for file in ("model.safetensors", "training.safetensors"):
        a, b = whole.tensors(file), parts.tensors(file)
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    steps = [int(row["step"]) for row in csv.DictReader((half / "curve.csv").open())]
    assert steps == sorted(set(steps)) and steps[-1] == 40


def _train_and_interrupt(options: TrainActorOptions, step: int) -> None:
    """As Ctrl-C does: the step is finished, the state saved, KeyboardInterrupt raised."""
    from dexpie_training.training_loop import TrainingLoop

    one_step = TrainingLoop._one_step

    def interrupting(self: TrainingLoop, generator: torch.Generator) -> None:
        one_step(self, generator)
        if self.state.step == step:
            self._request_stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingLoop, "_one_step", interrupting)
        with pytest.raises(KeyboardInterrupt):
            run_train_actor(options)


def test_batches_cover_every_row_once_an_epoch() -> None:
    seen = np.concatenate([batch_positions(10, 4, step, seed=1) for step in range(5)])
    assert sorted(seen[:10]) == list(range(10)) and sorted(seen[10:]) == list(range(10))
    assert not np.array_equal(seen[:10], seen[10:])


def test_checkpoint_says_what_it_is(dataset: Path, trained: Path) -> None:
    checkpoint = find_checkpoint(trained)
    meta = checkpoint.meta
    assert meta["dataset"]["content_sha256"] == Dataset.open(dataset).content_hash
    assert meta["config"]["horizon"] == 24 and len(meta["action_normalisation"]["centre"]) == 24
    assert LoadedPolicy.load(trained).policy_id == LoadedPolicy.load(checkpoint.folder).policy_id
    assert meta["held_out_loss"] > 0 and (trained / "tensorboard").is_dir()
    with (trained / "curve.csv").open() as handle:
        losses = [float(row["train_loss"]) for row in csv.DictReader(handle)]
    assert losses[-1] < losses[0] / 3


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: shutil.rmtree(run), "no such run or checkpoint"),
        (lambda run: (run / "run.json").unlink(), r"run\.json is missing"),
        (lambda run: (run / "run.json").write_text("{"), "cannot be read"),
        (lambda run: (run / "run.json").write_text('{"format": "other"}'), "not a run folder"),
        (lambda run: _only(run, "model.safetensors").write_bytes(b"no tensors"), "weights cannot be read"),
        (lambda run: _edit(_only(run, "checkpoint.json"), "config", "horizon"), "horizon"),
        (lambda run: _edit(_only(run, "checkpoint.json"), "config"), "field config is missing"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(
    trained: Path, tmp_path: Path, damage, message: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    damage(run)
    with pytest.raises(UsageError, match=message) as caught:
        LoadedPolicy.load(run)
    assert "\n" not in str(caught.value) and str(run) in str(caught.value)


def _only(run: Path, name: str) -> Path:
    (found,) = run.glob(f"checkpoints/*/{name}")
    return found


def _edit(file: Path, *keys: str) -> None:
    content = json.loads(file.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    file.write_text(json.dumps(content))


def test_wrong_use(dataset: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        TrainActorOptions(dataset, tmp_path, steps=1, epochs=1)
    with pytest.raises(UsageError, match="exists already"):
        run_train_actor(TrainActorOptions(dataset, trained))
    with pytest.raises(UsageError, match="not a dataset"):
        run_train_actor(TrainActorOptions(tmp_path, tmp_path / "run"))
    with pytest.raises(DexpieError, match="started with --seed 0"):
        run_train_actor(TrainActorOptions(dataset, trained, seed=5, resume=True))
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match="needs the simulated state"):
        LoadedPolicy.load(trained).infer(
            Observation(0.0, np.zeros(6), np.eye(4), np.zeros(6)), np.zeros((0, 15))
        )
