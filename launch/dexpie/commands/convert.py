"""`dexpie convert`: bags to a dataset."""

from __future__ import annotations

import time

from dexpie.progress import Progress
from dexpie_core.errors import DexpieError
from dexpie_training.convert import ConvertOptions, ConvertProgress
from dexpie_training.convert import run_convert as convert

__all__ = ["ConvertOptions", "run_convert"]


def run_convert(options: ConvertOptions) -> None:
    """Convert with a progress line, and say what came of it; DexpieError where a bag was damaged."""
    progress = Progress("MB", 0)
    began_s = time.monotonic()

    def shown(state: ConvertProgress) -> None:
        progress.total = round(state.all_bytes / 1e6)
        rate = state.bytes / 1e6 / max(time.monotonic() - began_s, 1e-3)
        progress.update(round(state.bytes / 1e6), f"({state.bags}/{state.all_bags} bags, {rate:.0f} MB/s)")

    try:
        report = convert(options, shown)
    finally:
        progress.close()
    print(report)
    if report.damage:
        raise DexpieError(
            f"{report.out} is whole, but the bags have {len(report.damage)} faults (above), the first: "
            f"{report.damage[0]}"
        )
