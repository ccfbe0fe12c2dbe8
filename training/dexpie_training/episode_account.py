"""What is said of an episode of a bag: whether it is wanted, what is broken, its columns and its report."""

from typing import Any, Final

from dexpie_core import topics
from dexpie_training.alignment import AlignedEpisode
from dexpie_training.bag_episodes import BagEpisode

_MISSED: Final = "it lies in what cannot be read"


def skip_reason(episode: BagEpisode) -> tuple[str, str]:
    """Why a sound episode is not wanted, and the detail; empty where it is."""
    if not episode.started:
        return "without a start", _MISSED if episode.losses else "the recording began after it"
    if episode.end is None:
        return "without an end", _MISSED if episode.losses else "the recording ends before it"
    return ("discarded", episode.end.reason) if episode.end.outcome == "discard" else ("", "")


def fault_of(episode: BagEpisode) -> tuple[str, str] | None:
    """What is broken in an episode, as a reason and its detail."""
    if episode.overlapped_by:
        return (
            "overlapping",
            f"{topics.EPISODE_EVENT.name} at {episode.overlapped_ns} ns: "
            f"episode {episode.overlapped_by} starts before its end",
        )
    if episode.end_ns <= episode.start_ns:
        return "of no length", f"{topics.EPISODE_EVENT.name} at {episode.start_ns} ns: it ends when it starts"
    if episode.backwards:
        return "stamps going back", "; ".join(episode.backwards)
    return None


def left_out_text(rows: AlignedEpisode) -> str:
    """How many rows were left out, and because of which topics."""
    streams = ", ".join(f"{topic} {count}" for topic, count in sorted(rows.left_out.items()))
    return f"{rows.anchors - len(rows.stamp_ns)} of {rows.anchors} rows left out ({streams or 'no anchors'})"


def columns_of(episode: BagEpisode) -> dict[str, Any]:
    """Its columns of episodes.parquet, but for its place."""
    start, end = episode.start, episode.end
    assert end is not None
    return {
        "episode_id": start.episode_id,
        "bag": episode.bag.name,
        "task": start.task,
        "stage": start.stage,
        "kind": start.kind,
        "outcome": end.outcome,
        "pair": start.pair_id,
        "policy": start.policy_id,
        "operator": start.operator_name,
        "seed": int(start.seed),
        "gaps": list(episode.all_gaps),
    }


def report_of(episode: BagEpisode, rows: AlignedEpisode) -> dict[str, Any]:
    """What dataset.json says of it."""
    assert episode.end is not None
    return {
        "episode_id": episode.start.episode_id,
        "bag": episode.bag.name,
        "reason": episode.end.reason,
        "gaps": list(episode.all_gaps),
        **rows_report(rows),
    }


def rows_report(rows: AlignedEpisode) -> dict[str, Any]:
    """How many rows an episode has, which were left out and why, how well the rest fits; as JSON."""
    return {
        "anchors": rows.anchors,
        "missing_anchors": rows.missing_anchors,
        "rows": len(rows.stamp_ns),
        "left_out": rows.left_out,
        "dropped": list(rows.dropped),
        "worst_error_ms": {name: round(1e3 * error, 3) for name, error in rows.worst_error_s.items()},
        "error_counts": rows.error_counts,
    }
