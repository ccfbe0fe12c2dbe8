"""Who works on the bags, in which order and how often it is cut short does not change a byte."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from synthetic_bags import Recipe, write_bag, write_bags

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training import convert_bag, engines
from dexpie_training.alignment import AlignmentConfig
from dexpie_training.convert import ConvertOptions, ConvertProgress, run_convert
from dexpie_training.dataset import Dataset
from dexpie_training.dataset_writer import put_in_place

ROOT = Path(__file__).parents[2]


def content(dataset: Path) -> dict[str, bytes]:
    return {str(f.relative_to(dataset)): f.read_bytes() for f in dataset.rglob("*") if f.is_file()}


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five bags, the third of which holds a discarded episode."""
    folder = write_bags(tmp_path_factory.mktemp("bags"), 5, ticks=8, images=True)
    (folder / "episode_002").rename(tmp_path_factory.mktemp("replaced") / "episode_002")
    write_bag(folder / "episode_002", Recipe(ticks=8, images=True, outcome="discard"))
    return folder


@pytest.fixture(scope="module")
def expected(bags: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("serial") / "dataset"
    report = run_convert(ConvertOptions((bags,), out, jobs=1))
    assert (report.episodes, report.bags, report.known_bags) == (4, 5, 0)
    return content(out)


def test_two_workers_give_the_same_bytes_and_tell_how_far_they_are(
    bags: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    told = []
    run_convert(ConvertOptions((bags,), tmp_path / "dataset", jobs=2), told.append)
    assert content(tmp_path / "dataset") == expected
    assert [p.name for p in tmp_path.iterdir()] == ["dataset"]
    last = told[-1]
    assert (last.bags, last.all_bags) == (5, 5) and last.bytes == last.all_bytes > 0
    assert all(a.bytes <= b.bytes for a, b in pairwise(told))


def test_bags_in_the_dataset_are_not_read_again(
    bags: Path, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "dataset"
    first = [bags / f"episode_{i:03d}" for i in (0, 2, 4)]
    run_convert(ConvertOptions(tuple(first), out, jobs=1))
    (out / "edits.jsonl").write_text("by hand\n")
    (out / "labels").mkdir()
    (out / "labels" / "old.json").write_text("{}")
    read: list[Path] = []
    genuine = convert_bag.episodes_of
    monkeypatch.setattr(
        convert_bag, "episodes_of", lambda bag, remap: (read.append(bag.path), genuine(bag, remap))[1]
    )
    report = run_convert(ConvertOptions((bags,), out, jobs=1))
    assert [bag.name for bag in read] == ["episode_001", "episode_003"]
    assert (report.bags, report.known_bags, report.episodes) == (5, 3, 4)
    assert any("labels/old.json: was of the dataset before" in remark for remark in report.remarks)
    assert content(out) == {**expected, "edits.jsonl": b"by hand\n"}
    assert [p.name for p in tmp_path.iterdir()] == ["dataset"]


def test_bags_are_added_where_only_new_ones_are_given(bags: Path, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    run_convert(ConvertOptions((bags / "episode_000",), out, jobs=1))
    report = run_convert(ConvertOptions((bags / "episode_001", bags / "episode_000"), out, jobs=1))
    assert (report.bags, report.episodes) == (2, 2)
    report = run_convert(ConvertOptions((bags / "episode_003",), out, jobs=1))
    ids = [e["episode_id"] for e in Dataset.open(out).episodes]
    assert ids == ["episode_001", "episode_000", "episode_003"]
    with pytest.raises(UsageError, match="exists already, made with other settings"):
        run_convert(ConvertOptions((bags,), out, AlignmentConfig(action_offset_rows=1), jobs=1))


def test_a_bag_that_was_mended_replaces_what_it_was(bags: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "bags", tmp_path / "dataset"
    write_bag(folder / "a", Recipe(ticks=6, images=True, seed=1))
    write_bag(folder / "b", Recipe(ticks=6, images=True, seed=2))
    broken = next((folder / "b").glob("*.mcap"))
    content = broken.read_bytes()
    broken.write_bytes(content[:999])
    assert len(run_convert(ConvertOptions((folder,), out, jobs=1)).damage) == 1
    broken.write_bytes(content)
    report = run_convert(ConvertOptions((folder,), out, jobs=1))
    assert (report.bags, report.episodes, report.damage) == (2, 2, ())
    shutil.rmtree(folder / "a")
    write_bag(folder / "a", Recipe(ticks=9, images=True, seed=3))
    assert run_convert(ConvertOptions((folder,), out, jobs=1)).episodes == 2
    assert Dataset.open(out).lengths.tolist() == [9, 6]


def test_a_bag_given_twice_counts_once(bags: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").symlink_to(bags / "episode_000")
    both = (bags / "episode_000", tmp_path / "copy")
    report = run_convert(ConvertOptions(both, tmp_path / "dataset", jobs=1))
    assert (report.episodes, report.damage) == (1, ())
    assert "holds the same as another bag" in str(report)


KILLED_IN_THE_THIRD = """
import os, signal, sys
from dexpie_training import convert_bag
from dexpie_training.convert import ConvertOptions, run_convert
from pathlib import Path
genuine, count = convert_bag.write_frames, 0
def write_frames(*arguments):
    global count
    count += 1
    told = genuine(*arguments)
    if count == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return told
convert_bag.write_frames = write_frames
run_convert(ConvertOptions((Path(sys.argv[1]),), Path(sys.argv[2]), jobs=1))
"""


def test_a_killed_conversion_goes_on(
    bags: Path, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "dataset"
    command = [sys.executable, "-P", "-c", KILLED_IN_THE_THIRD, str(bags), str(out)]
    assert subprocess.run(command, timeout=120, cwd=ROOT).returncode == -signal.SIGKILL
    assert not out.exists() and (tmp_path / ".dataset.parts").is_dir()
    read: list[Path] = []
    genuine = convert_bag.episodes_of
    monkeypatch.setattr(
        convert_bag, "episodes_of", lambda bag, remap: (read.append(bag.path), genuine(bag, remap))[1]
    )
    report = run_convert(ConvertOptions((bags,), out, jobs=1))
    # Bags 0 and 1 were done, and the discarded one, which has no pictures; 3 was under way.
    assert [bag.name for bag in read] == ["episode_003", "episode_004"] and report.known_bags == 3
    assert content(out) == expected
    assert [p.name for p in tmp_path.iterdir()] == ["dataset"]


def test_ctrl_c_leaves_nothing_half_written_and_no_worker(
    bags: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    """Interrupted while two processes work: parts are whole or not there, and the next run uses them."""
    out = tmp_path / "dataset"

    def interrupt(state: ConvertProgress) -> None:
        if state.bags:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_convert(ConvertOptions((bags,), out, jobs=2), interrupt)
    assert multiprocessing.active_children() == [] and not out.exists()
    parts = list((tmp_path / ".dataset.parts").iterdir())
    assert parts and not any(part.name.startswith(".") for part in parts)
    report = run_convert(ConvertOptions((bags,), out, jobs=1))
    assert report.known_bags >= 1 and content(out) == expected


def test_a_full_disk_is_one_line(bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(convert_bag, "write_frames", full)
    with pytest.raises(DexpieError, match="No space left on device; the same command goes on"):
        run_convert(ConvertOptions((bags,), tmp_path / "dataset", jobs=1))
    assert [p.name for p in tmp_path.iterdir()] in ([], [".dataset.parts"])


def test_a_kill_between_two_renames_loses_no_dataset(bags: Path, tmp_path: Path) -> None:
    out, replaced = tmp_path / "dataset", tmp_path / ".dataset.replaced"
    run_convert(ConvertOptions((bags / "episode_000",), out, jobs=1))
    os.rename(out, replaced)
    report = run_convert(ConvertOptions((bags / "episode_001",), out, jobs=1))
    assert report.episodes == 2 and not replaced.exists()
    new = tmp_path / "new"
    new.mkdir()
    put_in_place(new, out)
    assert list(out.iterdir()) == [] and [p.name for p in tmp_path.iterdir()] == ["dataset"]


def test_two_conversions_of_one_dataset_do_not_meet(bags: Path, tmp_path: Path) -> None:
    from dexpie_training.convert import _parts_folder

    with (
        _parts_folder(tmp_path / "dataset"),
        pytest.raises(UsageError, match="another conversion is at work"),
    ):
        run_convert(ConvertOptions((bags,), tmp_path / "dataset", jobs=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("engine", "module"), [("ray", "ray"), ("dask", "distributed")])
def test_an_engine_that_is_not_installed_says_what_to_install(
    engine: str, module: str, bags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"{module} is not installed; pip install .*{engine}"):
        run_convert(ConvertOptions((bags,), tmp_path / "dataset", engine=engine))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("engine", "module"), [("ray", "ray"), ("dask", "distributed")])
def test_a_cluster_gives_the_same_bytes(
    engine: engines.EngineName, module: str, bags: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    pytest.importorskip(module, reason="an optional engine of dexpie convert")
    run_convert(ConvertOptions((bags,), tmp_path / "dataset", engine=engine, jobs=2))
    assert content(tmp_path / "dataset") == expected


def test_the_account_of_rows_is_complete(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", Recipe(ticks=40, missing_state=(20, 21, 30)))
    out = run_convert(ConvertOptions((bag,), tmp_path / "dataset", jobs=1)).out
    (report,) = json.loads((out / "dataset.json").read_text())["report"]
    assert [run["rows"] for run in report["dropped"]] == [2, 1]
    assert sum(run["rows"] for run in report["dropped"]) == report["anchors"] - report["rows"] == 3
    why = report["dropped"][0]["why"]
    assert why["/arm/joint_states"] == "message up to 40.0 ms away"
    stamps = Dataset.open(out).stamp_ns
    dropped = [run["first_ns"] for run in report["dropped"]]
    assert not np.isin(dropped, stamps).any()
    assert report["error_counts"]["/arm/joint_states"] == [37]
