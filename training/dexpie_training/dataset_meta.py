"""What dataset.json says of a dataset, whatever it was made of."""

from collections.abc import Mapping, Sequence
from typing import Any

from dexpie_training import schema
from dexpie_training.images import IMAGE_RULE

Report = dict[str, Any]


def rows_left_out(reports: Sequence[Report]) -> int:
    """Rows that episodes lack, over all of them; reports: as of episode_account."""
    return sum(report["anchors"] - report["rows"] for report in reports)


def counts_of(
    reports: Sequence[Report],
    rows: int,
    outcomes: Mapping[str, int],
    kinds: Mapping[str, int],
    skipped: Mapping[str, int],
) -> dict[str, Any]:
    """How much there is, and how much was left out; skipped: reason -> episodes."""
    return {
        "episodes": sum(outcomes.values()),
        "rows": rows,
        "rows_left_out": rows_left_out(reports),
        "outcomes": dict(outcomes),
        "kinds": dict(kinds),
        "skipped": dict(skipped),
        "episodes_with_gaps": sum(bool(report["gaps"]) for report in reports),
    }


def dataset_meta(
    *,
    task: str,
    rate_hz: float,
    cameras: Sequence[str],
    state_names: Sequence[str],
    alignment: Mapping[str, Any],
    counts: Mapping[str, Any],
    left_out: Sequence[Mapping[str, str]],
    bags: Sequence[Mapping[str, Any]],
    reports: Sequence[Report],
) -> dict[str, Any]:
    """All of it but what the writer adds; bags: what is known of each source, reports: of each episode."""
    return {
        "task": task,
        "rate_hz": rate_hz,
        "cameras": list(cameras),
        "image_size_px": schema.IMAGE_SIZE_PX,
        "image_rule": IMAGE_RULE,
        "state_names": list(state_names),
        "alignment": dict(alignment),
        "counts": dict(counts),
        "episodes_left_out": list(left_out),
        "bags": list(bags),
        "report": list(reports),
    }
