"""What the demo's folder may be; and, as a smoke test, the demo and all experiments out of one folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_graph_runs import reason as unbuilt

from dexpie import cli
from dexpie.demo_steps import DEMO, Demo
from dexpie.episodes import recorded_episodes
from dexpie.experiments.pipelines import Experiment
from dexpie.experiments.steps import keys
from dexpie.table import table
from dexpie_core.errors import UsageError


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "dear.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something else than demos or experiments"):
        Demo(letters, 0, fast=True).check_out()
    with pytest.raises(UsageError, match="is a file; give a folder"):
        Demo(letters / "dear.txt", 0, fast=True).check_out()
    assert [p.name for p in letters.iterdir()] == ["dear.txt"]
    (tmp_path / "experiments" / "steps").mkdir(parents=True)
    for taken in (tmp_path / "new", tmp_path / "experiments"):
        Demo(taken, 0, fast=True).check_out()


def test_demos_of_other_seeds_share_no_step_and_the_fast_one_is_the_smoke_of_the_improvement() -> None:
    def found(experiment: Experiment) -> set[str]:
        return set(keys(experiment.steps(), "1").values())

    first, second = (found(Demo(Path("out"), seed, fast=False).experiment) for seed in (0, 1))
    assert not first & second
    fast = Demo(Path("out"), 0, fast=True).experiment
    assert found(fast) < found(Experiment("improvement", "bottle", fast.budget, 1))
    with pytest.raises(UsageError, match="seed 41: must be 0 to 40"):
        _ = Demo(Path("out"), 41, fast=False).experiment


def test_the_demo_leaves_room_for_improvement() -> None:
    """Fewer demonstrations than the paper's 41; both policies pass over their rows equally often."""
    steps = {s.name: s.arguments for s in Demo(Path("out"), 3, fast=False).experiment.steps()}
    assert DEMO.demonstrations < 41 and DEMO.trials == 50
    first, second = (steps[n][steps[n].index("--epochs") + 1] for n in ("bc.3", "dexpie.3"))
    assert first == second


def test_columns_of_numbers_are_flush_right() -> None:
    assert table(["seed", "outcome"], [(3, "success"), (12, "failure")]) == (
        "seed  outcome\n----  -------\n   3  success\n  12  failure"
    )


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(bool(unbuilt), reason=unbuilt or "built")
def test_demo_and_experiments_run_out_of_one_folder_and_share_their_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert cli.run(["demo", "--fast", "--out", str(out)]) == 0, capsys.readouterr().err
    folder = out / "demo-bottle-fast-seed-0"
    report = (folder / "report.html").read_text()
    assert "is missing:" not in report
    assert report.count("<img ") == 6
    assert list((folder / "replays").glob("*/metadata.yaml"))
    (episode,) = recorded_episodes(folder / "ros_episode")
    assert episode.interventions >= 1, "the operator took over"
    told = json.loads((folder / "results.json").read_text())["ros_episode"]
    assert told["episode_id"] == episode.episode_id

    ran = {}
    for name in ("improvement", "async", "staged"):
        capsys.readouterr()
        sizes = ["--task", "bottle", "--budget", "smoke", "--seeds", "1"]
        assert cli.run(["experiment", name, *sizes, "--out", str(out)]) == 0, capsys.readouterr().err
        ran[name] = capsys.readouterr().err.count(": done")
        results = json.loads((out / f"{name}-bottle-held_out-smoke" / "results.json").read_text())
        assert "is missing:" not in (out / f"{name}-bottle-held_out-smoke" / "report.html").read_text()
        assert all(arm["trials"] == 2 for arm in results["arms"].values())
    # Of the improvement two methods are new, of the others one arm each; all else is shared.
    assert ran == {"improvement": 5, "async": 6, "staged": 6}

    assert cli.run(["demo", "--fast", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.err.count(": done") == 0 and "1 of 1 episodes are already in" in printed.out
