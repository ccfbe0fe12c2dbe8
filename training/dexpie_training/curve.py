"""The learning curve of a run: curve.csv and TensorBoard."""

import csv
from pathlib import Path
from typing import Any, Final

CURVE_FILE: Final = "curve.csv"
CURVE_FIELDS: Final = ("step", "elapsed_s", "train_loss", "held_out_loss", "learning_rate", "samples_per_s")


def truncate_curve(file: Path, step: int) -> None:
    """Drop rows of the learning curve after `step`: they belong to work that was not saved."""
    if not file.exists():
        return
    with file.open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if int(row["step"]) <= step]
    with file.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, CURVE_FIELDS)
        writer.writeheader()
        writer.writerows(rows)


class CurveLog:
    """curve.csv and TensorBoard, written as training goes."""

    def __init__(self, folder: Path, active: bool) -> None:
        self._folder, self._active = folder, active

    def __enter__(self) -> "CurveLog":
        if self._active:
            from torch.utils.tensorboard import SummaryWriter

            file = self._folder / CURVE_FILE
            fresh = not file.exists()
            self._handle = file.open("a", newline="")
            self._csv = csv.DictWriter(self._handle, CURVE_FIELDS)
            if fresh:
                self._csv.writeheader()
            self._board = SummaryWriter(str(self._folder / "tensorboard"))
        return self

    def write(self, values: dict[str, Any]) -> None:
        """Add a row; values that were not measured are None."""
        if not self._active:
            return
        self._csv.writerow({k: "" if v is None else v for k, v in values.items()})
        self._handle.flush()
        for name, value in values.items():
            if name != "step" and value is not None:
                self._board.add_scalar(name, value, values["step"])

    def __exit__(self, *_: object) -> None:
        if self._active:
            self._handle.close()
            self._board.close()
