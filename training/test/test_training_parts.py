"""Frames written where the dataset has them: nothing is copied, nothing that is there is lost or mixed up."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_bags import BagMaker, Recipe, write_bag

from dexpie_bags import deserialize, serialize
from dexpie_core import topics
from dexpie_core.errors import DexpieError
from dexpie_training import convert, engines
from dexpie_training.convert import ConvertOptions, run_convert
from dexpie_training.hashing import frames_sha256
from dexpie_training.npy_appender import NpyAppender, NpyRows, keep_rows, stored_rows

FRAMES = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 3), dtype=np.uint8)


def filled(file: Path, frames: NDArray[np.uint8], behind: int = 0) -> Path:
    rows = NpyRows(file, len(frames), frames.shape[1:], np.uint8, behind)
    for row in reversed(range(len(frames))):
        rows.put(row, frames[row])
    rows.close()
    return file


@pytest.fixture
def store(tmp_path: Path) -> Path:
    filled(tmp_path / "store.npy", FRAMES[:4])
    return filled(tmp_path / "store.npy", FRAMES[4:], behind=4)


def appended(store: Path, file: Path, *spans: tuple[int, int]) -> NpyAppender:
    appender = NpyAppender(file, FRAMES.shape[1:], np.uint8, checked=True, store=store)
    for first, end in spans:
        appender.append_from(stored_rows(store, first, end - first), slice(0, end - first))
    appender.close()
    return appender


def test_rows_of_several_parts_follow_one_another(store: Path) -> None:
    np.testing.assert_array_equal(np.load(store), FRAMES)


def test_rows_in_their_place_are_not_copied(store: Path, tmp_path: Path) -> None:
    before = store.read_bytes()
    appender = appended(store, tmp_path / "a.npy", (0, 3), (3, 7))
    assert os.path.samefile(store, tmp_path / "a.npy") and store.read_bytes() == before
    assert appender.digest == frames_sha256(tmp_path / "a.npy")()


@pytest.mark.parametrize(
    ("spans", "rows"),
    [
        (((0, 3), (4, 7)), [0, 1, 2, 4, 5, 6]),
        (((0, 3), (3, 5)), [0, 1, 2, 3, 4]),
        (((2, 4), (0, 7)), [2, 3, *range(7)]),
    ],
    ids=["one left out", "the end left out", "another order"],
)
def test_rows_elsewhere_are_copied_and_the_store_stays(
    spans: tuple[tuple[int, int], ...], rows: list[int], store: Path, tmp_path: Path
) -> None:
    before = store.read_bytes()
    appender = appended(store, tmp_path / "a.npy", *spans)
    assert not os.path.samefile(store, tmp_path / "a.npy") and store.read_bytes() == before
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), FRAMES[rows])
    assert appender.digest == frames_sha256(tmp_path / "a.npy")()


def test_without_hard_links_rows_are_copied(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    appended(store, tmp_path / "a.npy", (0, 7))
    assert not os.path.samefile(store, tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), FRAMES)


def test_rows_are_taken_out_of_the_last_part(store: Path) -> None:
    keep_rows(store, np.array([False, True, True]), behind=4)
    np.testing.assert_array_equal(np.load(store), FRAMES[[0, 1, 2, 3, 5, 6]])
    assert store.stat().st_size == 128 + 6 * FRAMES[0].nbytes


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Four bags of different lengths; in the second one two pictures are none."""
    folder = tmp_path_factory.mktemp("bags")
    made = [write_bag(folder / f"bag{i}", Recipe(ticks=6 + i, seed=i, images=True)) for i in (0, 2, 3)]
    maker = BagMaker(folder / "bag1")
    maker.episode(Recipe(ticks=9, seed=1, images=True), "bag1")
    front = topics.compressed_image("front")
    at = [i for i, (_, spec, _) in enumerate(maker._log) if spec.name == front.name]
    for number in (0, 4):
        stamp_ns, spec, cdr = maker._log[at[number]]
        message = replace(deserialize(cdr, spec.type), data=np.zeros(0, np.uint8))
        maker._log[at[number]] = (stamp_ns, spec, serialize(message))
    return (made[0], maker.write(), *made[1:])


def content(dataset: Path) -> dict[str, bytes]:
    return {str(f.relative_to(dataset)): f.read_bytes() for f in dataset.rglob("*") if f.is_file()}


def converted(out: Path, bags: tuple[Path, ...], jobs: int = 1) -> dict[str, bytes]:
    run_convert(ConvertOptions(bags, out, jobs=jobs))
    assert not (out.parent / f".{out.name}.parts").exists()
    return content(out)


def test_nothing_is_copied_when_bags_are_joined(
    bags: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = converted(tmp_path / "copied", bags, jobs=2)
    monkeypatch.chdir(tmp_path)
    copied: list[Path] = []
    genuine = NpyAppender._copy
    monkeypatch.setattr(
        NpyAppender, "_copy", lambda self, file, *a, **k: (copied.append(file), genuine(self, file, *a, **k))
    )
    for out in (tmp_path / "in_place", Path("relative")):
        assert converted(out, bags) == expected
    assert {file.name for file in copied} <= {"state.npy"}
    assert len(expected["frames/front.npy"]) == 128 + (6 + 7 + 8 + 9) * 224 * 224 * 3


def cut_short(out: Path, bags: tuple[Path, ...], after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversion that ends with an error once so many bags are done."""
    genuine: Callable[..., str] = engines.convert_bag
    done = 0

    def convert_bag(*arguments: object) -> str:
        nonlocal done
        done += 1
        if done > after:
            raise OSError("pulled the plug")
        return genuine(*arguments)

    def join(*_: object) -> None:
        raise OSError("pulled the plug")

    with monkeypatch.context() as patch:
        patch.setattr(engines, "convert_bag", convert_bag)
        patch.setattr(convert, "join", join)
        with pytest.raises(DexpieError, match="pulled the plug"):
            run_convert(ConvertOptions(bags, out, jobs=1))


@pytest.mark.parametrize("after", [1, 3, 4])
def test_another_order_after_a_conversion_that_was_cut_short(
    after: int, bags: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c, d = bags
    expected = {order: converted(tmp_path / str(i), order) for i, order in enumerate([bags, (c, a, b)])}
    for order, found in expected.items():
        out = tmp_path / "out"
        cut_short(out, bags, after, monkeypatch)
        cut_short(out, (d, a), 1, monkeypatch)  # puts other frames where those of the first bag were
        assert converted(out, order) == found
        cut_short(tmp_path / "again", order, 2, monkeypatch)
        assert converted(tmp_path / "again", order, jobs=2) == found
        for made in (out, tmp_path / "again"):
            os.rename(made, tmp_path / f"{made.name}-{len(order)}")


def test_finished_bags_are_not_read_again(
    bags: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short(tmp_path / "out", bags, 3, monkeypatch)
    assert run_convert(ConvertOptions(bags, tmp_path / "out", jobs=1)).known_bags == 3


def test_frames_that_a_dataset_shares_with_leftovers_are_not_written_to(
    bags: tuple[Path, ...], tmp_path: Path
) -> None:
    """As after a kill between the rename of the dataset and the removal of the parts."""
    out = tmp_path / "out"
    found = converted(out, bags[:1])
    leftover = tmp_path / ".out.parts" / "frames"
    leftover.mkdir(parents=True)
    os.link(out / "frames" / "front.npy", leftover / "front.npy")
    os.rename(out, tmp_path / "kept")
    converted(out, bags[2:])
    assert content(tmp_path / "kept") == found
