"""Reading back what was recorded: episodes, timing of the loop, and `dexpie inspect`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from dexpie import cli
from dexpie.episodes import recorded_episodes
from dexpie.loop_timing import loop_timing


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demonstration from each stage, without pictures, through the command line."""
    folder = tmp_path_factory.mktemp("recorded") / "bags"
    arguments = (
        f"collect --task bottle --out {folder} --episodes 2 --lockstep --no-images --workers 1 --seed 5 "
        "--stages staged"
    )
    assert cli.run(arguments.split()) == 0
    return folder


def test_demonstrations_from_every_stage_are_read_back(bags: Path) -> None:
    assert [(e.seed, e.kind, e.stage, e.interventions) for e in recorded_episodes(bags)] == [
        (6, "demonstration", "grasped", 1),
        (5, "demonstration", "initial", 1),
    ]


def test_lockstep_ticks_are_forty_milliseconds(bags: Path) -> None:
    timing = loop_timing([episode.bag for episode in recorded_episodes(bags)])
    assert timing.ticks > 100
    assert timing.period_p50_ms == pytest.approx(40.0, abs=1e-3)
    assert timing.period_max_ms == pytest.approx(40.0, abs=1e-3)
    assert timing.rate_hz == pytest.approx(25.0, abs=1e-3)
    assert (timing.starved_ticks, timing.chunks) == (0, 0)


def test_inspect_shows_episodes_and_rates(bags: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", str(bags)]) == 0
    text = capsys.readouterr().out
    assert "2 bags in" in text
    assert re.search(r"bottle +initial +demonstration +1 +\d ", text)
    assert cli.run(["inspect", str(recorded_episodes(bags)[0].bag)]) == 0
    text = capsys.readouterr().out
    action = next(line for line in text.splitlines() if line.startswith("/executor/action"))
    assert action.split()[3:5] == ["25.00", "40.0"]


def test_a_broken_bag_ends_with_status_1_and_the_others_become_a_whole_dataset(
    bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "bags", tmp_path / "dataset"
    shutil.copytree(bags, folder)
    broken = recorded_episodes(folder)[1].bag
    (file,) = broken.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:2000])
    assert cli.run(["convert", str(folder), "--out", str(out), "--jobs", "1"]) == 1
    told = capsys.readouterr()
    assert told.err.splitlines()[-1].startswith(f"dexpie: {out} is whole, but") and str(broken) in told.err
    assert cli.run(["inspect", str(out), "--verify", "--pictures", str(tmp_path / "pictures")]) == 0
    text = capsys.readouterr().out
    assert "verified: no fault found" in text and "/executor/action" in text
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == ["alignment.png", "modes.png"]
    assert cli.run(["inspect", str(out), str(bags), "--pictures", str(tmp_path / "no")]) == 2
