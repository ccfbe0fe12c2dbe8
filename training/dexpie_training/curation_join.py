"""Edits at work while `dexpie convert` joins bags into a dataset, also one that had other edits before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from dexpie_training.curation import DROPPED, HIDDEN, Edit, Episode, apply, summary
from dexpie_training.curation_episodes import episode_of

OTHER_PART: Final = "in another part"
_BY_EDIT: Final = (DROPPED, HIDDEN, OTHER_PART)


@dataclass
class Curator:
    """Decides about one episode after the other, and remembers what dataset.json says of it."""

    edits: Sequence[Edit] = ()
    part: str = ""
    """only the episodes of this part; empty: all"""
    before: Mapping[str, Any] = field(default_factory=dict)
    """what dataset.json of the dataset that is added to says of curation"""
    curated: list[Episode] = field(default_factory=list)
    recorded_outcomes: dict[str, str] = field(default_factory=dict)
    """how episodes ended where an edit says something else"""

    def take(self, columns: Mapping[str, Any]) -> Episode:
        """An episode, as its columns of episodes.parquet tell it, after the edits."""
        name, outcome = columns["episode_id"], columns["outcome"]
        outcomes = self.before.get("recorded_outcomes", {})
        recorded = replace(episode_of(columns), outcome=outcomes.get(name, outcome))
        after = self._after(recorded)
        if after.outcome != recorded.outcome:
            self.recorded_outcomes[name] = recorded.outcome
        self.curated.append(after)
        return after

    def wants_again(self, left_out: Iterable[Mapping[str, str]]) -> bool:
        """Whether an episode is wanted that edits left out before, so that its bag has to be read again."""
        return any(not self._still_out(entry) for entry in left_out if entry["reason"] in _BY_EDIT)

    def describe(self) -> dict[str, Any]:
        """What dataset.json says of curation, of episodes that were there before too; empty without edits."""
        now = {
            **summary(self.edits, self.curated),
            "part": self.part,
            "recorded_outcomes": self.recorded_outcomes,
        }
        taken = {episode.episode_id for episode in self.curated}
        told = _merged(self.before, now, taken) if self.before else now
        return {"curation": told} if told["edits"] else {}

    def _still_out(self, entry: Mapping[str, str]) -> bool:
        if entry["reason"] == OTHER_PART:  # the detail is the episode's stage
            return bool(self._after(Episode(entry["episode_id"], entry["detail"], "", "")).left_out)
        return bool(apply(self.edits, [Episode(entry["episode_id"], "", "", "")])[0].left_out)

    def _after(self, episode: Episode) -> Episode:
        after = apply(self.edits, [episode])[0]
        if self.part and after.part != self.part and not after.left_out:
            return replace(after, left_out=f"{OTHER_PART}: {after.part or after.stage}")
        return after


def _merged(before: Mapping[str, Any], now: dict[str, Any], taken: set[str]) -> dict[str, Any]:
    """What both say; of episodes that were taken, only what is said now."""
    told = {**now, "edits": [*now["edits"], *(e for e in before["edits"] if e not in now["edits"])]}
    for name in ("left_out", "recorded_outcomes"):
        told[name] = {**{k: v for k, v in before[name].items() if k not in taken}, **now[name]}
    for name in ("tags", "parts"):
        ids = {key: [i for i in before[name].get(key, []) if i not in taken] for key in before[name]}
        keys = sorted({*ids, *now[name]})
        merged = {key: [*ids.get(key, []), *now[name].get(key, [])] for key in keys}
        told[name] = {key: value for key, value in merged.items() if value}
    return told
