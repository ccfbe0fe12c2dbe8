"""What inspect finds in datasets and bags, with faults put there on purpose."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from synthetic_bags import BagMaker, Recipe, write_bag

from dexpie_core.errors import DexpieError
from dexpie_core.modes import Mode
from dexpie_training.convert import ConvertOptions, run_convert
from dexpie_training.dataset import Dataset
from dexpie_training.inspection import describe_dataset
from dexpie_training.inspection_tables import alignment_of_bag, alignment_of_dataset
from dexpie_training.plots.inspection import draw_inspection, mode_runs, spread
from dexpie_training.verification import verify_bag, verify_dataset


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    maker = BagMaker(tmp_path_factory.mktemp("bags") / "bag")
    maker.episode(Recipe(ticks=12, images=True, idle_ticks=4), "a")
    maker.episode(Recipe(ticks=8, images=True, kind="rollout", outcome="failure"), "b")
    return maker.write()


@pytest.fixture
def dataset(bag: Path, tmp_path: Path) -> Path:
    return run_convert(ConvertOptions((bag,), tmp_path / "dataset", jobs=1)).out


def test_sound_data_has_no_fault(bag: Path, dataset: Path) -> None:
    assert verify_bag(bag) == []
    # The picture of an episode's first tick is black.
    assert verify_dataset(dataset) == [
        f"{dataset}: frames/{camera}.npy: 2 frames are black, the first is row 0"
        for camera in ("front", "wrist")
    ]


def rewritten(dataset: Path, column: str, row: int, value: object) -> None:
    file = dataset / "steps.parquet"
    table = pq.read_table(file)
    values = table[column].to_pylist()
    values[row] = value
    index = table.schema.get_field_index(column)
    import pyarrow as pa

    pq.write_table(
        table.set_column(index, table.schema.field(index), pa.array(values, table.schema.field(index).type)),
        file,
    )


def one_byte(dataset: Path) -> None:
    file = dataset / "frames" / "front.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def shorter(dataset: Path) -> None:
    file = dataset / "frames" / "front.npy"
    file.write_bytes(file.read_bytes()[:-10])


def other_size(dataset: Path) -> None:
    np.save(dataset / "frames" / "front.npy", np.ones((20, 8, 8, 3), np.uint8))


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "one byte": (one_byte, "content_sha256 in dataset.json differs"),
    "shorter": (shorter, "front.npy: cannot be read"),
    "other size": (other_size, "front.npy: is uint8 (20, 8, 8, 3), not uint8 of 224 px"),
    "not finite": (lambda d: rewritten(d, "arm_q", 3, [float("nan")] * 6), "column arm_q of steps.parquet"),
    "stamps": (
        lambda d: rewritten(d, "stamp_ns", 3, 5),
        "episode a: stamp_ns does not ascend at row 3 (5 ns)",
    ),
    "rotation": (
        lambda d: rewritten(d, "tcp_pose", 13, [0.0] * 9),
        "column tcp_pose: the rotation of row 13",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_of_a_dataset_is_found(name: str, dataset: Path) -> None:
    spoil, expected = FAULTS[name]
    spoil(dataset)
    found = verify_dataset(dataset)
    assert any(expected in line for line in found), found
    assert all(str(dataset) in line for line in found)


def test_faults_of_a_bag_are_found(tmp_path: Path) -> None:
    maker = BagMaker(tmp_path / "bag")
    maker.episode(Recipe(ticks=8, missing_state=tuple(range(8))), "a")
    maker.episode(Recipe(ticks=8, without_end=True), "b")
    found = verify_bag(maker.write())
    assert len(found) == 2 and "/arm/joint_states at" in found[0] and "has no messages" in found[0]
    assert "episode b: without an end" in found[1]
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]


def test_alignment_by_stream_is_the_same_for_bag_and_dataset(bag: Path, dataset: Path) -> None:
    meta = json.loads((dataset / "dataset.json").read_text())
    rows, remarks = alignment_of_bag(bag)
    assert rows == alignment_of_dataset(meta) and remarks == []
    of = {row[0]: row for row in rows}
    # Pictures are stamped 3 ms after the tick, so everything else is 3 ms from its anchor.
    assert of["/executor/action"] == ("/executor/action", 20, "< 4", "< 4", "3.0", 0)
    assert of["/camera/front/color/compressed"][2:5] == ("< 1", "< 1", "0.0")


def test_the_text_tells_who_drove(dataset: Path) -> None:
    text = describe_dataset(dataset)
    assert "an operator took over in 0 of 1 rollouts" in text and "damage     none" in text


def test_pictures(dataset: Path, tmp_path: Path) -> None:
    files = draw_inspection(dataset, tmp_path / "pictures")
    assert [f.name for f in files] == ["contact_sheet.png", "alignment.png", "modes.png"]
    assert all(min(cv2.imread(str(f)).shape[:2]) > 100 for f in files)
    with pytest.raises(DexpieError, match=r"contact_sheet\.png exists already"):
        draw_inspection(dataset, tmp_path / "pictures")
    opened = Dataset.open(dataset)
    assert [(mode, round(length, 3)) for mode, _, length in mode_runs(opened, 0)] == [
        (Mode.IDLE, 0.16), (Mode.HUMAN, 0.32),
    ]  # fmt: skip
    assert spread(5, 9).tolist() == [0, 1, 2, 3, 4] and spread(100, 3).tolist() == [0, 50, 99]


def test_one_more_bag_without_images_says_nothing_of_frames(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", Recipe(ticks=6))
    out = run_convert(ConvertOptions((bag,), tmp_path / "dataset", jobs=1)).out
    assert verify_dataset(out) == []
    assert len(draw_inspection(out, tmp_path / "pictures")) == 2
