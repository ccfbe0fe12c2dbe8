"""How well the streams of a bag or dataset fit their anchors, as rows of a table."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from dexpie_core.errors import DexpieError
from dexpie_training.alignment import ERROR_BIN_MS, AlignedEpisode, AlignmentConfig, align
from dexpie_training.bag_episodes import read_episodes

HEADER: Final = ("stream", "rows", "error p50 ms", "p99 ms", "worst ms", "rows left out")
Row = tuple[str, int, str, str, str, int]


def alignment_of_dataset(meta: dict[str, Any]) -> list[Row]:
    """One row a stream, out of dataset.json."""
    return _rows(meta["report"])


def alignment_of_bag(bag: Path, config: AlignmentConfig | None = None) -> tuple[list[Row], list[str]]:
    """The same of the episodes of a bag that can be read, and why some are not among them."""
    reports, remarks = [], []
    try:
        for episode in read_episodes(bag):
            if episode.end is None or not episode.started or episode.overlapped_by:
                continue
            try:
                reports.append(_report(align(episode, config or AlignmentConfig())))
            except DexpieError as error:
                remarks.append(str(error))
    except DexpieError as error:  # what was read before stands
        remarks.append(str(error))
    return _rows(reports), remarks


def _report(rows: AlignedEpisode) -> dict[str, Any]:
    worst = {topic: 1e3 * error for topic, error in rows.worst_error_s.items()}
    return {"error_counts": rows.error_counts, "worst_error_ms": worst, "left_out": rows.left_out}


def error_counts(reports: Iterable[dict[str, Any]]) -> dict[str, list[int]]:
    """Stream -> kept rows by alignment error, in bins of ERROR_BIN_MS, over all episodes."""
    total: dict[str, list[int]] = {}
    for report in reports:
        for topic, counts in report.get("error_counts", {}).items():
            into = total.setdefault(topic, [])
            into.extend([0] * (len(counts) - len(into)))
            for i, count in enumerate(counts):
                into[i] += count
    return total


def _rows(reports: list[dict[str, Any]]) -> list[Row]:
    counts = error_counts(reports)
    rows: list[Row] = []
    for topic in sorted({topic for report in reports for topic in report["worst_error_ms"]}):
        worst = max(report["worst_error_ms"].get(topic, 0.0) for report in reports)
        left_out = sum(report["left_out"].get(topic, 0) for report in reports)
        binned = counts.get(topic, [])
        shares = [f"< {_quantile(binned, q):.0f}" if sum(binned) else "" for q in (0.5, 0.99)]
        rows.append((topic, sum(binned), *shares, f"{worst:.1f}", left_out))
    return rows


def _quantile(counts: list[int], q: float) -> float:
    """Upper edge of the bin that holds the quantile, ms."""
    index = int(np.searchsorted(np.cumsum(counts), q * sum(counts)))
    return (index + 1) * ERROR_BIN_MS
