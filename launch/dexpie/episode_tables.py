"""Tables of episodes and of a collection's stages, for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from dexpie.episodes import RecordedEpisode
from dexpie.table import table
from dexpie_core.collection import StageCoverage


def episode_table(episodes: Iterable[RecordedEpisode]) -> str:
    """One line an episode; an attempt and its correction one after the other."""
    rows = [
        (e.stage, e.seed, e.what, e.outcome, e.pair_id or "-", e.interventions, f"{e.duration_s:.1f}",
         e.reason or "-")
        for e in sorted(episodes, key=lambda e: (e.seed, e.stage, bool(e.pair_id)))
    ]  # fmt: skip
    return table(["stage", "seed", "kind", "outcome", "corrects", "interventions", "seconds", "reason"], rows)


def outcome_counts(episodes: Iterable[RecordedEpisode]) -> str:
    """How many episodes came to which outcome."""
    counts = Counter(episode.outcome for episode in episodes)
    return f"{sum(counts.values())} episodes: " + ", ".join(
        f"{n} {what}" for what, n in sorted(counts.items())
    )


def coverage_text(rows: Sequence[StageCoverage]) -> str:
    """How far every stage is and how often its attempts succeeded, in one line."""
    return "; ".join(
        f"{row.stage} {row.episodes}/{row.quota}, "
        + (f"{row.successes} of {row.attempts} attempts succeeded" if row.attempts else "no attempt yet")
        for row in rows
    )


def inspected_parts(episodes: Sequence[RecordedEpisode]) -> list[str]:
    """A table of everything that is known of each episode, and what their recordings lack."""
    rows = [
        (e.episode_id, e.task, e.stage, e.seed, e.positions or "-", e.what, e.outcome or "(no end)",
         e.pair_id or "-", e.operator or "-", e.interventions, f"{_percent(e.human_steps, e.steps):.0f}",
         len(e.gaps), f"{e.duration_s:.1f}", e.policy_id or "-", e.reason or "-")
        for e in episodes
    ]  # fmt: skip
    header = ["episode", "task", "stage", "seed", "positions", "kind", "outcome", "corrects", "operator",
              "interventions", "human %", "gaps", "seconds", "policy", "reason"]  # fmt: skip
    gaps = [f"  {e.episode_id}: {gap}" for e in episodes for gap in e.gaps]
    return [table(header, rows), *(["\n".join(["gaps:", *gaps])] if gaps else [])]


def stage_table(episodes: Iterable[RecordedEpisode]) -> str:
    """Totals by stage and kind, in the order of their first episode; without what was discarded."""
    groups: dict[tuple[str, str, str], list[RecordedEpisode]] = {}
    for episode in sorted(episodes, key=lambda e: (e.task, e.seed, bool(e.pair_id))):
        if episode.outcome in ("success", "failure"):
            groups.setdefault((episode.task, episode.stage, episode.what), []).append(episode)
    rows = [
        (*key, len(found), successes := sum(e.outcome == "success" for e in found),
         f"{_percent(successes, len(found)):.0f}", sum(e.interventions for e in found),
         f"{_percent(sum(e.human_steps for e in found), steps := sum(e.steps for e in found)):.0f}", steps)
        for key, found in groups.items()
    ]  # fmt: skip
    header = ["task", "stage", "kind", "episodes", "successes", "success %", "interventions", "human %",
              "steps"]  # fmt: skip
    return table(header, rows)


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0
