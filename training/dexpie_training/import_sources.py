"""What is known of a file before its rows are read, and the checks that all formats share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexpie_core.errors import DexpieError

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class SourceFile:
    """A file to import. recorded_offset_rows: by how many rows its actions are later than its images already.

    default_shift_rows: by how many more they are made later where nothing else is asked for.
    """

    path: Path
    episodes: int
    rate_hz: float
    recorded_offset_rows: float
    default_shift_rows: int
    cameras: tuple[str, ...]
    remarks: tuple[str, ...]


def checked_shape(
    file: Path, data: Any, name: str, row_shape: tuple[int, ...], rows: int | None = None
) -> int:
    """Rows of an array; DexpieError where it is missing, or is not (rows, *row_shape)."""
    if name not in data:
        raise DexpieError(f"{file}: dataset {name} is missing")
    shape = getattr(data[name], "shape", None)
    wanted = (rows if rows is not None else "T", *row_shape)
    if shape is None or not shape or shape[1:] != row_shape or (rows is not None and shape[0] != rows):
        told = "no array" if shape is None else f"of shape {tuple(shape)}"
        raise DexpieError(f"{file}: dataset {name} is {told}, ({', '.join(map(str, wanted))}) is wanted")
    if not shape[0]:
        raise DexpieError(f"{file}: dataset {name} has no rows; leave the file out")
    return int(shape[0])


def check_images(file: Path, name: str, array: Any, rows: int) -> None:
    """DexpieError where these are no images of so many rows, uint8, (T, H, W, 3) or (T, 3, H, W)."""
    shape: tuple[int, ...] = getattr(array, "shape", ())
    if getattr(array, "dtype", None) != np.uint8:
        raise DexpieError(
            f"{file}: dataset {name} is of {getattr(array, 'dtype', 'no type')}, uint8 is wanted"
        )
    if len(shape) != 4 or shape[0] != rows or 3 not in (shape[1], shape[3]) or 0 in shape[1:]:
        raise DexpieError(f"{file}: dataset {name} is of shape {tuple(shape)}, ({rows}, H, W, 3) is wanted")


def whole_images(images: NDArray[Any]) -> Images:
    """Images (n, H, W, 3) uint8, of those or of (n, 3, H, W)."""
    rows = np.asarray(images)
    return rows if rows.shape[-1] == 3 else np.moveaxis(rows, 1, -1)
