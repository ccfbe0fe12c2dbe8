"""The paper's experiments as steps: Figure 5 (methods), Figure 6 (inference), Figure 8 (stages). Pure.

Every training seed is a whole replicate: its own cloned policy, rollouts, critic and successors. Methods of
one replicate share demonstrations, rollouts and initial states of the evaluation, so they are paired.
"""

from dataclasses import dataclass
from typing import Final, Literal

from dexpie.experiments.budgets import Budget
from dexpie.experiments.steps import Step

ExperimentName = Literal["improvement", "async", "staged"]
METHODS: Final = ("bc", "hg-dagger", "recap", "dexpie")
FIRST_ROLLOUT_SEED, SEEDS_A_REPLICATE = 1000, 200
LABELS: Final = {"recap": "binary", "dexpie": "continuous"}


@dataclass(frozen=True)
class Experiment:
    """What is compared: names of arms, and the steps that lead to a report of each."""

    name: ExperimentName
    task: str
    budget: Budget
    seeds: int
    iterations: int = 1

    @property
    def arms(self) -> tuple[str, ...]:
        """What is compared, the reference first."""
        if self.name == "improvement":
            return METHODS + tuple(f"dexpie-{n}" for n in range(2, self.iterations + 1))
        return ("bc", "sync", "async") if self.name == "async" else ("bc", "initial", "staged")

    def report(self, arm: str, seed: int) -> str:
        """Name of the step whose output is the evaluation of this arm."""
        return f"evaluate.{arm}.{seed}"

    def steps(self) -> list[Step]:
        """All steps, every one behind those that it needs."""
        found = [self._demonstrations(), self._dataset("demo-data", "demonstrations")]
        for seed in range(self.seeds):
            found += self._replicate(seed)
        return found

    def _replicate(self, seed: int) -> list[Step]:
        found = [self._actor("bc", "bc", "demo-data", seed), self._evaluate("bc", seed)]
        if self.name == "improvement":
            found += self._round("", f"bc.{seed}", ("demonstrations",), METHODS[1:], seed)
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
                label = f"labels-{name}.{seed}"
                found.append(_labels(label, data, critic, LABELS[method]))
            found += [self._actor(name, method, data, seed, label), self._evaluate(name, seed)]
        return found

    def _demonstrations(self) -> Step:
        count = self.budget.demonstrations
        return Step("demonstrations", self._collect(count, seed=0), estimate_s=1.5 * count)

    def _rollouts(self, name: str, driver: str, seed: int, suffix: str, arm: str | None) -> Step:
        round_number = int(suffix[1:]) - 1 if suffix[1:].isdigit() else 0
        first = FIRST_ROLLOUT_SEED * (1 + round_number) + SEEDS_A_REPLICATE * seed
        stages = "initial" if arm == "initial" else "staged"
        inference = "sync" if arm == "sync" else "async"
        limit = self.budget.rollout_limit_s
        arguments = (
            *self._collect(self.budget.rollouts, first),
            "--policy", "{" + driver + "}", "--stages", stages, "--inference", inference,
            *(() if limit is None else ("--time-limit", f"{limit:g}")),
        )  # fmt: skip
        return Step(name, arguments, estimate_s=6.0 * self.budget.rollouts)

    def _collect(self, episodes: int, seed: int) -> tuple[str, ...]:
        images = () if self.budget.encoder != "state" else ("--no-images",)
        return (
            "collect", "--task", self.task, "--out", "{out}", "--episodes", str(episodes),
            "--seed", str(seed), "--lockstep", "--workers", "1", *images,
        )  # fmt: skip

    def _dataset(self, name: str, *bags: str) -> Step:
        folders = tuple("{" + bag + "}" for bag in bags)
        return Step(
            name, ("convert", *folders, "--out", "{out}"), whole="{out}/dataset.json", estimate_s=10.0
        )

    def _actor(self, arm: str, method: str, data: str, seed: int, labels: str | None = None) -> Step:
        b = self.budget
        asked = () if labels is None else ("--labels", LABELS[method])
        arguments = (
            "train", "actor", "--dataset", "{" + data + "}", "--out", "{out}", "--method", method,
            "--preset", b.preset, "--steps", str(b.actor_steps), "--seed", str(seed), "--threads", "1",
            *asked,
        )  # fmt: skip
        after = () if labels is None else (labels,)
        return Step(f"{arm}.{seed}", arguments, resume="--resume", after=after, estimate_s=b.actor_s)

    def _critic(self, name: str, data: str, seed: int) -> Step:
        b = self.budget
        epochs = () if b.critic_epochs is None else ("--epochs", str(b.critic_epochs))
        arguments = (
            "train", "critic", "--dataset", "{" + data + "}", "--out", "{out}", "--crossfit", str(b.crossfit),
            "--seed", str(seed), "--threads", "1", *epochs,
        )  # fmt: skip
        return Step(name, arguments, resume="--resume", estimate_s=45.0)

    def _evaluate(self, arm: str, seed: int) -> Step:
        arguments = (
            "evaluate", "--policy", "{" + f"{arm}.{seed}" + "}", "--task", self.task, "--trials",
            str(self.budget.trials), "--workers", "1", "--out", "{out}",
        )  # fmt: skip
        name = self.report(arm, seed)
        return Step(name, arguments, suffix=".json", whole="{out}", estimate_s=2.5 * self.budget.trials)


def _labels(name: str, data: str, critic: str, form: str) -> Step:
    arguments = ("label", "{" + data + "}", "--critic", "{" + critic + "}", "--name", form, "--form", form)
    return Step(name, arguments, whole="{" + data + "}/labels/" + form + ".json", estimate_s=8.0)
