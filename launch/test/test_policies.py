"""What the command line asks of a trained policy before anything is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dexpie import cli
from dexpie.policies import policy_id_of
from dexpie_core.errors import UsageError
from dexpie_training.checkpoint import FORMAT, META_FILE, VERSION


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """What is read of a checkpoint of a lid policy; no weights."""
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "step": 1,
        "method": "bc",
        "model_sha256": "0" * 64,
        "config": {},
    }
    (tmp_path / META_FILE).write_text(json.dumps({**meta, "dataset": {"task": "lid"}}))
    return tmp_path


def test_a_policy_of_the_task_is_known_by_its_identity(checkpoint: Path) -> None:
    assert policy_id_of(checkpoint, "lid") == policy_id_of(checkpoint)


def test_a_policy_of_another_task_is_refused(checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="was trained on task lid, not drawer"):
        policy_id_of(checkpoint, "drawer")


@pytest.mark.parametrize("command", ["evaluate --out {}/e.json", "collect --out {}/bags", "up"])
def test_every_command_refuses_it_before_it_begins(
    checkpoint: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = f"{command.format(checkpoint)} --task drawer --policy {checkpoint}"
    assert cli.run(arguments.split()) == 2
    assert "was trained on task lid, not drawer" in capsys.readouterr().err
    assert [path.name for path in checkpoint.iterdir()] == [META_FILE]


def test_a_critic_is_no_policy(checkpoint: Path) -> None:
    meta = json.loads((checkpoint / META_FILE).read_text())
    (checkpoint / META_FILE).write_text(json.dumps({**meta, "kind": "critic"}))
    with pytest.raises(UsageError, match="is a critic"):
        policy_id_of(checkpoint, "lid")
