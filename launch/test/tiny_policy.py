"""A policy that knows nothing: one training step on two short demonstrations. It always fails."""

from __future__ import annotations

from pathlib import Path


def train_tiny_policy(folder: Path) -> Path:
    """The run folder, in `folder`."""
    from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, run_episode
    from dexpie_training.convert import ConvertOptions, run_convert
    from dexpie_training.train_actor import TrainActorOptions, run_train_actor

    cell, bags = LockstepCell(), folder / "demonstrations"
    for seed in (0, 1):
        run_episode(cell, EpisodeRequest(stage="grasped", seed=seed, record_dir=bags, cameras=False))
    run_convert(ConvertOptions((bags,), folder / "dataset"))
    run_train_actor(TrainActorOptions(folder / "dataset", folder / "run", steps=1, batch_size=8, threads=1))
    return folder / "run"
