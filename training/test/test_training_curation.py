"""Curation: what edits do, undo, the log, episodes of bags and datasets, a dataset after its edits."""

import json
import shlex
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_bags import Recipe, write_bags
from synthetic_bags import write_bag as write_bag_of_rows
from synthetic_dataset import write_dataset

from dexpie import cli
from dexpie_bags import EpisodeBagWriter, make, serialize
from dexpie_core import messages, topics
from dexpie_core.episode import EpisodeEnd, EpisodeStart
from dexpie_core.errors import DexpieError, UsageError
from dexpie_core.modes import Mode
from dexpie_training.convert import ConvertOptions, ConvertReport, run_convert
from dexpie_training.curation import Edit, Episode, apply, check, in_force, summary, unseen_failures
from dexpie_training.curation_apply import run_apply
from dexpie_training.curation_episodes import episodes_of_bags
from dexpie_training.curation_log import Curated, edits_file, find_edits, read_edits
from dexpie_training.dataset import Dataset

EPISODES = [
    Episode("bottle-001", "initial", "demonstration", "success"),
    Episode("bottle-002", "initial", "rollout", "failure", "the bottle fell"),
    Episode("bottle-003", "grasped", "rollout", "failure", "Protective stop of the arm"),
    Episode("bottle-004", "grasped", "rollout", "failure", "the operator says so", Mode.FAULT),
    Episode("bottle-005", "initial", "rollout", "success", "protective stop while resetting"),
]
NAMES = [e.episode_id for e in EPISODES]


def after(*edits: Edit) -> dict[str, Episode]:
    return {e.episode_id: e for e in apply(edits, EPISODES)}


def test_what_each_edit_does() -> None:
    edited = after(
        Edit("drop", ("bottle-001",), why="the camera was covered"),
        Edit("outcome", ("bottle-002", "bottle-005"), "success"),
        Edit("tag", ("bottle-002",), "blue bottle"),
        Edit("hide", ("bottle-003",)),
        Edit("split", value="stage"),
    )
    assert list(edited) == NAMES
    assert edited["bottle-001"].left_out == "dropped: the camera was covered"
    assert (edited["bottle-002"].outcome, edited["bottle-002"].tags) == ("success", ("blue bottle",))
    assert edited["bottle-003"].left_out == "a failure whose cause cannot be seen"
    assert {name: e.part for name, e in edited.items()} == {e.episode_id: e.stage for e in EPISODES}
    assert not edited["bottle-004"].left_out


def test_the_later_edit_wins_and_a_tag_counts_once() -> None:
    one = ("bottle-001",)
    assert after(Edit("outcome", one, "failure"), Edit("outcome", one, "success"))[one[0]] == EPISODES[0]
    assert after(Edit("tag", one, "a"), Edit("tag", one, "a"))[one[0]].tags == ("a",)


def test_undo_and_undo_of_an_undo() -> None:
    drop, undo = Edit("drop", ("bottle-001",)), Edit("undo", value="1")
    assert after(drop, undo) == after()
    assert after(drop, undo, Edit("undo", value="2")) == after(drop)
    twice = [drop, drop, Edit("undo", value="1")]
    assert list(in_force(twice)) == [2]


EDIT = st.one_of(
    st.builds(Edit, st.sampled_from(["drop", "hide"]), st.sampled_from(NAMES).map(lambda n: (n,))),
    st.builds(
        Edit,
        st.just("outcome"),
        st.sampled_from(NAMES).map(lambda n: (n,)),
        st.sampled_from(["success", "failure"]),
    ),
    st.just(Edit("split", value="stage")),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(EDIT, max_size=8), st.data())
def test_an_undone_edit_was_never_made(edits: list[Edit], data: st.DataObject) -> None:
    if not edits:
        return
    line = data.draw(st.integers(1, len(edits)))
    undone = [*edits, Edit("undo", value=str(line))]
    assert after(*undone) == after(*edits[: line - 1], *edits[line:])
    assert after(*undone, Edit("undo", value=str(len(undone)))) == after(*edits)


def test_failures_whose_cause_cannot_be_seen() -> None:
    assert unseen_failures(EPISODES) == [
        "bottle-003",
        "bottle-004",
    ]  # never a success, never the one that fell
    assert unseen_failures(EPISODES, ("fell",)) == ["bottle-002", "bottle-004"]
    left_out = [replace(e, left_out="dropped") for e in EPISODES]
    assert unseen_failures(left_out) == []


REFUSED = [
    (Edit("drop", ("bottle-0001",)), "no episode bottle-0001; did you mean bottle-001"),
    (Edit("drop", ("cup",)), "no episode cup; there are 6, see `dexpie curate show`"),
    (Edit("drop", ("bottle-001", "bottle-001")), "bottle-001 is named twice"),
    (Edit("hide", ("bottle-001",)), "bottle-001 is no failure (success); use `curate drop`"),
    (Edit("outcome", ("bottle-006",), "success"), "bottle-006 was discarded when it was recorded"),
    (Edit("undo", value="3"), "--line 3: there are 2 lines to undo"),
    (Edit("undo", value="1"), "--line 1 is undone already"),
]


@pytest.mark.parametrize(("edit", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_an_edit_that_does_not_fit_is_refused(edit: Edit, told: str) -> None:
    edits = [Edit("drop", ("bottle-002",)), Edit("undo", value="1")]
    with pytest.raises(UsageError) as caught:
        check(edit, edits, [*EPISODES, Episode("bottle-006", "initial", "rollout", "discard")])
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("verb", "episodes", "value"),
    [
        ("drop", (), ""),
        ("split", ("a",), "stage"),
        ("outcome", ("a",), "won"),
        ("tag", ("a",), ""),
        ("split", (), "task"),
        ("undo", (), "0"),
        ("undo", (), "-1"),
    ],
)
def test_an_edit_without_meaning_cannot_be_made(verb: str, episodes: tuple[str, ...], value: str) -> None:
    with pytest.raises(ValueError, match=f"edit {verb}"):
        Edit(verb, episodes, value)  # type: ignore[arg-type]


def write_bag(path: Path, episode: Episode, faulted: bool = False) -> Path:
    """Events and modes of an episode, and nothing else."""
    writer = EpisodeBagWriter(path, min_free_bytes=0)
    for topic in (topics.EPISODE_EVENT, topics.MODE):
        writer.add_topic(topic)
    start = EpisodeStart(episode.episode_id, "bottle", episode.stage, episode.kind)  # type: ignore[arg-type]
    end = EpisodeEnd(episode.outcome, episode.reason)  # type: ignore[arg-type]
    writer.write(topics.EPISODE_EVENT.name, 1, serialize(messages.episode_start(make, start, 1)))
    mode = make(
        topics.MODE.type, header=messages.header(make, 2), mode=int(Mode.FAULT if faulted else Mode.IDLE)
    )
    writer.write(topics.MODE.name, 2, serialize(mode))
    writer.write(topics.EPISODE_EVENT.name, 3, serialize(messages.episode_end(make, start, end, 3)))
    writer.finish()
    return path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of every one of EPISODES."""
    folder = tmp_path_factory.mktemp("recorded")
    for episode in EPISODES:
        write_bag(folder / episode.episode_id, episode, faulted=episode.last_mode is Mode.FAULT)
    return folder


@pytest.fixture
def bags(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "bags"))


def test_the_log_lies_beside_the_bags_and_is_only_added_to(bags: Path) -> None:
    curated = Curated.open(bags)
    assert list(curated.episodes) == EPISODES
    curated = curated.add(Edit("drop", ("bottle-001",), why="blurred", at="2026-05-07T10:00:00+00:00"))
    first = (bags / "edits.jsonl").read_text()
    assert json.loads(first)["why"] == "blurred"
    with pytest.raises(UsageError):
        curated.add(Edit("drop", ("nobody",)))
    assert (bags / "edits.jsonl").read_text() == first
    one = Curated.open(bags / "bottle-001")  # of one bag they lie in the same place
    assert (one.file, [e.episode_id for e in one.episodes]) == (bags / "edits.jsonl", ["bottle-001"])
    one.add(Edit("undo", value="1"))
    assert (bags / "edits.jsonl").read_text().startswith(first)
    assert Curated.open(bags).edits == (*curated.edits, Edit("undo", value="1"))


def test_what_a_conversion_finds(bags: Path, tmp_path: Path) -> None:
    Curated.open(bags).add(Edit("drop", ("bottle-001",))).add(Edit("undo", value="1"))
    Curated.open(bags).add(Edit("drop", ("bottle-002",)))
    dropped = (Edit("drop", ("bottle-002",)),)
    assert find_edits([bags], None) == dropped
    assert find_edits([bags, bags / "bottle-001", bags / "bottle-002"], None) == dropped  # one file, once
    elsewhere = tmp_path / "other.jsonl"
    with pytest.raises(UsageError, match=r"--edits .*other.jsonl: no such file"):
        find_edits([bags], elsewhere)
    Curated.open(bags, elsewhere).add(Edit("hide", ("bottle-003",)))
    assert find_edits([bags], elsewhere) == (Edit("hide", ("bottle-003",)),)


def test_an_episode_in_two_bags_is_told(bags: Path) -> None:
    write_bag(bags / "again", EPISODES[0])
    with pytest.raises(DexpieError, match="episode bottle-001 is in another bag too"):
        Curated.open(bags)
    episodes, damage = episodes_of_bags([bags / "again"])
    assert len(episodes) == 1 and damage == []


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"edit": "drop"}',
        json.dumps({"edit": "undo", "episodes": [], "value": "1", "why": "", "at": ""}),
    ],
    ids=["cut off", "no object", "fields missing", "undoes itself"],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "edits.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(DexpieError, match=r"edits.jsonl line 1: is no edit"):
        read_edits(file)


def test_a_line_that_was_written_by_hand_is_ended_first(bags: Path) -> None:
    hand_written = json.dumps(asdict(Edit("drop", ("bottle-001",))))
    (bags / "edits.jsonl").write_text(hand_written)
    Curated.open(bags).add(Edit("drop", ("bottle-002",)))
    assert [edit.episodes for edit in read_edits(bags / "edits.jsonl")] == [("bottle-001",), ("bottle-002",)]


def test_a_dataset_after_its_edits(tmp_path: Path) -> None:
    source = Dataset.open(write_dataset(tmp_path / "d", successes=3, failures=2, images_px=8))
    curated = Curated.open(source.path).add(Edit("drop", ("e0",), why="blurred"))
    curated.add(Edit("outcome", ("e3",), "success")).add(Edit("tag", ("e1", "e0"), "good"))
    report = run_apply(source.path, tmp_path / "out")
    out = Dataset.open(tmp_path / "out")
    assert (report.episodes, report.left_out) == (4, {"e0": "dropped: blurred"})
    assert [(e["episode_id"], e["outcome"]) for e in out.episodes] == [
        ("e1", "success"),
        ("e2", "success"),
        ("e3", "success"),
        ("e4", "failure"),
    ]
    first = source.episode_rows(1).start
    for name in ("stamp_ns", "arm_q", "tcp_pose", "hand_q", "action", "intervention", "mode", "state"):
        np.testing.assert_array_equal(getattr(out, name), getattr(source, name)[first:])
    np.testing.assert_array_equal(out.frames["wrist"], source.frames["wrist"][first:])
    assert out.meta["counts"]["outcomes"] == {"success": 3, "failure": 1}
    assert out.meta["curation"]["tags"] == {"good": ["e1"]}
    assert out.meta["curation"]["source_sha256"] == source.content_hash
    assert [edit["edit"] for edit in out.meta["curation"]["edits"]] == ["drop", "outcome", "tag"]


def test_what_was_left_out_is_that_of_the_episodes_that_stay(tmp_path: Path) -> None:
    bags = [
        write_bag_of_rows(tmp_path / "bags" / name, Recipe(ticks=8, missing_state=missing))
        for name, missing in (("a", (3,)), ("b", ()))
    ]
    out = run_convert(ConvertOptions(tuple(bags), tmp_path / "dataset", jobs=1)).out
    assert Dataset.open(out).meta["counts"]["rows_left_out"] == 1
    Curated.open(out).add(Edit("drop", ("a",)))
    counts = Dataset.open(run_apply(out, tmp_path / "new").out).meta["counts"]
    assert (counts["episodes"], counts["rows"], counts["rows_left_out"]) == (1, 8, 0)


def test_parts_of_a_dataset(tmp_path: Path) -> None:
    source = write_dataset(tmp_path / "d", successes=2, failures=0)
    with pytest.raises(UsageError, match="--part initial: no episode is in this part; split them first"):
        run_apply(source, tmp_path / "out", part="initial")
    curated = Curated.open(source).add(Edit("split", value="stage"))
    assert run_apply(source, tmp_path / "out", part="initial").episodes == 2
    assert Dataset.open(tmp_path / "out").meta["curation"]["parts"] == {"initial": ["e0", "e1"]}
    curated.add(Edit("drop", ("e0", "e1")))
    with pytest.raises(DexpieError, match="the edits leave no episode"):
        run_apply(source, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_summary_tells_of_kept_episodes_only() -> None:
    edits = [
        Edit("split", value="stage"),
        Edit("tag", ("bottle-001", "bottle-002"), "t"),
        Edit("drop", ("bottle-001",)),
    ]
    told = summary(edits, apply(edits, EPISODES))
    assert told["tags"] == {"t": ["bottle-002"]}
    assert told["parts"]["grasped"] == ["bottle-003", "bottle-004"]
    assert told["left_out"] == {"bottle-001": "dropped"}


def converted(bags: Path, out: Path, **options: Any) -> tuple[ConvertReport, dict[str, str]]:
    """The report, and the outcomes of the dataset's episodes."""
    report = run_convert(ConvertOptions((bags,), out, jobs=1, **options))
    return report, {e["episode_id"]: e["outcome"] for e in Dataset.open(out).episodes}


def test_a_conversion_applies_the_edits_and_takes_them_back(tmp_path: Path) -> None:
    bags, out = write_bags(tmp_path / "bags", 3, ticks=4, outcome="failure"), tmp_path / "out"
    log = Curated.open(bags).add(Edit("drop", ("episode_000",), why="blurred"))
    log = log.add(Edit("outcome", ("episode_001",), "success")).add(Edit("tag", ("episode_001",), "odd"))
    report, outcomes = converted(bags, out)
    assert outcomes == {"episode_001": "success", "episode_002": "failure"}
    assert report.skipped == {"dropped": 1}
    meta = Dataset.open(out).meta
    assert meta["counts"]["outcomes"] == {"success": 1, "failure": 1}
    assert meta["episodes_left_out"][0]["why"] == "dropped: blurred"
    told = meta["curation"]
    assert (told["tags"], told["recorded_outcomes"]) == ({"odd": ["episode_001"]}, {"episode_001": "failure"})

    log = log.add(Edit("undo", value="2"))  # the outcome as recorded: no bag is read again for it
    report, outcomes = converted(bags, out)
    assert outcomes == {"episode_001": "failure", "episode_002": "failure"}
    assert report.known_bags == 3
    assert Dataset.open(out).meta["curation"]["left_out"] == {"episode_000": "dropped: blurred"}

    log.add(Edit("undo", value="1"))  # rows that are not in the dataset: their bag is
    report, outcomes = converted(bags, out)
    assert sorted(outcomes) == ["episode_000", "episode_001", "episode_002"]
    assert report.known_bags == 2
    assert Dataset.open(out).meta["curation"]["left_out"] == {}


def test_bags_that_are_not_given_keep_their_curation(tmp_path: Path) -> None:
    first, out = write_bags(tmp_path / "first", 2, ticks=4), tmp_path / "out"
    Curated.open(first).add(Edit("outcome", ("episode_000",), "failure")).add(Edit("drop", ("episode_001",)))
    converted(first, out)
    second = write_bag_of_rows(tmp_path / "second" / "later", Recipe(ticks=4, seed=7))
    _, outcomes = converted(second, out)
    assert outcomes == {"episode_000": "failure", "later": "success"}
    told = Dataset.open(out).meta["curation"]
    assert told["recorded_outcomes"] == {"episode_000": "success"}
    assert told["left_out"] == {"episode_001": "dropped"}
    assert [edit["edit"] for edit in told["edits"]] == ["outcome", "drop"]


def test_a_conversion_of_one_part(tmp_path: Path) -> None:
    bags = write_bags(tmp_path / "bags", 2, ticks=4)
    Curated.open(bags).add(Edit("split", value="stage"))
    _, outcomes = converted(bags, tmp_path / "initial", part="initial")
    assert len(outcomes) == 2
    with pytest.raises(DexpieError, match="no episode to convert"):
        converted(bags, tmp_path / "grasped", part="grasped")


def test_edits_of_a_dataset_lie_in_it(tmp_path: Path) -> None:
    assert edits_file(write_dataset(tmp_path / "d", 1, 0)) == tmp_path / "d" / "edits.jsonl"


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    assert cli.run([str(word) for word in words]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_the_commands_go_the_whole_way(bags: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "curate", "hide", bags, "--why", "table hit")
    assert told.endswith("line 1: hide bottle-003, bottle-004; 3 of 5 episodes are kept\n")
    assert "no failure ended in FAULT" in said(capsys, "curate", "hide", bags)  # they are left out already
    said(capsys, "curate", "outcome", bags, "bottle-002", "--to", "success")
    said(capsys, "curate", "tag", bags, "bottle-001", "bottle-002", "--name", "blue")
    said(capsys, "curate", "split", bags)
    assert "line 5: undo 4; 3 of 5" in said(capsys, "curate", "undo", bags)
    assert "line 6: undo 1; 5 of 5" in said(capsys, "curate", "undo", bags, "--line", "1")
    said(capsys, "curate", "drop", bags, "bottle-001")
    shown = said(capsys, "curate", "show", bags)
    assert "table hit" in shown and "dropped" in shown and "blue" in shown
    verbs = [edit.edit for edit in in_force(read_edits(bags / "edits.jsonl")).values()]
    assert verbs == ["outcome", "tag", "drop"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("drop WHERE", "edit drop names no episode"),
        ("drop WHERE bottle-01", "did you mean bottle-001"),
        ("undo WHERE", "--line 1: there are 0 lines to undo"),
        ("show nowhere", "nowhere: no such folder of bags or dataset"),
        ("tag WHERE bottle-001 --name ''", "must be a word"),
    ],
)
def test_wrong_use_of_the_commands(
    bags: Path, words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["curate", *(str(bags) if w == "WHERE" else w for w in shlex.split(words))]) == 2
    assert told in capsys.readouterr().err
    assert not (bags / "edits.jsonl").exists()
