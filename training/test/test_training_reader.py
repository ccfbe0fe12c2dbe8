"""Batches hold the right rows, mix as told, repeat by seed and step, and share what is on disk."""

from itertools import islice
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from synthetic_dataset import write_dataset

from dexpie_core.errors import UsageError
from dexpie_training.dataset import Dataset, copy_rows
from dexpie_training.reader import WindowReader, prefetched
from dexpie_training.sampling import batch_positions, quotas


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    folder = tmp_path_factory.mktemp("datasets")
    made = [write_dataset(folder / name, n, 2, seed=n, images_px=16) for name, n in (("a", 4), ("b", 2))]
    return Dataset.open(made[0]), Dataset.open(made[1])


def test_a_batch_is_what_reading_row_by_row_gives(two: tuple[Dataset, Dataset]) -> None:
    reader = WindowReader([(two[0], 3.0), (two[1], 1.0)], horizon=24, batch_size=32, relative=False)
    batch = reader.batch(5)
    assert np.bincount(batch.source).tolist() == [24, 8]
    for i, (source, row) in enumerate(zip(batch.source, batch.row, strict=True)):
        dataset = two[source]
        for camera in ("front", "wrist"):
            assert np.array_equal(batch.images[camera][i], dataset.frames[camera][row])
        end = dataset.episode_rows(dataset.episode[row]).stop
        held = np.minimum(np.arange(row, row + 24), end - 1)
        np.testing.assert_array_equal(batch.actions[i], dataset.action[held].astype(np.float32))
        np.testing.assert_array_equal(batch.tcp_pose[i], dataset.tcp_pose[row].astype(np.float32))
    relative = WindowReader([(two[0], 1.0)], horizon=24, batch_size=8).batch(0)
    expected = reader.windows[0].relative_chunks(relative.row).astype(np.float32)
    np.testing.assert_array_equal(relative.actions, expected)
    assert all(array.flags.c_contiguous for array in batch.arrays().values())


@pytest.mark.parametrize("cameras", [1, 2])
def test_rows_are_copied_into_contiguous_and_strided_arrays(
    cameras: int, two: tuple[Dataset, Dataset]
) -> None:
    frames, rows = two[0].frames["front"], np.array([7, 0, 7, 3])
    out = np.zeros((4, cameras, *frames.shape[1:]), np.uint8)
    copy_rows(frames, rows, out[:, -1])
    assert out[:, -1].flags.c_contiguous == (cameras == 1)
    np.testing.assert_array_equal(out[:, -1], frames[rows])
    assert cameras == 1 or not out[:, 0].any()


def test_an_epoch_sees_every_window_once_and_the_seed_decides_the_order(two: tuple[Dataset, Dataset]) -> None:
    dataset = two[0]
    reader = WindowReader([(dataset, 1.0)], horizon=8, batch_size=16, seed=3, cameras=())
    steps = len(reader.windows[0].starts) // 16
    seen = np.concatenate([reader.batch(step).row for step in range(steps)])
    assert len(np.unique(seen)) == len(seen) == 16 * steps
    again = WindowReader([(dataset, 1.0)], horizon=8, batch_size=16, seed=3, cameras=())
    other = WindowReader([(dataset, 1.0)], horizon=8, batch_size=16, seed=4, cameras=())
    assert np.array_equal(again.batch(2).row, reader.batch(2).row)
    assert not np.array_equal(other.batch(2).row, reader.batch(2).row)


def test_prefetched_batches_are_the_same_in_order(two: tuple[Dataset, Dataset]) -> None:
    reader = WindowReader([(two[0], 1.0), (two[1], 1.0)], horizon=8, batch_size=12)
    expected = [reader.batch(step) for step in range(3, 12)]
    for batch, plain in zip(prefetched(reader, 3, steps=9, workers=3), expected, strict=True):
        for name, array in batch.arrays().items():
            assert np.array_equal(array, plain.arrays()[name])
    assert len(list(islice(prefetched(reader), 4))) == 4  # without an end, left by the caller


def test_tensors_share_memory_and_torchs_loader_takes_it(two: tuple[Dataset, Dataset]) -> None:
    reader = WindowReader([(two[0], 1.0)], horizon=8, batch_size=32)
    batch = reader.batch(0)
    batch.tensors()["images.front"][0] = 77
    assert (batch.images["front"][0] == 77).all()
    loaded = list(torch.utils.data.DataLoader(reader, batch_size=None))
    assert len(loaded) == len(reader)
    assert torch.equal(loaded[1]["actions"], torch.from_numpy(reader.batch(1).actions))


def test_another_process_opens_the_files_instead_of_getting_a_copy(two: tuple[Dataset, Dataset]) -> None:
    sent = bytes(ForkingPickler.dumps(two[0]))
    assert len(sent) < 500
    there = ForkingPickler.loads(sent)
    assert isinstance(there.frames["front"], np.memmap) and there.path == two[0].path


def test_a_window_does_not_leave_its_episode(two: tuple[Dataset, Dataset]) -> None:
    """Negative: the row after an episode's end belongs to another one, and would be taken without padding."""
    dataset = two[0]
    last = int(dataset.lengths[0]) - 1
    windows = WindowReader([(dataset, 1.0)], 8, 4).windows[0]
    assert windows.rows(np.array([last])).tolist() == [[last] * 8]
    assert not np.array_equal(dataset.action[last], dataset.action[last + 1])


@given(
    weights=st.lists(st.floats(0.0, 10.0).filter(lambda w: w == 0 or w > 1e-3), min_size=1, max_size=5),
    batch_size=st.integers(5, 300),
)
def test_quotas_fill_the_batch_in_proportion(weights: list[float], batch_size: int) -> None:
    if not any(weights):
        with pytest.raises(ValueError, match="nor all be 0"):
            quotas(weights, batch_size)
        return
    counts, wanted = quotas(weights, batch_size), np.array(weights) / sum(weights) * batch_size
    assert counts.sum() == batch_size and np.all((counts > 0) == (np.array(weights) > 0))
    assert np.all(counts <= np.ceil(wanted) + (wanted < 1))


def test_what_does_not_fit_together_is_refused(two: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    small = Dataset.open(write_dataset(tmp_path / "small", 2, 0, images_px=8))
    with pytest.raises(UsageError, match="image_size_px is 8"):
        WindowReader([(two[0], 1.0), (small, 1.0)], 8, 16)
    with pytest.raises(UsageError, match="has no camera side"):
        WindowReader([(two[0], 1.0)], 8, 16, cameras=("side",))
    with pytest.raises(UsageError, match="weights"):
        WindowReader([(two[0], -1.0)], 8, 16)


def test_positions_of_several_epochs_cover_each() -> None:
    positions = np.concatenate([batch_positions(10, 4, step, 0) for step in range(5)])
    assert sorted(positions[:10]) == sorted(positions[10:]) == list(range(10))
