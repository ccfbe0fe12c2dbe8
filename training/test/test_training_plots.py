"""Pictures and texts about runs, datasets and bags."""

import json
from pathlib import Path

import cv2
import pytest
from synthetic_bags import BagMaker, Recipe, write_bag

from dexpie_core.errors import UsageError
from dexpie_training.checkpoint import FORMAT
from dexpie_training.convert import ConvertOptions, run_convert
from dexpie_training.inspection import describe_dataset, is_dataset, is_run
from dexpie_training.plots.curves import Curve, PlotCurvesOptions, draw_curves, read_curves, run_plot_curves
from dexpie_training.plots.names import short_names
from dexpie_training.plots.strip import PlotStripOptions, run_plot_strip
from dexpie_training.plots.style import pyplot


def make_run(path: Path, kind: str = "actor") -> Path:
    path.mkdir(parents=True)
    data = {"task": "bottle", "episodes": 5, "rows": 1000}
    (path / "run.json").write_text(
        json.dumps({"format": FORMAT, "kind": kind, "method": "bc", "preset": "small", "dataset": data})
    )
    lines = ["step,elapsed_s,train_loss,held_out_loss,learning_rate,samples_per_s"]
    lines += [f"{s},{s / 10},{1 / s},{1.2 / s if s % 4 == 0 else ''},0.001,900" for s in range(2, 40, 2)]
    (path / "curve.csv").write_text("\n".join(lines) + "\n")
    return path


def test_learning_curve(tmp_path: Path) -> None:
    out = run_plot_curves(PlotCurvesOptions((make_run(tmp_path / "run"),), tmp_path / "sub" / "curve.png"))
    image = cv2.imread(str(out))
    assert image is not None and image.shape[1] > 1000 and image.std() > 5
    assert [p.name for p in out.parent.iterdir()] == ["curve.png"]


def test_learning_curves_of_several_runs(tmp_path: Path) -> None:
    runs = (make_run(tmp_path / "a" / "run"), make_run(tmp_path / "b" / "run"))
    curves = read_curves(runs)
    assert [curve.name for curve in curves] == ["a/run", "b/run"]
    assert curves[0].train[:2] == [(2.0, 0.5), (4.0, 0.25)] and curves[0].held_out[0] == (4.0, 0.3)
    axes = pyplot().figure().add_subplot()
    draw_curves(axes, curves)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a/run", "b/run"]
    assert [len(line.get_xdata()) for line in axes.lines] == [19, 9, 19, 9]
    colours = [line.get_color() for line in axes.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]


def test_curves_that_cannot_be_drawn_together(tmp_path: Path) -> None:
    actor, critic = make_run(tmp_path / "a"), make_run(tmp_path / "c", "critic")
    with pytest.raises(UsageError, match="actor and critic have losses of their own; draw them apart"):
        read_curves((actor, critic))
    with pytest.raises(UsageError, match="RUNS is missing"):
        read_curves(())
    (actor / "curve.csv").write_text("step,elapsed_s,train_loss,held_out_loss\n")
    with pytest.raises(UsageError, match="is empty, the run has not got far enough"):
        Curve.read(actor, "a")
    (actor / "curve.csv").unlink()
    with pytest.raises(UsageError, match=r"curve\.csv: is missing"):
        Curve.read(actor, "a")


def test_names_are_as_short_as_they_may_be() -> None:
    assert short_names([Path("x/bc.json"), Path("y/recap.json")]) == ["bc", "recap"]
    assert short_names([Path("/x/1/bc.json"), Path("/x/2/bc.json")]) == ["1/bc", "2/bc"]
    assert short_names([]) == []


def test_strips_of_bag_and_dataset(tmp_path: Path) -> None:
    maker = BagMaker(tmp_path / "bag")
    maker.episode(Recipe(ticks=12, images=True, idle_ticks=4), "a")
    maker.episode(Recipe(ticks=10, images=True, outcome="failure"), "b")
    bag = maker.write()
    dataset = run_convert(ConvertOptions((bag,), tmp_path / "dataset")).out
    for source in (bag, dataset):
        for episode in (0, 1):
            out = tmp_path / f"{source.name}_{episode}.png"
            run_plot_strip(PlotStripOptions(source, out, frames=4, episode=episode))
            assert cv2.imread(str(out)).shape[1] > 800
        with pytest.raises(UsageError, match="--episode 2"):
            run_plot_strip(PlotStripOptions(source, tmp_path / "x.png", episode=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out": "there.png"}, "exists already"),
        ({"out": "new.jpg"}, "must end in .png"),
        ({"camera": "side"}, "must be one of front, wrist"),
        ({"frames": 1}, "at least 2"),
    ],
)
def test_wrong_use_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    (tmp_path / "there.png").write_text("mine")
    options = {"out": "new.png", **change}
    options["out"] = tmp_path / str(options["out"])
    with pytest.raises(UsageError, match=message):
        run_plot_strip(PlotStripOptions(tmp_path, **options))  # type: ignore[arg-type]
    assert (tmp_path / "there.png").read_text() == "mine"


def test_describe_dataset(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", Recipe(ticks=20, missing_state=(8,)))
    dataset = run_convert(ConvertOptions((bag,), tmp_path / "dataset")).out
    text = describe_dataset(dataset)
    assert "1 demonstration; 1 success" in text and "19 at 25 Hz" in text and "9 values (ball)" in text
    assert "1 rows (" in text and is_dataset(dataset) and not is_run(dataset)


def test_the_light_modules_do_not_import_torch() -> None:
    """`dexpie --help` and wrong use must answer at once."""
    import subprocess
    import sys

    modules = (
        "convert",
        "train_actor",
        "evaluate",
        "comparison",
        "inspection",
        "dataset",
        "checkpoint",
        "config",
    )
    modules += ("train_critic", "make_labels", "make_features")
    modules += tuple(
        f"plots.{m}" for m in ("curves", "strip", "values", "advantage", "reliability", "compare")
    )
    code = (
        "import sys, "
        + ", ".join(f"dexpie_training.{m}" for m in modules)
        + "; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
