"""A collection: the episodes that one `dexpie collect` is after, and what its folder holds of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dexpie.episodes import RecordedEpisode, bags_in, episodes_of
from dexpie_core.collection import CollectedEpisode, CollectionPlan, counted
from dexpie_core.episode import Outcome
from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.curation import EDITS_FILE

ENDED = ("success", "failure")


@dataclass(frozen=True)
class Collection:
    """Episodes of a task, kind and range of positions, by one policy or by none, in a folder of bags."""

    folder: Path
    task: str
    kind: str  # demonstration or rollout
    policy_id: str
    positions: str  # train or held_out; empty: a person places the objects
    plan: CollectionPlan

    def owns(self, episode: RecordedEpisode) -> bool:
        """Whether an episode is of this task, kind, policy and range."""
        mine = (self.task, self.kind, self.policy_id, self.positions)
        return (episode.task, episode.kind, episode.policy_id, episode.positions) == mine

    def episodes(self) -> list[RecordedEpisode]:
        """The recorded episodes that count."""
        found = [e for bag in bags_in(self.folder) for e in episodes_of(bag) if self.owns(e)]
        counting = {e.episode_id for e in counted(self.plan, as_collected(found))}
        return [e for e in found if e.episode_id in counting]

    def set_aside(self) -> list[str]:
        """Move bags that cannot count into the trash folder: cut-off, discarded or damaged; what was done.

        An episode that was cut off is recorded again, in simulated time under the very same name.
        """
        from dexpie_bags import move_to_trash

        told = []
        for bag in bags_in(self.folder):
            try:
                episodes = episodes_of(bag)
                useless = any(map(self.owns, episodes)) and all(e.outcome == "discard" for e in episodes)
                why = f"was not finished ({episodes[-1].reason or 'no reason given'})" if useless else ""
            except DexpieError as error:
                why = f"is damaged ({error})"
            if why:
                told.append(f"{bag.name} {why} and does not count; it is kept as {move_to_trash(bag)}")
        return told


def as_collected(episodes: Iterable[RecordedEpisode]) -> list[CollectedEpisode]:
    """What the plan needs to know of those that ended in success or failure."""
    return [
        CollectedEpisode(e.episode_id, e.stage, e.seed, cast(Outcome, e.outcome), e.pair_id, e.duration_s)
        for e in episodes
        if e.outcome in ENDED
    ]


def check_folder(folder: Path) -> None:
    """Refuse a folder of something else than bags and their edits."""
    entries = [e for e in folder.iterdir() if e.name != EDITS_FILE] if folder.exists() else []
    foreign = [e.name for e in entries if not e.name.startswith(".") and not (e / "metadata.yaml").is_file()]
    if foreign:
        raise UsageError(
            f"--out {folder}: holds something else than bags ({foreign[0]}); give another folder"
        )
