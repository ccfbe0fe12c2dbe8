"""What a folder of bags holds of a collection: what counts, what is set aside, what is told. Made bags."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dexpie import cli
from dexpie.collection import Collection, check_folder
from dexpie.commands.collect import conclude
from dexpie.episodes import episodes_of
from dexpie_bags import EpisodeBagWriter, make, serialize
from dexpie_core import messages
from dexpie_core.action_space import ACTION_DIM
from dexpie_core.collection import CollectionPlan
from dexpie_core.episode import EpisodeEnd, EpisodeStart, Outcome
from dexpie_core.errors import UsageError
from dexpie_core.executor import Source, TickOutput
from dexpie_core.modes import Mode
from dexpie_core.topics import EPISODE_EVENT, EXECUTED_ACTION, MODE

ATTEMPT = EpisodeStart("a0", "bottle", "initial", "rollout", "bc-1", "", 0, positions="held_out")
CORRECTION = replace(ATTEMPT, episode_id="c0", operator="virtual", pair_id="a0")
SECOND_NS = 10**9
GAP = "/hand/state: 3 messages missing, longest gap 0.16 s at 12.4 s"


def a_collection(folder: Path, episodes: int = 4) -> Collection:
    plan = CollectionPlan(("initial", "grasped"), episodes, corrections=True)
    return Collection(folder, "bottle", "rollout", "bc-1", "held_out", plan)


def write_bag(
    folder: Path, start: EpisodeStart, outcome: Outcome, modes: str = "", gaps: tuple[str, ...] = ()
) -> Path:
    """An episode of one second for each letter of `modes`: a(utonomous), h(uman); one action a second."""
    now_ns = 10**18
    with EpisodeBagWriter(folder / start.episode_id) as writer:
        for topic in (EPISODE_EVENT, MODE, EXECUTED_ACTION):
            writer.add_topic(topic)
        event = messages.episode_start(make, start, now_ns)
        writer.write(EPISODE_EVENT.name, now_ns, serialize(event))
        for tick, letter in enumerate(modes):
            now_ns += SECOND_NS
            mode, source = (Mode.HUMAN, Source.HUMAN) if letter == "h" else (Mode.AUTONOMOUS, Source.POLICY)
            command = [0.4, 0.0, 0.3, 1, 0, 0, 0, 1, 0, *[0.5] * (ACTION_DIM - 9)]
            output = TickOutput(tick, command, source, mode, tick)  # type: ignore[arg-type]
            writer.write(MODE.name, now_ns, serialize(messages.mode(make, output, now_ns)))
            action = messages.executed_action(make, output, now_ns)
            writer.write(EXECUTED_ACTION.name, now_ns, serialize(action))
        end = messages.episode_end(make, start, EpisodeEnd(outcome, "as told", gaps), now_ns + 1)
        writer.write(EPISODE_EVENT.name, now_ns + 1, serialize(end))
        return writer.finish()


def test_interventions_steps_and_gaps_are_read_back(tmp_path: Path) -> None:
    bag = write_bag(tmp_path, CORRECTION, "success", "aahhahh", (GAP,))
    (episode,) = episodes_of(bag, steps=True)
    assert (episode.what, episode.pair_id, episode.operator) == ("correction", "a0", "virtual")
    assert (episode.interventions, episode.human_steps, episode.steps) == (2, 4, 7)
    assert episode.gaps == (GAP,)
    assert episode.duration_s == pytest.approx(7.0)


def test_what_counts_is_of_the_task_the_policy_and_the_plan(tmp_path: Path) -> None:
    write_bag(tmp_path, ATTEMPT, "failure")
    write_bag(tmp_path, CORRECTION, "success")
    write_bag(tmp_path, replace(ATTEMPT, episode_id="other policy", policy_id="bc-2"), "success")
    write_bag(tmp_path, replace(ATTEMPT, episode_id="other task", task="lid"), "success")
    write_bag(tmp_path, replace(ATTEMPT, episode_id="other stage", stage="opened"), "success")
    write_bag(tmp_path, replace(ATTEMPT, episode_id="other range", positions="train"), "success")
    write_bag(tmp_path, replace(ATTEMPT, episode_id="other seed", seed=4), "success")
    write_bag(tmp_path, replace(ATTEMPT, episode_id="shown", kind="demonstration"), "success")
    assert [e.episode_id for e in a_collection(tmp_path).episodes()] == ["a0", "c0"]


def test_cut_off_and_damaged_bags_go_to_the_trash_and_nothing_else_does(tmp_path: Path) -> None:
    write_bag(tmp_path, ATTEMPT, "failure")
    write_bag(tmp_path, replace(ATTEMPT, episode_id="cut", seed=1), "discard")
    write_bag(tmp_path, replace(ATTEMPT, episode_id="of another", policy_id="bc-2"), "discard")
    damaged = write_bag(tmp_path, replace(ATTEMPT, episode_id="damaged", seed=2), "success")
    next(damaged.glob("*.mcap")).write_bytes(b"\x00" * 100)
    told = a_collection(tmp_path).set_aside()
    assert len(told) == 2
    assert "cut was not finished (as told) and does not count" in told[0]
    assert "damaged is damaged" in told[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".trash", "a0", "of another"]
    assert sorted(path.name for path in (tmp_path / ".trash").iterdir()) == ["cut", "damaged"]
    assert a_collection(tmp_path).set_aside() == []
    assert [e.episode_id for e in a_collection(tmp_path).episodes()] == ["a0"]


def test_an_attempt_that_stays_without_its_correction_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bag(tmp_path, ATTEMPT, "failure")
    conclude(a_collection(tmp_path, episodes=1), listed=True)
    said = capsys.readouterr().out
    assert "a0 failed and has no correction: there was no place left for one" in said
    assert "initial 1/1, 0 of 1 attempts succeeded; grasped 0/0, no attempt yet" in said


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(UsageError, match=r"holds something else than bags \(letter.txt\)"):
        check_folder(tmp_path)
    check_folder(tmp_path / "none")
    (tmp_path / "letter.txt").rename(tmp_path / "edits.jsonl")  # of `dexpie curate`
    check_folder(tmp_path)


def test_inspect_shows_pairs_interventions_gaps_and_totals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bag(tmp_path, ATTEMPT, "failure", "aaaa")
    write_bag(tmp_path, CORRECTION, "success", "aahh", (GAP,))
    write_bag(tmp_path, replace(ATTEMPT, episode_id="a1", stage="grasped", seed=1), "success", "aa")
    assert cli.run(["inspect", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in said.splitlines() if line.strip()}
    assert lines["c0"][1:11] == [
        "bottle", "initial", "0", "held_out", "correction", "success", "a0", "virtual", "1", "50",
    ]  # fmt: skip
    assert lines["a0"][7:12] == ["-", "-", "0", "0", "0"]
    assert lines["c0:"][1:] == GAP.split()
    totals = [line.split() for line in said.splitlines() if line.startswith("bottle")]
    assert totals == [
        ["bottle", "initial", "attempt", "1", "0", "0", "0", "0", "4"],
        ["bottle", "initial", "correction", "1", "1", "100", "1", "50", "4"],
        ["bottle", "grasped", "attempt", "1", "1", "100", "0", "0", "2"],
    ]
