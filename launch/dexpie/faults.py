"""How a command ends that has shown what there is and found something wrong with it."""

from __future__ import annotations

from collections.abc import Iterable

from dexpie_core.errors import DexpieError


def tell_faults(lines: Iterable[str]) -> None:
    """DexpieError with the only fault, or with the first one of several, which are printed."""
    faults = list(dict.fromkeys(lines))
    if len(faults) == 1:
        raise DexpieError(faults[0])
    if faults:
        print("\n".join(["", *faults]))
        raise DexpieError(f"{len(faults)} faults were found (above), the first: {faults[0]}")
