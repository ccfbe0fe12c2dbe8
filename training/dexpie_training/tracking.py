"""Services that are told the learning curve beside TensorBoard, by way of accelerate."""

from collections.abc import Mapping, Sequence
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker, get_available_trackers

from dexpie_core.errors import UsageError

PROJECT = "dexpie"
Tracker = str | GeneralTracker


def check_trackers(names: Sequence[str]) -> None:
    """UsageError where one is not installed; accelerate would leave it out without a word."""
    installed = {str(tracker) for tracker in get_available_trackers()}
    for name in names:
        if name not in installed:
            raise UsageError(
                f"--trackers {name}: is not installed here; `pip install {name}` or leave it out"
            )


class Tracking:
    """The trackers of one run; does nothing where there are none."""

    def __init__(self, accelerator: Accelerator, active: bool) -> None:
        self._accelerator, self._active = accelerator, active

    def start(self, settings: Mapping[str, Any]) -> None:
        """Begin, and say how the run is trained."""
        if self._active:
            self._accelerator.init_trackers(PROJECT, config=dict(settings))

    def write(self, values: Mapping[str, float | int | None]) -> None:
        """A row of the learning curve."""
        if self._active:
            told = {name: value for name, value in values.items() if name != "step" and value is not None}
            self._accelerator.log(told, step=values["step"])

    def end(self) -> None:
        """Hand over what is still on its way."""
        if self._active:
            self._accelerator.end_training()
