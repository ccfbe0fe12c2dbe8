"""What the command line needs to know of a trained policy without loading it."""

from __future__ import annotations

from pathlib import Path

from dexpie_core.errors import UsageError


def policy_id_of(path: Path, task: str = "") -> str:
    """Identity of the checkpoint in a run folder; refuses in one line what is none, or of another task."""
    from dexpie_training.checkpoint import find_checkpoint

    try:
        checkpoint = find_checkpoint(path)
    except UsageError as error:
        raise UsageError(f"--policy {error}") from error
    if checkpoint.meta.get("kind") == "critic":
        raise UsageError(f"--policy {path}: is a critic; give the run folder of an actor")
    trained = str(checkpoint.meta["dataset"].get("task", ""))
    if task and trained != task:
        raise UsageError(f"--policy {path}: was trained on task {trained}, not {task}")
    return checkpoint.policy_id
