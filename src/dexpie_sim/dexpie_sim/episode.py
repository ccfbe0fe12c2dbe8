"""What an episode in lockstep is asked to be, and how it went."""

from dataclasses import dataclass
from pathlib import Path

from dexpie_core.episode import EpisodeKind, Outcome
from dexpie_core.observation import Policy
from dexpie_sim.interventions import Intervention


@dataclass(frozen=True)
class EpisodeRequest:
    """One episode to run.

    A demonstration needs no policy; a rollout needs one. record_dir: folder that receives the bag, or None.
    cameras: render pictures for the bag. policy_images: render pictures for the policy.
    episode_id: identity, and name of the bag; empty: made of task, kind, stage and seed. judged: the operator
    watches the rollout, and gives it up where it gets no further. correct: the operator watches the rollout
    and intervenes. failed_after_s: how long the attempt went on that it saw fail from the same start; 0:
    none. max_steps: None for the task's own limit, twice that with `correct`, for the person begins where
    the policy gave up.
    """

    kind: EpisodeKind = "demonstration"
    stage: str = "initial"
    seed: int = 0
    policy: Policy | None = None
    record_dir: Path | None = None
    cameras: bool = True
    policy_images: bool = False
    pair_id: str = ""
    max_steps: int | None = None
    correct: bool = False
    judged: bool = False
    failed_after_s: float = 0.0
    episode_id: str = ""

    def __post_init__(self) -> None:
        if (self.kind == "rollout") != (self.policy is not None):
            raise ValueError("a rollout needs a policy, and a demonstration has none")
        if self.failed_after_s and not self.correct:
            raise ValueError("failed_after_s is what the operator of a correction knows; give correct too")
        if (self.correct or self.judged) and self.kind != "rollout":
            raise ValueError("only a rollout can be corrected, or judged")

    @property
    def operated(self) -> bool:
        """Whether the operator has a part in it."""
        return self.kind == "demonstration" or self.correct


@dataclass(frozen=True)
class EpisodeResult:
    """How an episode went. steps are ticks of 40 ms; counters are the executor's and the schedule's."""

    seed: int
    stage: str
    kind: EpisodeKind
    outcome: Outcome
    reason: str
    steps: int
    duration_s: float
    bag: Path | None
    counters: dict[str, int]
    interventions: tuple[Intervention, ...] = ()

    @property
    def success(self) -> bool:
        """Whether the task was done."""
        return self.outcome == "success"


def episode_id(task: str, kind: str, stage: str, seed: int) -> str:
    """Folder name of an episode's bag."""
    return f"{task}_{kind}_{stage}_{seed:06d}"
