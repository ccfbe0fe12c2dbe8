"""Parts of the training loop: batches made ahead, trackers."""

import threading

import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.tracking import GeneralTracker, on_main_process

from dexpie_core.errors import UsageError
from dexpie_training.ahead import Ahead
from dexpie_training.tracking import Tracking, check_trackers


def test_the_next_step_is_made_while_this_one_is_used() -> None:
    asked, made_two = [], threading.Event()

    def make(step: int) -> int:
        asked.append(step)
        if step == 2:
            made_two.set()
        return 10 * step

    ahead = Ahead(make)
    assert ahead(1) == 10 and made_two.wait(10.0)
    assert ahead(2) == 20
    assert ahead(7) == 70  # after a jump nothing is used that was made for another step
    ahead.close()
    assert asked.count(2) == 1 and set(asked) <= {1, 2, 3, 7, 8}


def test_what_goes_wrong_ahead_is_raised_where_it_is_wanted() -> None:
    def make(step: int) -> int:
        if step == 1:
            raise ValueError("row 1 is broken")
        return step

    ahead = Ahead(make)
    assert ahead(0) == 0
    with pytest.raises(ValueError, match="row 1 is broken"):
        ahead(1)
    ahead.close()


class Kept(GeneralTracker):
    """Keeps what it is told."""

    name, requires_logging_directory, tracker = "kept", False, None

    def __init__(self) -> None:
        super().__init__()
        self.told: list[object] = []

    @on_main_process
    def store_init_configuration(self, values: dict[str, object]) -> None:
        self.told.append(values)

    @on_main_process
    def log(self, values: dict[str, object], step: int | None = None, **more: object) -> None:
        self.told.append((step, values))

    @on_main_process
    def finish(self) -> None:
        self.told.append("end")


def test_a_tracker_is_told_the_curve() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    kept = Kept()
    tracking = Tracking(Accelerator(log_with=[kept], cpu=True), active=True)
    tracking.start({"precision": "fp32"})
    tracking.write({"step": 50, "train_loss": 0.5, "held_out_loss": None})
    tracking.end()
    assert kept.told == [{"precision": "fp32"}, (50, {"train_loss": 0.5}), "end"]


def test_a_tracker_that_is_not_installed_is_refused() -> None:
    """Negative: accelerate drops it without a word, and the run would be missed afterwards."""
    check_trackers(())
    with pytest.raises(UsageError, match="--trackers aim: is not installed here"):
        check_trackers(("aim",))
