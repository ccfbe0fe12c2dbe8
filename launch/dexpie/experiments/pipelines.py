"""The paper's experiments as steps: Figure 5 (methods), Figure 6 (inference), Figure 8 (stages). Pure.

Every training seed is a whole replicate: its own cloned policy, rollouts, critic and successors. Methods of
one replicate share demonstrations, rollouts and initial states of the evaluation, so they are paired.
"""

from dataclasses import dataclass
from typing import Final, Literal

from dexpie.experiments.budgets import Budget
from dexpie.experiments.steps import Step
from dexpie_core.episode import Positions
from dexpie_core.errors import UsageError

ExperimentName = Literal["improvement", "async", "staged", "ablation"]
METHODS: Final = ("bc", "hg-dagger", "recap", "dexpie")
FIRST_ROLLOUT_SEED, SEEDS_A_REPLICATE = 1000, 200
DEMONSTRATIONS_A_SEED = 20
LARGEST_SEED = 40  # demonstrations below 1000, rollouts below 10 000, evaluations from there
ACTOR_THREADS: Final = "1"  # tiny, batches of 64: 12 steps/s with one, 8 with two
LABELS: Final = {"recap": "binary", "dexpie": "continuous"}


@dataclass(frozen=True)
class Experiment:
    """What is compared: names of arms, and the steps that lead to a report of each.

    first_seed: of the training seeds, which count up from it. demonstrations_seed: which demonstrations; the
    same for all training seeds.
    methods: of the improvement, the reference first.
    positions: where the policies are deployed: those of rollouts and trials. The demonstrations' are `train`.
    """

    name: ExperimentName
    task: str
    budget: Budget
    seeds: int
    iterations: int = 1
    first_seed: int = 0
    demonstrations_seed: int = 0
    methods: tuple[str, ...] = METHODS
    positions: Positions = "held_out"

    def __post_init__(self) -> None:
        for seed in (self.demonstrations_seed, *self.replicates):
            if not 0 <= seed <= LARGEST_SEED:
                raise UsageError(f"seed {seed}: must be 0 to {LARGEST_SEED}")

    @property
    def replicates(self) -> range:
        """The training seeds."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def arms(self) -> tuple[str, ...]:
        """What is compared, the reference first."""
        if self.name == "improvement":
            return self.methods + tuple(f"dexpie-{n}" for n in range(2, self.iterations + 1))
        return ("bc", "sync", "async") if self.name == "async" else ("bc", "initial", "staged")

    def report(self, arm: str, seed: int) -> str:
        """Name of the step whose output is the evaluation of this arm."""
        return f"evaluate.{arm}.{seed}"

    def steps(self) -> list[Step]:
        """All steps, every one behind those that it needs."""
        found = [self._demonstrations(), self._dataset("demo-data", "demonstrations")]
        for seed in self.replicates:
            found += self._replicate(seed)
        return found

    def _replicate(self, seed: int) -> list[Step]:
        found = [self._actor("bc", "bc", "demo-data", seed), self._evaluate("bc", seed)]
        if self.name == "improvement":
            found += self._round("", f"bc.{seed}", ("demonstrations",), self.methods[1:], seed)
            earlier = ["demonstrations", f"rollouts.{seed}"]
            for n in range(2, self.iterations + 1):
                driver = "dexpie" if n == 2 else f"dexpie-{n - 1}"
                found += self._round(f"-{n}", f"{driver}.{seed}", tuple(earlier), ("dexpie",), seed)
                earlier.append(f"rollouts-{n}.{seed}")
            return found
        for arm in self.arms[1:]:
            found += self._round(f"-{arm}", f"bc.{seed}", ("demonstrations",), ("dexpie",), seed, arm)
        return found

    def _round(
        self,
        suffix: str,
        driver: str,
        bags: tuple[str, ...],
        methods: tuple[str, ...],
        seed: int,
        arm: str | None = None,
    ) -> list[Step]:
        """Rollouts of a policy, the dataset with them, critic and labels, and the policies that follow."""
        data, critic = f"data{suffix}.{seed}", f"critic{suffix}.{seed}"
        rollouts = f"rollouts{suffix}.{seed}"
        found = [
            self._rollouts(rollouts, driver, seed, suffix, arm),
            self._dataset(data, *bags, rollouts),
            self._critic(critic, data, seed),
        ]
        for method in methods:
            name = arm or f"{method}{suffix}"
            label = None
            if method in LABELS:
                label = label_step(f"labels-{name}.{seed}", data, critic, LABELS[method])
                found.append(label)
            found += [self._actor(name, method, data, seed, label), self._evaluate(name, seed)]
        return found

    def _demonstrations(self) -> Step:
        count = self.budget.demonstrations
        arguments = self._collect(count, DEMONSTRATIONS_A_SEED * self.demonstrations_seed)
        return Step("demonstrations", arguments, estimate_s=1.5 * count)

    def _rollouts(self, name: str, driver: str, seed: int, suffix: str, arm: str | None) -> Step:
        round_number = int(suffix[1:]) - 1 if suffix[1:].isdigit() else 0
        first = FIRST_ROLLOUT_SEED * (1 + round_number) + SEEDS_A_REPLICATE * seed
        stages = "initial" if arm == "initial" else "staged"
        inference = "sync" if arm == "sync" else "async"
        limit = self.budget.rollout_limit_s
        arguments = (
            *self._collect(self.budget.rollouts, first),
            "--policy", "{" + driver + "}", "--stages", stages, "--inference", inference,
            "--positions", self.positions,
            *(() if limit is None else ("--time-limit", f"{limit:g}")),
        )  # fmt: skip
        return Step(name, arguments, estimate_s=6.0 * self.budget.rollouts)

    def _collect(self, episodes: int, seed: int) -> tuple[str, ...]:
        images = () if self.budget.encoder != "state" else ("--no-images",)
        return (
            "collect", "--task", self.task, "--out", "{out}", "--episodes", str(episodes),
            "--seed", str(seed), "--lockstep", "--workers", str(self.budget.cores), *images,
        )  # fmt: skip

    def _dataset(self, name: str, *bags: str) -> Step:
        folders = tuple("{" + bag + "}" for bag in bags)
        jobs = ("--jobs", str(self.budget.cores)) if self.budget.encoder == "state" else ()
        return Step(
            name, ("convert", *folders, "--out", "{out}", *jobs), whole="{out}/dataset.json", estimate_s=10.0
        )

    def _actor(
        self,
        arm: str,
        method: str,
        data: str,
        seed: int,
        labels: Step | None = None,
        changes: tuple[str, ...] = (),
    ) -> Step:
        """labels: the step that makes them; changes: fields of the configuration, as of --set."""
        b = self.budget
        asked: tuple[str, ...] = () if labels is None else ("--labels", _label_name(labels))
        asked += ("--set", *changes) if changes else ()
        length = ("--steps", b.actor_steps) if b.actor_steps else ("--epochs", b.actor_epochs)
        arguments = (
            "train", "actor", "--dataset", "{" + data + "}", "--out", "{out}", "--method", method,
            "--size", b.size, *map(str, length), "--seed", str(seed), "--threads", ACTOR_THREADS, *asked,
        )  # fmt: skip
        episodes = b.demonstrations + (0 if data == "demo-data" else b.rollouts)
        after = () if labels is None else (labels.name,)
        return Step(
            f"{arm}.{seed}",
            arguments,
            resume="--resume",
            after=after,
            estimate_s=b.actor_s(self.task, episodes),
        )

    def _critic(self, name: str, data: str, seed: int, changes: tuple[str, ...] = ()) -> Step:
        b = self.budget
        asked = ("--set", *changes) if changes else ()
        epochs = () if b.critic_epochs is None else ("--epochs", str(b.critic_epochs))
        arguments = (
            "train", "critic", "--dataset", "{" + data + "}", "--out", "{out}", "--crossfit", str(b.crossfit),
            "--seed", str(seed), "--threads", str(b.cores), *epochs,
            *asked,
        )  # fmt: skip
        return Step(name, arguments, resume="--resume", estimate_s=100.0)

    def _evaluate(self, arm: str, seed: int, policy: str = "", guidance: float | None = None) -> Step:
        """policy: the arm that it was trained for, where that is another one."""
        arguments = (
            "evaluate", "--policy", "{" + f"{policy or arm}.{seed}" + "}", "--task", self.task, "--trials",
            str(self.budget.trials), "--workers", str(self.budget.cores), "--positions", self.positions,
            "--out", "{out}", *(() if guidance is None else ("--guidance", f"{guidance:g}")),
        )  # fmt: skip
        name = self.report(arm, seed)
        return Step(name, arguments, suffix=".json", whole="{out}", estimate_s=2.5 * self.budget.trials)


def label_step(
    name: str, data: str, critic: str, form: str, options: tuple[str, ...] = (), variant: str = ""
) -> Step:
    """Labels that lie in the dataset; a variant has a name of its own there."""
    own = f"{form}-{variant}" if variant else form
    arguments = (
        "label", "{" + data + "}", "--critic", "{" + critic + "}", "--name", own, "--form", form, *options,
    )  # fmt: skip
    return Step(name, arguments, whole="{" + data + "}/labels/" + own + ".json", estimate_s=8.0)


def _label_name(labels: Step) -> str:
    return labels.arguments[labels.arguments.index("--name") + 1]
