"""Reading back what was recorded: seeds that are done, timing of the loop, and `dexpie inspect`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexpie import cli
from dexpie.commands.collect import drop_cut_off
from dexpie.episodes import recorded_episodes, seeds_to_do
from dexpie.loop_timing import loop_timing
from dexpie_bags import EpisodeBagWriter, make, serialize
from dexpie_core import messages
from dexpie_core.episode import EpisodeEnd, EpisodeStart
from dexpie_core.errors import UsageError
from dexpie_core.topics import EPISODE_EVENT


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations without pictures, through the command line."""
    folder = tmp_path_factory.mktemp("recorded") / "bags"
    arguments = (
        f"collect --task bottle --out {folder} --episodes 2 --lockstep --no-images --workers 1 --seed 5"
    )
    assert cli.run(arguments.split()) == 0
    return folder


def test_recorded_seeds_are_not_done_again(bags: Path) -> None:
    assert [(e.seed, e.kind, e.stage) for e in recorded_episodes(bags)] == [
        (5, "demonstration", "initial"),
        (6, "demonstration", "initial"),
    ]
    assert seeds_to_do(bags, "demonstration", "initial", "", range(4, 9)) == [4, 7, 8]
    assert seeds_to_do(bags, "rollout", "initial", "bc-1", range(4, 7)) == [4, 5, 6]
    assert seeds_to_do(bags / "none", "demonstration", "initial", "", range(2)) == [0, 1]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(UsageError, match=r"holds something else than bags \(letter.txt\)"):
        seeds_to_do(tmp_path, "demonstration", "initial", "", range(2))


def test_lockstep_ticks_are_forty_milliseconds(bags: Path) -> None:
    timing = loop_timing([episode.bag for episode in recorded_episodes(bags)])
    assert timing.ticks > 100
    assert timing.period_p50_ms == pytest.approx(40.0, abs=1e-3)
    assert timing.period_max_ms == pytest.approx(40.0, abs=1e-3)
    assert timing.rate_hz == pytest.approx(25.0, abs=1e-3)
    assert (timing.starved_ticks, timing.chunks) == (0, 0)


def test_inspect_shows_episodes_and_rates(bags: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", str(bags)]) == 0
    assert "2 bags in" in capsys.readouterr().out
    assert cli.run(["inspect", str(recorded_episodes(bags)[0].bag)]) == 0
    text = capsys.readouterr().out
    action = next(line for line in text.splitlines() if line.startswith("/executor/action"))
    assert action.split()[3:5] == ["25.00", "40.0"]


def discarded_bag(folder: Path, name: str) -> Path:
    start = EpisodeStart(episode_id=name, task="bottle", seed=3)
    with EpisodeBagWriter(folder / name) as writer:
        writer.add_topic(EPISODE_EVENT)
        for stamp_ns, event in (
            (10**18, messages.episode_start(make, start, 10**18)),
            (10**18 + 1, messages.episode_end(make, start, EpisodeEnd("discard", "killed"), 10**18 + 1)),
        ):
            writer.write(EPISODE_EVENT.name, stamp_ns, serialize(event))
        return writer.finish()


def test_only_simulated_episodes_that_come_back_the_same_are_dropped(tmp_path: Path) -> None:
    simulated = discarded_bag(tmp_path, "bottle_demonstration_initial_000003")
    of_the_graph = discarded_bag(tmp_path, "bottle-20260101T000000")
    drop_cut_off(tmp_path, "bottle", "demonstration", range(5))
    assert not simulated.exists()
    assert of_the_graph.is_dir()
