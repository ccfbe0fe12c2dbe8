"""What an episode is called and how it ends: the vocabulary of bags and datasets."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

EpisodeKind = Literal["demonstration", "rollout"]
Outcome = Literal["success", "failure", "discard"]
Positions = Literal["train", "held_out"]
TASKS: Final = ("bottle", "drawer", "lid")
KINDS: Final = get_args(EpisodeKind)
OUTCOMES: Final = get_args(Outcome)
POSITIONS: Final = get_args(Positions)
"""Where the simulation places the objects: in the range of the demonstrations, or in the frame around it."""


@dataclass(frozen=True)
class EpisodeStart:
    """An episode begins. pair_id links a failed attempt and its corrected repetition.

    positions: range that the objects' places were drawn from; empty where a person placed them.
    """

    episode_id: str
    task: str
    stage: str = "initial"
    kind: EpisodeKind = "demonstration"
    policy_id: str = ""
    operator: str = ""
    seed: int = 0
    pair_id: str = ""
    positions: str = ""

    def __post_init__(self) -> None:
        if not self.episode_id or "/" in self.episode_id or self.episode_id.startswith("."):
            raise ValueError(f"episode_id {self.episode_id!r} must be a plain folder name")
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} must be one of {', '.join(KINDS)}")


@dataclass(frozen=True)
class EpisodeEnd:
    """An episode is over. gaps: what its recording lacks, one sentence a stream."""

    outcome: Outcome
    reason: str = ""
    gaps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome {self.outcome!r} must be one of {', '.join(OUTCOMES)}")
