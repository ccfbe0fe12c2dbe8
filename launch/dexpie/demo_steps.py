"""What `dexpie demo` is made of: its sizes, the folder that it fills, its parts beside the cached steps."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dexpie.commands.collect import CollectOptions, record
from dexpie.episodes import RecordedEpisode, recorded_episodes
from dexpie.experiments.budgets import Budget, budget
from dexpie.experiments.pipelines import Experiment
from dexpie.replay import Replay, replay
from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.dataset import Dataset
from dexpie_training.plots.values import choose_episodes

TASK: Final = "bottle"
METHODS: Final = ("bc", "dexpie")
WORKERS: Final = 2
DEMO: Final = Budget(20, 60, 50, "tiny", 20, None, 5, cores=2)
"""Half of the paper's demonstrations, so that cloning them leaves much to improve."""
ROS_SEED: Final = 20_000
FAST_ROS_LIMIT_S: Final = 6.0  # the takeover and the handing back happen before


@dataclass(frozen=True)
class Demo:
    """One round of improvement; what it shares with other rounds and experiments lies in OUT/steps."""

    out: Path
    seed: int
    fast: bool

    @property
    def experiment(self) -> Experiment:
        """Demonstrations, cloning, rollouts, critic, labels, the improved policy and both evaluations."""
        sizes = budget("smoke", TASK) if self.fast else DEMO
        return Experiment(
            "improvement",
            TASK,
            sizes,
            1,
            first_seed=self.seed,
            demonstrations_seed=self.seed,
            methods=METHODS,
        )

    @property
    def folder(self) -> Path:
        """What is this round's alone."""
        return self.out / f"demo-{TASK}{'-fast' if self.fast else ''}-seed-{self.seed}"

    @property
    def ros_bags(self) -> Path:
        return self.folder / "ros_episode"

    @property
    def replays(self) -> Path:
        return self.folder / "replays"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def results(self) -> Path:
        return self.folder / "results.json"

    @property
    def command(self) -> str:
        """What does it all."""
        options = ("--seed", str(self.seed)) if self.seed else ()
        fast = ("--fast",) if self.fast else ()
        return "./dexpie " + shlex.join(("demo", "--out", str(self.out), *options, *fast))

    def check_out(self) -> None:
        """Refuse a folder of something else."""
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"--out {self.out}: is a file; give a folder")
        if self.out.is_dir() and any(self.out.iterdir()) and not (self.out / "steps").is_dir():
            raise UsageError(
                f"--out {self.out}: holds something else than demos or experiments; choose another folder"
            )


def drive(demo: Demo, policy: Path, policy_id: str) -> RecordedEpisode:
    """One episode of the policy on the ROS graph, with a takeover in its middle; made once."""
    options = CollectOptions(
        TASK, demo.ros_bags, 1, policy=policy, operator="virtual", seed=ROS_SEED + demo.seed,
        positions=demo.experiment.positions, time_limit=FAST_ROS_LIMIT_S if demo.fast else None,
    )  # fmt: skip
    record(options, listed=False, quiet=True, takeover=True)
    found = [e for e in recorded_episodes(demo.ros_bags) if e.policy_id == policy_id and e.outcome]
    if not found:
        raise DexpieError(f"{demo.ros_bags}: no episode of {policy_id} was recorded")
    return found[0]


def filmed(demo: Demo, dataset: Dataset, rollouts: Path, policy: Path) -> Replay:
    """The episodes whose values are drawn, with cameras: those of the round are recorded without."""
    names = {dataset.episodes[i]["episode_id"] for i in choose_episodes(dataset)}
    chosen = [e for e in recorded_episodes(rollouts) if e.episode_id in names]
    limit_s = demo.experiment.budget.rollout_limit_s
    return replay(chosen, policy, demo.replays, limit_s)
