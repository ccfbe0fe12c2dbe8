"""The ablation: every variant differs from the default in what it names, and in nothing else."""

import pytest
import tyro

from dexpie.experiments.ablation import DEFAULT, VARIANTS, Ablation, Variant
from dexpie.experiments.budgets import budget
from dexpie.experiments.steps import keys
from dexpie_training.actor_presets import actor_preset
from dexpie_training.advantage import OptimalityConfig
from dexpie_training.critic_config import CRITIC_PRESETS
from dexpie_training.make_labels import LabelOptions
from dexpie_training.serial import with_fields


def ablation() -> Ablation:
    return Ablation("ablation", "bottle", budget("smoke", "bottle"), 1)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_a_variant_changes_a_configuration(variant: Variant) -> None:
    actor, critic = actor_preset("default", "tiny").config, CRITIC_PRESETS["default"].config
    assert (with_fields(actor, variant.actor) != actor) == bool(variant.actor)
    assert (with_fields(critic, variant.critic) != critic) == bool(variant.critic)
    assert variant.guidance != actor.condition.guidance
    default, changed = (label_config(options) for options in ((), variant.labels))
    assert (changed != default) == bool(variant.labels)
    changes = variant.actor, variant.critic, variant.labels
    assert sum(map(bool, changes)) + (variant.guidance is not None) == 1


def label_config(options: tuple[str, ...]) -> OptimalityConfig:
    """What `dexpie label` makes of these options."""
    return tyro.cli(LabelOptions, args=["data", "--critic", "c", "--name", "n", *options]).config


def test_variants_share_everything_up_to_what_they_change() -> None:
    found = ablation()
    steps = {step.name: step for step in found.steps()}
    assert found.arms[0] == DEFAULT and len(set(found.arms)) == 1 + len(VARIANTS)
    assert set(keys(found.steps(), "v")) == set(steps)  # every step is another one
    assert all(found.report(arm, 0) in steps for arm in found.arms)
    for variant in VARIANTS:
        if variant.guidance is not None:
            evaluation = steps[found.report(variant.name, 0)].arguments
            assert evaluation[2] == "{default.0}" and f"{variant.guidance:g}" == evaluation[-1]
            assert f"{variant.name}.0" not in steps
            continue
        actor = steps[f"{variant.name}.0"]
        own = variant.critic != () or variant.labels != ()
        assert (f"critic-{variant.name}.0" in steps) == bool(variant.critic)
        assert actor.after == ((f"labels-{variant.name}.0",) if own else ("labels.0",))
        if variant.labels:
            made = steps[f"labels-{variant.name}.0"].arguments
            assert made[-len(variant.labels) :] == variant.labels and "{critic.0}" in made
        elif own:
            assert steps[f"critic-{variant.name}.0"].arguments[-len(variant.critic) :] == variant.critic
        else:
            assert set(variant.actor) <= set(actor.arguments)
    assert sum(name.startswith("rollouts") for name in steps) == 1
