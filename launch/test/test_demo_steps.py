"""What the demo keeps, what it makes anew and what it refuses; and the whole of it, as a smoke test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_graph_runs import reason as unbuilt

from dexpie import cli
from dexpie.demo_steps import (
    FAST,
    DemoPaths,
    DemoSettings,
    DemoState,
    dataset_is_of,
    evaluation_is_of,
    unfinished_run,
)
from dexpie.table import table
from dexpie_core.errors import UsageError


def test_a_new_folder_is_taken_and_taken_up_again(tmp_path: Path) -> None:
    paths = DemoPaths(tmp_path / "demo")
    DemoState.open(paths, FAST).set_trained("hash", "bc-1")
    again = DemoState.open(paths, FAST)
    assert again.trained("hash") == "bc-1"
    assert again.trained("other dataset") == ""


def test_another_demo_or_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    paths = DemoPaths(tmp_path / "demo")
    DemoState.open(paths, FAST)
    with pytest.raises(UsageError, match="holds a demo with other settings"):
        DemoState.open(paths, DemoSettings())
    with pytest.raises(UsageError, match="holds a demo with other settings"):
        DemoState.open(paths, replace(FAST, seed=1))
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("mine")
    with pytest.raises(UsageError, match="is no demo"):
        DemoState.open(DemoPaths(tmp_path / "letters"), FAST)
    assert [p.name for p in (tmp_path / "letters").iterdir()] == ["dear.txt"]


def test_a_dataset_of_other_bags_is_not_kept(tmp_path: Path) -> None:
    bags, dataset = tmp_path / "bags", tmp_path / "dataset"
    for name in ("a", "b"):
        (bags / name).mkdir(parents=True)
        (bags / name / "metadata.yaml").touch()
    assert not dataset_is_of(dataset, bags)
    dataset.mkdir()
    (dataset / "dataset.json").write_text(json.dumps({"bags": [{"name": "a"}, {"name": "b"}]}))
    assert dataset_is_of(dataset, bags)
    (bags / "c").mkdir()
    (bags / "c" / "metadata.yaml").touch()
    assert not dataset_is_of(dataset, bags)


def test_an_evaluation_of_another_policy_is_not_kept(tmp_path: Path) -> None:
    report = tmp_path / "evaluation.json"
    assert not evaluation_is_of(report, "bc-1", 50)
    report.write_text(json.dumps({"settings": {"policy_id": "bc-1"}, "trials": 50}))
    assert evaluation_is_of(report, "bc-1", 50)
    assert not evaluation_is_of(report, "bc-2", 50)
    assert not evaluation_is_of(report, "bc-1", 20)


def test_a_run_is_resumed_on_its_own_dataset_only(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert not unfinished_run(run, "h")
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"dataset": {"content_sha256": "h"}, "latest": "step_1"}))
    assert unfinished_run(run, "h")
    assert not unfinished_run(run, "another")
    assert not run.exists(), "a run on another dataset makes room"


def test_columns_of_numbers_are_flush_right() -> None:
    assert table(["seed", "outcome"], [(3, "success"), (12, "failure")]) == (
        "seed  outcome\n----  -------\n   3  success\n  12  failure"
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(unbuilt), reason=unbuilt or "built")
def test_the_whole_demo_runs_and_a_second_call_keeps_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    assert cli.run(["demo", "--fast", "--out", str(out)]) == 0, capsys.readouterr().err
    result = json.loads((out / "result.json").read_text())
    assert result["demonstrations"]["count"] == 4
    assert result["evaluation"]["trials"] == 2
    assert [episode["kind"] for episode in result["ros_episodes"]] == ["rollout"]
    assert result["loop_timing"]["ticks"] > 25
    assert all((out / name).stat().st_size > 10_000 for name in ("episode.png", "learning_curve.png"))
    policy = (out / "demo.json").read_text()
    capsys.readouterr()
    assert cli.run(["demo", "--fast", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert text.count("Already there") == 3
    assert text.count("are already in") == 2
    assert (out / "demo.json").read_text() == policy
