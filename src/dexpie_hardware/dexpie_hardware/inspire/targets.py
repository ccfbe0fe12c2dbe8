"""Which targets go to the hand: commands checked, small changes kept back, old commands refused. Pure."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core.limits import CommandRefused
from dexpie_hardware.inspire.protocol import CHANNELS, HOLD, OPEN_COUNTS

Counts = tuple[int, ...]


def counts_of(position: ArrayLike) -> Counts:
    """ANGLE_SET values of a commanded position (6,) in [0, 1], or CommandRefused."""
    target = np.asarray(position, dtype=np.float64)
    if target.shape != (CHANNELS,):
        raise CommandRefused(f"hand command has shape {target.shape}, expected ({CHANNELS},)")
    if not np.all(np.isfinite(target)):
        raise CommandRefused("hand command is not finite")
    if np.any(target < 0.0) or np.any(target > 1.0):
        raise CommandRefused(f"hand command {np.round(target, 3).tolist()} is outside [0, 1]")
    return tuple(int(value) for value in np.rint(target * OPEN_COUNTS))


def changed(sent: Sequence[int], wanted: Sequence[int], dead_band_counts: int) -> Counts | None:
    """The targets to write: HOLD where the hand has them already; None where it has them all.

    `sent` holds what the hand was told last, HOLD where that is not known. A difference within the dead
    band is kept back, so that a trembling operator does not keep six motors busy; the two ends are exact.
    """
    targets = []
    for before, after in zip(sent, wanted, strict=True):
        band = 0 if after in (0, OPEN_COUNTS) else dead_band_counts
        targets.append(HOLD if before != HOLD and abs(after - before) <= band else after)
    return None if all(target == HOLD for target in targets) else tuple(targets)


def merged(sent: Sequence[int], written: Sequence[int]) -> Counts:
    """What the hand was told last, after it has accepted `written`."""
    return tuple(old if new == HOLD else new for old, new in zip(sent, written, strict=True))


class MotionGate:
    """Lets commands through unless something holds the hand, and after that only those of a new epoch.

    The epoch counts the executor's switches of mode. A command of the epoch that a fault or a loss
    interrupted was computed for a hand that is elsewhere now; `accept_present` is the operator's word
    that it may be followed all the same.
    """

    def __init__(self) -> None:
        self.hold_reason = ""
        self._newest_epoch: int | None = None
        self._old_epoch: int | None = None

    def hold(self, reason: str) -> None:
        """Let nothing through; '' ends the hold."""
        if self.hold_reason and not reason:
            self._old_epoch = self._newest_epoch
        self.hold_reason = reason

    def passes(self, epoch: int) -> bool:
        """Whether a command of `epoch` that has just arrived may be followed."""
        self._newest_epoch = epoch
        if self.hold_reason:
            return False
        if epoch == self._old_epoch:
            return False
        self._old_epoch = None
        return True

    @property
    def waits_for_new_epoch(self) -> bool:
        """Whether nothing holds the hand any more but the commands are still those of before."""
        return not self.hold_reason and self._old_epoch is not None

    def accept_present(self) -> None:
        """Follow commands of the present epoch too."""
        self._old_epoch = None
