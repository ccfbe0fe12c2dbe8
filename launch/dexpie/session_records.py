"""What a session is asked to record; passed to its process as JSON, no ROS."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from dexpie.collection import Collection
from dexpie_core.collection import CollectionPlan


@dataclass(frozen=True)
class SessionOptions:
    """What the session records, into the folder that the graph's recorder has."""

    out: str
    task: str
    kind: str  # demonstration or rollout
    stages: tuple[str, ...]
    episodes: int
    seed: int
    corrections: bool
    policy_id: str = ""
    positions: str = ""  # train or held_out; empty: a person places the objects
    operator: str = "virtual"  # virtual, human or none
    limit_s: float = 0.0  # an episode that is not done after so long has failed; 0: the operator judges
    simulated: bool = True  # the scene is reset by service
    takeover: bool = False  # the virtual operator drives for a while in the middle of every attempt

    @property
    def collection(self) -> Collection:
        plan = CollectionPlan(self.stages, self.episodes, self.seed, self.corrections)
        return Collection(Path(self.out), self.task, self.kind, self.policy_id, self.positions, plan)

    @property
    def by_person(self) -> bool:
        """Whether a person prepares the scene and judges the episode."""
        return self.operator == "human"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SessionOptions:
        fields = json.loads(text)
        return cls(**{**fields, "stages": tuple(fields["stages"])})
