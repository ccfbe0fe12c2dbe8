"""One setting of the method at a time against the default: what is open in spec/learning.md. Pure."""

from dataclasses import dataclass
from typing import Final

from dexpie.experiments.pipelines import LABELS, Experiment, label_step
from dexpie.experiments.steps import Step

DEFAULT: Final = "default"


@dataclass(frozen=True)
class Variant:
    """What differs from the default: fields of a configuration, options of labelling, or the guidance."""

    name: str
    critic: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    actor: tuple[str, ...] = ()
    guidance: float | None = None  # of the default's policy, which is not trained anew


VARIANTS: Final = (
    Variant("failure-clip", critic=("returns.failure_return=clip",)),
    Variant("failure-unclipped", critic=("returns.failure_return=unclipped",)),
    Variant("no-crossfit", critic=("crossfit=0",)),
    Variant("prefix-drop", actor=("diffusion.prefix_probability_means=drop",)),
    Variant("prefix-always", actor=("diffusion.prefix_probability=1",)),
    Variant("marking-channel", actor=("unet.prefix_marking=mask_channel",)),
    Variant("marking-none", actor=("unet.prefix_marking=none",)),
    Variant("optimality-ladder", actor=("condition.min_period=6.2832", "condition.max_period=62832")),
    Variant("scale-chunk", actor=("action_scale=chunk",)),
    Variant("scale-none", actor=("action_scale=none",)),
    Variant("window-majority", actor=("condition.window_rule=majority",)),
    Variant("labels-paper", labels=("--preset", "paper")),
    Variant("labels-stop-at-takeover", labels=("--at-takeover", "stop")),
    Variant("labels-48-steps", labels=("--horizon-steps", "48")),
    Variant("guidance-0", guidance=0.0),
    Variant("guidance-1", guidance=1.0),
    Variant("guidance-3", guidance=3.0),
)


@dataclass(frozen=True)
class Ablation(Experiment):
    """DexPIE of every variant out of the same demonstrations, rollouts and initial states."""

    @property
    def arms(self) -> tuple[str, ...]:
        """The default first."""
        return (DEFAULT, *(variant.name for variant in VARIANTS))

    def _replicate(self, seed: int) -> list[Step]:
        data, critic, rollouts = f"data.{seed}", f"critic.{seed}", f"rollouts.{seed}"
        found = [
            self._actor("bc", "bc", "demo-data", seed),
            self._rollouts(rollouts, f"bc.{seed}", seed, "", None),
            self._dataset(data, "demonstrations", rollouts),
            self._critic(critic, data, seed),
        ]
        labels = label_step(f"labels.{seed}", data, critic, LABELS["dexpie"])
        found.append(labels)
        for variant in (Variant(DEFAULT), *VARIANTS):
            found += self._variant(variant, data, critic, labels, seed)
        return found

    def _variant(self, variant: Variant, data: str, critic: str, labels: Step, seed: int) -> list[Step]:
        if variant.guidance is not None:
            return [self._evaluate(variant.name, seed, DEFAULT, variant.guidance)]
        found = list[Step]()
        if variant.critic:
            critic = f"critic-{variant.name}.{seed}"
            found.append(self._critic(critic, data, seed, variant.critic))
        if variant.critic or variant.labels:
            form, name = LABELS["dexpie"], f"labels-{variant.name}.{seed}"
            labels = label_step(name, data, critic, form, variant.labels, variant.name)
            found.append(labels)
        found.append(self._actor(variant.name, "dexpie", data, seed, labels, variant.actor))
        return [*found, self._evaluate(variant.name, seed)]
