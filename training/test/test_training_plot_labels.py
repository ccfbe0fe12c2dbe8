"""Pictures of values, advantages and reliability: they show the numbers that they are about."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_dataset import write_dataset
from test_training_labels import train

from dexpie_core.errors import UsageError
from dexpie_core.modes import Mode
from dexpie_training.calibration import calibration
from dexpie_training.dataset import Dataset
from dexpie_training.labels import Labels
from dexpie_training.make_labels import LabelOptions, run_label
from dexpie_training.plots import values
from dexpie_training.plots.advantage import (
    SOURCES,
    PlotAdvantageOptions,
    class_shares,
    draw_advantage,
    row_sources,
    run_plot_advantage,
)
from dexpie_training.plots.reliability import PlotReliabilityOptions, run_plot_reliability
from dexpie_training.plots.values import PlotValuesOptions, ValueView, choose_episodes, run_plot_values, spans


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    """A dataset with images and labels `a`, and the critic that they come from."""
    folder = tmp_path_factory.mktemp("plots")
    path = write_dataset(folder / "dataset", successes=4, failures=4, images_px=16)
    critic = train(path, folder / "critic")
    run_label(LabelOptions(path, critic, "a"))
    return Dataset.open(path), critic


def taken_over(dataset: Dataset, index: int, first: int, count: int) -> Dataset:
    """The same, a human driving `count` rows of an episode from `first` on."""
    rows = slice(dataset.episode_rows(index).start + first, dataset.episode_rows(index).start + first + count)
    intervention, mode = dataset.intervention.copy(), dataset.mode.copy()
    intervention[rows], mode[rows] = True, Mode.HUMAN
    return replace(dataset, intervention=intervention, mode=mode)


def test_values_over_time(made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dataset, _ = made
    labels = Labels.open(dataset, "a")
    drawn: list[ValueView] = []
    draw = values.draw_values
    monkeypatch.setattr(values, "draw_values", lambda views: drawn.extend(views) or draw(views))
    options = PlotValuesOptions(dataset.path, "a", tmp_path / "v.png", frames=4)
    out = run_plot_values(options, lambda d, i: ("go",) * 10 + ("stay",) * (int(d.lengths[i]) - 10))
    assert cv2.imread(str(out)).shape[1] > 1000 and cv2.imread(str(out)).std() > 5
    success, failure = drawn
    assert ("success" in success.title, "failure" in failure.title) == (True, True)
    rows = dataset.episode_rows(2)
    np.testing.assert_array_equal(success.value, labels.value[rows])
    np.testing.assert_array_equal(success.scored, labels.scored[rows])
    assert success.returns[-1] == 0.0 and failure.returns[-1] == -1.0
    assert success.steps.count("go") == 10 and success.images is not None
    count = len(success.times_s)
    middles = [rows.start + round((i + 0.5) / 4 * (count - 1) + 0.499) for i in range(4)]
    np.testing.assert_array_equal(success.images, dataset.frames["front"][middles])


def view_of(dataset: Dataset, labelled: Dataset, index: int) -> ValueView:
    options = PlotValuesOptions(dataset.path, "a", Path("x.png"))
    return values._view(
        dataset, Labels.open(labelled, "a"), np.zeros(len(dataset)), index, options, None, None
    )


def test_a_takeover_is_marked_where_it_is(made) -> None:
    dataset = taken_over(made[0], 3, 5, 7)
    assert choose_episodes(made[0]) == (2, 4) and choose_episodes(dataset) == (2, 4, 3)
    view, demonstration = (view_of(dataset, made[0], index) for index in (3, 0))
    figure = values.draw_values([view])
    curve = next(axes for axes in figure.axes if axes.get_ylabel().startswith("value"))
    span = curve.patches[0]
    assert (span.get_x(), span.get_width()) == (pytest.approx(5 * 0.04), pytest.approx(7 * 0.04))
    marks = [line for line in curve.lines if line.get_marker() == "v"]
    assert [float(m.get_xdata()[0]) for m in marks] == [pytest.approx(0.2)]
    assert not demonstration.human.any()  # nobody takes over from the policy there


def test_spans() -> None:
    times_s = np.arange(6) / 10
    flags = np.array([True, False, True, True, False, True])
    assert spans(flags, times_s) == [(0.0, 0.1), (0.2, 0.4), (0.5, 0.5)]
    assert spans(np.zeros(6, dtype=bool), times_s) == []


def test_advantages_by_source(made, tmp_path: Path) -> None:
    dataset = taken_over(made[0], 3, 5, 7)
    labels, sources = Labels.open(made[0], "a"), row_sources(dataset)
    counted = {name: int(np.sum(sources == i)) for i, name in enumerate(SOURCES)}
    assert counted == {
        "demonstration": dataset.lengths[:2].sum(),
        "intervention": 7,
        "policy, episode succeeded": dataset.lengths[2:4].sum() - 7,
        "policy, episode failed": dataset.lengths[4:].sum(),
    }
    texts = [t.get_text() for axes in draw_advantage(labels, sources, "toy").axes for t in axes.texts]
    mean = labels.scored[sources == 3].mean()
    assert f"policy, episode failed: {counted[SOURCES[3]]} rows, mean {mean:.2f}" in texts
    assert any(t.startswith("demonstration") and t.endswith("labelled 1") for t in texts)
    out = run_plot_advantage(PlotAdvantageOptions(dataset.path, "a", tmp_path / "a.png"))
    assert cv2.imread(str(out)).std() > 5


def test_class_shares_by_hand() -> None:
    shares = class_shares(np.array([0.0, 0.19, 0.2, 1.0]), np.array([0, 0, 0, 3]))
    np.testing.assert_allclose(shares[0], [2 / 3, 1 / 3, 0, 0, 0])
    np.testing.assert_allclose(shares[3], [0, 0, 0, 0, 1])
    assert np.isnan(shares[1]).all()


def test_reliability_of_held_out_episodes(made, tmp_path: Path) -> None:
    out = run_plot_reliability(PlotReliabilityOptions(made[1], tmp_path / "r.png"))
    assert cv2.imread(str(out)).std() > 5
    other = write_dataset(tmp_path / "other", successes=2, failures=1)
    with pytest.raises(UsageError, match=r"is not the one that .*critic was trained on"):
        run_plot_reliability(PlotReliabilityOptions(made[1], tmp_path / "x.png", other))


def test_calibration_by_hand() -> None:
    """Two groups; the first is right on average, the second promises 0.5 too much."""
    found = calibration(
        np.array([-0.1, -0.9, -0.2, -0.8]),
        np.array([-0.6, -0.8, -0.7, -0.9]),
        np.array([3, 5, 3, 5]),
        groups=2,
    )
    np.testing.assert_allclose(found.value, [-0.85, -0.15])
    np.testing.assert_allclose(found.returns, [-0.85, -0.65])
    assert found.rows.tolist() == [2, 2] and found.error == pytest.approx(0.25)


def test_the_interval_is_over_episodes_not_rows() -> None:
    """A hundred rows of one episode say no more than one row of it."""
    rng = np.random.default_rng(0)
    returns = rng.uniform(-1, 0, 20)
    few = calibration(np.zeros(20), returns, np.arange(20), groups=1)
    many = calibration(np.zeros(2000), np.repeat(returns, 100), np.repeat(np.arange(20), 100), groups=1)
    np.testing.assert_allclose([many.low, many.high], [few.low, few.high], atol=1e-9)
    error = returns.std(ddof=1) / np.sqrt(20)
    np.testing.assert_allclose(few.high - few.low, 2 * 1.96 * error, rtol=0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"episodes": (8,)}, "--episodes 8: .* has 8 episodes"),
        ({"camera": "side"}, "must be one of front, wrist"),
        ({"labels": "b"}, "no such labels"),
        ({"frames": 0}, "at least 1"),
    ],
)
def test_wrong_use_of_value_plots(made, tmp_path: Path, change: dict[str, object], message: str) -> None:
    options = {"dataset": made[0].path, "labels": "a", "out": tmp_path / "x.png", **change}
    with pytest.raises(UsageError, match=message):
        run_plot_values(PlotValuesOptions(**options))
    assert list(tmp_path.iterdir()) == []
