"""Training seeds that were run apart: the table of one run, and nothing pooled that differs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dexpie import cli
from dexpie.experiments.budgets import budget
from dexpie.experiments.pipelines import Experiment
from dexpie.experiments.pooling import pooled
from dexpie.experiments.results import results
from dexpie_core.errors import UsageError
from dexpie_training.evaluate import TrialResult, summarise_trials, write_report

TRIALS = 4
SUCCEED = {
    "bc": (1, 0, 2),
    "hg-dagger": (2, 2, 2),
    "recap": (0, 4, 1),
    "dexpie": (3, 1, 4),
}  # by training seed


def found(folder: Path, first_seed: int, seeds: int, version: str = "abc") -> dict[str, Any]:
    """Results of made-up evaluations in which the first SUCCEED[arm][training seed] trials succeed."""
    experiment = Experiment("improvement", "drawer", budget("smoke", "drawer"), seeds, first_seed=first_seed)
    places = {}
    for arm in experiment.arms:
        for seed in experiment.replicates:
            name = experiment.report(arm, seed)
            trials = [TrialResult(i, i < SUCCEED[arm][seed], "success", "", 10, 0.4) for i in range(TRIALS)]
            places[name] = str(folder / f"{name}.json")
            if not Path(places[name]).exists():
                write_report(summarise_trials(trials), Path(places[name]))
    return results(experiment, places, version)


def test_seeds_apart_are_seeds_together(tmp_path: Path) -> None:
    whole = found(tmp_path, 0, 3)
    parts = {"b": found(tmp_path, 1, 2, "def"), "a": found(tmp_path, 0, 1)}
    together = pooled(parts)
    assert together["code_versions"] == ["abc", "def"]
    assert {**together, "code_versions": ["abc"]} == {k: v for k, v in whole.items() if k != "steps"}
    dexpie = together["arms"]["dexpie"]
    assert (dexpie["successes"], dexpie["trials"], dexpie["by_seed"]) == (8, 12, [3, 1, 4])
    (against_bc,) = [d for d in together["differences"] if (d["arm"], d["other"]) == ("dexpie", "bc")]
    assert against_bc["pairs"] == {"both": 3, "first_only": 5, "second_only": 0, "neither": 4}
    assert against_bc["points"] == pytest.approx(100 * 5 / 12)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "b: training seed 0 is in a too"),
        ({"seeds": [1], "task": "lid"}, "b: task differs from that of a"),
        ({"seeds": [1], "positions": "train"}, "b: positions differs from that of a"),
        ({"seeds": [1], "budget": asdict(budget("cpu", "drawer"))}, "b: budget differs from that of a"),
        ({"seeds": [1], "arms": {}}, "b: compares other arms than a"),
        ({"version": 2}, "b: is no results.json of this version"),
    ],
)
def test_what_differs_is_not_pooled(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    part = found(tmp_path, 0, 1)
    with pytest.raises(UsageError, match=reason):
        pooled({"a": part, "b": {**part, **change}})


def test_the_command_writes_the_table_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file, part in zip(files, (found(tmp_path, 0, 1), found(tmp_path, 1, 2)), strict=True):
        file.write_text(json.dumps(part))
    call = ["experiment", "pool", *map(str, files), "--out", str(tmp_path / "all.json")]
    assert cli.run(call) == 0
    assert "training seeds 0, 1, 2" in capsys.readouterr().out
    assert json.loads((tmp_path / "all.json").read_text())["arms"]["bc"]["by_seed"] == [1, 0, 2]
    assert cli.run(call) == 2 and "exists already" in capsys.readouterr().err
    missing = ["experiment", "pool", str(tmp_path / "none.json"), "--out", str(tmp_path / "more.json")]
    assert cli.run(missing) == 2 and "none.json" in capsys.readouterr().err
