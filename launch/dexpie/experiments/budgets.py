"""How large an experiment is: data, training, trials. A budget is a set of values."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from dexpie_core.errors import UsageError

BudgetName = Literal["smoke", "cpu", "full"]
# Demonstrations and post-training rollouts of the paper, section 4 (one iteration each).
PAPER_DATA: Final = {"bottle": (41, 61), "drawer": (30, 37), "lid": (43, 59)}
ROWS_AN_EPISODE: Final = {"bottle": 220, "drawer": 450, "lid": 430}  # of a demonstration, about
CPU_EPOCHS: Final = 20  # bottle, BC, held-out positions: 17 of 50; with 60 passes 11 (in the range 23 and 34)
BATCH: Final = 64  # of the actor's preset


@dataclass(frozen=True)
class Budget:
    """Sizes of one experiment."""

    demonstrations: int
    rollouts: int
    trials: int
    size: str
    actor_epochs: int  # passes over a method's own rows, as in the paper: more data, longer training
    critic_epochs: int | None  # None: the critic's preset
    crossfit: int
    encoder: str = "state"
    rollout_limit_s: float | None = None  # None: the task's
    cores: int = 1  # processor cores that a step may use
    actor_steps: int | None = None  # instead of epochs

    def actor_s(self, task: str, episodes: int) -> float:
        """Estimated training time of an actor on so many episodes, s."""
        steps = self.actor_steps or self.actor_epochs * episodes * ROWS_AN_EPISODE[task] / BATCH
        return (0.08 if self.size == "tiny" else 0.24) * steps


def budget(name: BudgetName, task: str) -> Budget:
    """Sizes of this budget for a task; UsageError where the task is unknown."""
    if task not in PAPER_DATA:
        raise UsageError(f"--task {task}: not a choice; choose from {', '.join(PAPER_DATA)}")
    demonstrations, rollouts = PAPER_DATA[task]
    cpu = Budget(demonstrations, rollouts, 50, "tiny", CPU_EPOCHS, None, 5)
    if name == "smoke":
        return Budget(3, 4, 2, "tiny", 1, 1, 2, rollout_limit_s=2.0, actor_steps=2)
    return cpu if name == "cpu" else replace(cpu, size="small", actor_epochs=100)
