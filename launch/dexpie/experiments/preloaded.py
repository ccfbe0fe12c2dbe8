"""What the steps import that takes long; imported once, by the server that forks them.

Nothing here may start a thread or open a device: what forks must be as good as new.
"""

import importlib

for name in (
    "tyro",
    "dexpie_sim.lockstep",
    "dexpie_training.actor_training",
    "dexpie_training.convert",
    "dexpie_training.critic_training",
    "dexpie_training.labels",
    "dexpie_training.policy",
):
    importlib.import_module(name)
