"""What the command line needs to know of a trained policy without loading it."""

from __future__ import annotations

from pathlib import Path

from dexpie_core.errors import UsageError


def policy_id_of(path: Path) -> str:
    """Identity of the checkpoint in a run folder; refuses in one line what is not one."""
    from dexpie_training.checkpoint import find_checkpoint

    try:
        return find_checkpoint(path).policy_id
    except UsageError as error:
        raise UsageError(f"--policy {error}") from error
