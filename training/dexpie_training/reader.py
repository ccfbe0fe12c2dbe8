"""Random batches of windows out of one or several datasets, at the speed of memory. numpy alone.

    reader = WindowReader([(Dataset.open("a"), 3.0), (Dataset.open("b"), 1.0)], horizon=24, batch_size=256)
    for batch in prefetched(reader, first_step=0, workers=2):
        images, actions = batch.images["front"], batch.actions        # or batch.tensors()["actions"]

For torch.utils.data.DataLoader the reader is a map-style dataset of whole batches (batch_size=None); its
processes reopen the files, so that all share the pages of one memory-mapped copy.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexpie_core.errors import UsageError
from dexpie_training.dataset import Dataset, Windows, copy_rows
from dexpie_training.sampling import batch_positions, quotas

Ints = NDArray[np.int64]
Floats32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Batch:
    """B windows in contiguous arrays. `source` and `row` say which dataset and row each one starts at."""

    images: dict[str, NDArray[np.uint8]]  # camera -> (B, 224, 224, 3), of the first step
    arm_q: Floats32  # (B, 6) rad
    tcp_pose: Floats32  # (B, 9)
    hand_q: Floats32  # (B, 6)
    actions: Floats32  # (B, H, 15), relative to tcp_pose or absolute
    source: Ints  # (B,)
    row: Ints  # (B,)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name, the images as images.<camera>."""
        named = {name: value for name, value in vars(self).items() if name != "images"}
        return {**named, **{f"images.{camera}": frames for camera, frames in self.images.items()}}

    def tensors(self) -> dict[str, Any]:
        """The same as torch tensors that share this memory."""
        import torch

        return {name: torch.from_numpy(array) for name, array in self.arrays().items()}


class WindowReader:
    """Batches by training step: a function of the step and the seed.

    Each dataset has a fixed share of every batch (`quotas`) and its own shuffled passes over its windows, so
    that the mixture is exact in every batch and does not depend on sizes. Padding rules: `dataset.Windows`.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Dataset, float]],
        horizon: int,
        batch_size: int,
        seed: int = 0,
        cameras: Sequence[str] | None = None,
        relative: bool = True,
    ) -> None:
        """cameras: None for all. UsageError where the datasets do not fit together."""
        self.datasets = [dataset for dataset, _ in sources]
        self.windows = [Windows(dataset, horizon) for dataset in self.datasets]
        self.horizon, self.batch_size, self.seed, self.relative = horizon, batch_size, seed, relative
        self.cameras = tuple(self.datasets[0].meta["cameras"] if cameras is None else cameras)
        _check(self.datasets, self.cameras)
        for dataset, windows in zip(self.datasets, self.windows, strict=True):
            if not len(windows.starts):
                raise UsageError(f"{dataset.path}: no window of {horizon} steps starts in it")
        try:
            self.quotas = quotas([weight for _, weight in sources], batch_size)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def __len__(self) -> int:
        """Steps until every window of every dataset that has a share was seen."""
        return max(
            -(-len(windows.starts) // int(quota))
            for windows, quota in zip(self.windows, self.quotas, strict=True)
            if quota
        )

    def __getitem__(self, step: int) -> dict[str, NDArray[Any]]:
        """The arrays of a batch, as torch's DataLoader takes them."""
        if not 0 <= step < len(self):
            raise IndexError(step)
        return self.batch(step).arrays()

    def empty(self) -> Batch:
        """A batch to be filled in again and again."""
        size = self.batch_size
        shape = {c: self.datasets[0].frames[c].shape[1:] for c in self.cameras}
        return Batch(
            images={c: np.empty((size, *shape[c]), np.uint8) for c in self.cameras},
            arm_q=np.empty((size, 6), np.float32),
            tcp_pose=np.empty((size, 9), np.float32),
            hand_q=np.empty((size, 6), np.float32),
            actions=np.empty((size, self.horizon, 15), np.float32),
            source=np.empty(size, np.int64),
            row=np.empty(size, np.int64),
        )

    def rows(self, step: int) -> list[Ints]:
        """First rows of a step's windows, by dataset, ascending: the order in a batch has no meaning."""
        return [
            np.sort(windows.starts[batch_positions(len(windows.starts), int(quota), step, self.seed + index)])
            for index, (windows, quota) in enumerate(zip(self.windows, self.quotas, strict=True))
        ]

    def batch(self, step: int, out: Batch | None = None) -> Batch:
        """The windows of a training step, in `out` where it is given."""
        batch, first = out or self.empty(), 0
        for index, rows in enumerate(self.rows(step)):
            part = slice(first, first + len(rows))
            self._fill(batch, part, index, rows)
            first = part.stop
        return batch

    def _fill(self, batch: Batch, part: slice, index: int, rows: Ints) -> None:
        dataset, windows = self.datasets[index], self.windows[index]
        for camera in self.cameras:
            copy_rows(dataset.frames[camera], rows, batch.images[camera][part])
        batch.arm_q[part] = dataset.arm_q[rows]
        batch.tcp_pose[part] = dataset.tcp_pose[rows]
        batch.hand_q[part] = dataset.hand_q[rows]
        chunks = windows.relative_chunks if self.relative else windows.absolute_chunks
        batch.actions[part] = chunks(rows)
        batch.source[part], batch.row[part] = index, rows


def _check(datasets: Sequence[Dataset], cameras: Sequence[str]) -> None:
    first = datasets[0]
    for dataset in datasets:
        missing = [camera for camera in cameras if camera not in dataset.frames]
        if missing:
            raise UsageError(f"{dataset.path}: has no camera {', '.join(missing)}")
        for name in ("rate_hz", "image_size_px", "image_rule"):
            if dataset.meta.get(name) != first.meta.get(name):
                raise UsageError(
                    f"{dataset.path}: {name} is {dataset.meta.get(name)}, {first.path} has "
                    f"{first.meta.get(name)}; they cannot be mixed"
                )
        offsets = [d.meta["alignment"].get("action_offset_rows") for d in (first, dataset)]
        if offsets[0] != offsets[1]:
            raise UsageError(
                f"{dataset.path}: action_offset_rows is {offsets[1]}, {first.path} has {offsets[0]}; "
                "they cannot be mixed"
            )


def prefetched(
    reader: WindowReader, first_step: int = 0, steps: int | None = None, workers: int = 2
) -> Iterator[Batch]:
    """Batches of successive steps, assembled ahead by threads: copying pages needs no interpreter.

    A batch is valid until the next one is asked for: its arrays are used again. steps: None goes on for ever.
    """
    last = None if steps is None else first_step + steps
    buffers = deque(reader.empty() for _ in range(workers + 2))
    under_way: deque[Future[Batch]] = deque()
    step = first_step
    with ThreadPoolExecutor(workers) as pool:
        while True:
            while len(under_way) <= workers and (last is None or step < last):
                under_way.append(pool.submit(reader.batch, step, buffers.popleft()))
                step += 1
            if not under_way:
                return
            batch = under_way.popleft().result()
            yield batch
            buffers.append(batch)
