"""Staged DAgger cut off and started again: exactly the wanted episodes, pairs linked, none damaged."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_graph_runs import Cli
from tiny_policy import train_tiny_policy

from dexpie.episodes import RecordedEpisode, episodes_of
from dexpie_ros.testing import await_true

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(600)]
PATIENCE_S = 240.0  # on a machine that has other work


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny_policy(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def started() -> Iterator[list[Cli]]:
    runs: list[Cli] = []
    yield runs
    for run in runs:
        run.close()


def visible(folder: Path) -> list[Path]:
    """What lies in a folder under a name that is meant to be seen."""
    return sorted(path for path in folder.glob("*") if not path.name.startswith("."))


def assert_whole(folder: Path, wanted: int) -> list[RecordedEpisode]:
    """Nothing but `wanted` whole episodes, every failed attempt with its correction but perhaps the last."""
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] in ([], [".trash"])
    episodes = {e.episode_id: e for bag in visible(folder) for e in episodes_of(bag, steps=True)}
    assert len(episodes) == len(visible(folder)) == wanted
    assert {e.outcome for e in episodes.values()} <= {"success", "failure"}
    assert all(e.steps > 0 for e in episodes.values())
    corrections = [e for e in episodes.values() if e.pair_id]
    for e in corrections:
        attempt = episodes[e.pair_id]
        assert (attempt.what, attempt.outcome, attempt.operator) == ("attempt", "failure", "")
        assert (attempt.stage, attempt.seed, e.operator) == (e.stage, e.seed, "virtual")
    failed = [e for e in episodes.values() if e.what == "attempt" and e.outcome == "failure"]
    assert len({e.pair_id for e in corrections}) == len(corrections) >= len(failed) - 1
    return list(episodes.values())


def cut_off(
    started: list[Cli], arguments: list[str], bags: Path, recorded: int, number: signal.Signals
) -> None:
    """Signal a run in simulated time while it records, at least `recorded` episodes being there."""
    run = Cli(*arguments)
    started.append(run)

    def records() -> bool:
        assert run.process.poll() is None, (run.finish(), run.text)
        return len(visible(bags)) >= recorded and any(bags.glob(".*.partial"))

    await_true(records, "an episode", PATIENCE_S)
    time.sleep(random.uniform(0.0, 0.1))  # any moment will do, but for one after the last episode
    run.process.send_signal(number)
    assert run.finish(PATIENCE_S) == (130 if number is signal.SIGINT else -number), run.text
    await_true(lambda: run.processes() == {}, "the end of its workers")


def test_simulated_time_goes_on_after_a_kill_and_an_interrupt(
    policy: Path, tmp_path: Path, started: list[Cli]
) -> None:
    bags = tmp_path / "bags"
    arguments = (
        f"collect --task bottle --out {bags} --episodes 6 --stages staged --policy {policy} --lockstep "
        "--no-images --workers 1 --time-limit 2 --positions held_out"
    ).split()
    cut_off(started, arguments, bags, recorded=0, number=signal.SIGKILL)
    cut_off(started, arguments, bags, recorded=1, number=signal.SIGINT)
    last = Cli(*arguments)
    started.append(last)
    assert last.finish(PATIENCE_S) == 0, last.text
    episodes = assert_whole(bags, 6)
    assert {e.stage for e in episodes} == {"initial", "grasped"}
    assert {e.positions for e in episodes} == {"held_out"}
    assert "of 6 episodes are already in" in last.text


def test_the_graph_goes_on_after_an_interrupt(policy: Path, tmp_path: Path, started: list[Cli]) -> None:
    bags = tmp_path / "bags"
    arguments = (
        f"collect --task bottle --out {bags} --episodes 3 --stages staged --policy {policy} --time-limit 1 "
        f"--ready-timeout {PATIENCE_S} --positions held_out"
    ).split()
    first = Cli(*arguments)
    started.append(first)
    first.read_until("seed 0: recording")
    time.sleep(random.uniform(0.0, 3.0))  # any moment will do: an episode, a reset, between the two of a pair
    first.process.send_signal(signal.SIGINT)
    assert first.finish() == 130, first.text
    assert first.processes() == {}
    second = Cli(*arguments)
    started.append(second)
    assert second.finish(PATIENCE_S) == 0, second.text
    assert second.processes() == {}
    episodes = assert_whole(bags, 3)
    assert [e.what for e in sorted(episodes, key=lambda e: (e.seed, bool(e.pair_id)))] == [
        "attempt", "correction", "attempt",
    ]  # fmt: skip
    assert {e.positions for e in episodes} == {"held_out"}
    assert "has no correction: there was no place left for one" in second.text
