"""Run folders and checkpoints: safetensors and JSON, each checkpoint put in place whole.

RUN/run.json                                  what was trained, on what, and which checkpoints there are
RUN/checkpoints/step_NNNNNNN/model.safetensors     weights for use (EMA), normalisation included
RUN/checkpoints/step_NNNNNNN/checkpoint.json       configuration, normalisation, provenance, metrics
RUN/checkpoints/step_NNNNNNN/training.safetensors  what resuming needs: raw weights, optimiser, counters
"""

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dexpie_core.errors import UsageError
from dexpie_training.config import ActorConfig
from dexpie_training.serial import from_dict, write_json

if TYPE_CHECKING:  # torch takes seconds to import, and `--help` does not need it
    from torch import Tensor

FORMAT: Final = "dexpie-checkpoint"
VERSION: Final = 1
RUN_FILE: Final = "run.json"
META_FILE: Final = "checkpoint.json"
MODEL_FILE: Final = "model.safetensors"
TRAINING_FILE: Final = "training.safetensors"
T = TypeVar("T")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder that was found and whose description was read."""

    folder: Path
    meta: dict[str, Any]

    @property
    def step(self) -> int:
        """Optimiser steps behind it."""
        return int(self.meta["step"])

    @property
    def policy_id(self) -> str:
        """Identity that is recorded with episodes: method, and the first digits of the weights' hash."""
        return f"{self.meta['method']}-{self.meta['model_sha256'][:10]}"

    def actor_config(self) -> ActorConfig:
        """The actor's configuration; UsageError where it is of another version, or no actor."""
        return self.config_of("actor", ActorConfig)

    def config_of(self, kind: str, config_type: type[T]) -> T:
        """Configuration of a run of this kind, actor or critic; UsageError where it is another one."""
        if self.meta.get("kind", kind) != kind:
            needed = "an actor" if kind == "actor" else "a critic"
            raise UsageError(f"{self.folder}: is of `dexpie train {self.meta['kind']}`, {needed} is needed")
        try:
            return from_dict(config_type, self.meta["config"])
        except ValueError as error:
            raise UsageError(f"{self.folder}: configuration does not fit this version ({error})") from None

    def tensors(self, file: str = MODEL_FILE) -> dict[str, "Tensor"]:
        """Tensors of one of its files."""
        from safetensors.torch import load_file

        path = self.folder / file
        try:
            tensors: dict[str, Tensor] = load_file(path)
        except Exception as error:  # safetensors raises types of its own
            raise UsageError(f"{path}: weights cannot be read ({str(error).splitlines()[0]})") from None
        return tensors


def find_checkpoint(path: Path | str, which: str = "latest") -> Checkpoint:
    """The checkpoint of a run folder (`which`: latest or best), or a checkpoint folder itself."""
    path = Path(path)
    if (path / META_FILE).is_file():
        folder = path
    else:
        run = read_run(path)
        name = run.get(which) or run.get("latest")
        if not name:
            raise UsageError(f"{path}: no checkpoint in this run yet")
        folder = path / "checkpoints" / str(name)
    meta = _read_json(folder / META_FILE, "not a checkpoint")
    if meta.get("format") != FORMAT or meta.get("version") != VERSION:
        raise UsageError(f"{folder / META_FILE}: not a checkpoint of format {FORMAT} {VERSION}")
    missing = [key for key in ("step", "method", "model_sha256", "config", "dataset") if key not in meta]
    if missing:
        raise UsageError(f"{folder / META_FILE}: field {missing[0]} is missing")
    return Checkpoint(folder, meta)


def read_run(path: Path) -> dict[str, Any]:
    """run.json of a run folder; UsageError where it is not one."""
    if not path.exists():
        raise UsageError(f"{path}: no such run or checkpoint; train one with `dexpie train`")
    run = _read_json(path / RUN_FILE, "not a run or checkpoint folder")
    if run.get("format") != FORMAT:
        raise UsageError(f"{path / RUN_FILE}: not a run folder of format {FORMAT}")
    return run


def _read_json(file: Path, what: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{file.parent}: {what}, {file.name} is missing") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"{file}: cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise UsageError(f"{file}: {what}")
    return content


class RunFolder:
    """Writes run.json and checkpoints; keeps the latest and the best."""

    def __init__(self, path: Path, description: dict[str, Any]) -> None:
        self.path = path
        self.description = description

    @classmethod
    def create(cls, path: Path, description: dict[str, Any]) -> "RunFolder":
        """Start a run in a new folder."""
        if path.exists():
            raise UsageError(
                f"--out {path} exists already; choose another folder, or continue it with --resume"
            )
        path.mkdir(parents=True)
        run = cls(path, {"format": FORMAT, "version": VERSION, **description, "latest": None, "best": None})
        run._write()
        return run

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Continue a run."""
        return cls(path, read_run(path))

    def discard_if_empty(self) -> None:
        """Remove the folder of a run that came to nothing."""
        if not self.description["latest"]:
            shutil.rmtree(self.path, ignore_errors=True)

    def record(self, **fields: Any) -> None:
        """Add fields to run.json."""
        self.description.update(fields)
        self._write()

    def save(
        self,
        step: int,
        meta: dict[str, Any],
        model: "dict[str, Tensor]",
        training: "dict[str, Tensor]",
        held_out_loss: float | None,
    ) -> Checkpoint:
        """Write a checkpoint, make it the latest, and the best if its held-out loss is the lowest."""
        from safetensors.torch import save_file

        name = f"step_{step:07d}"
        folder = self.path / "checkpoints" / name
        temporary = folder.with_name(f".{name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_file(model, temporary / MODEL_FILE)
        save_file(training, temporary / TRAINING_FILE)
        digest = hashlib.sha256((temporary / MODEL_FILE).read_bytes()).hexdigest()
        full = {"format": FORMAT, "version": VERSION, "step": step, **meta, "model_sha256": digest}
        write_json(temporary / META_FILE, full)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(temporary, folder)
        self._point_to(name, held_out_loss)
        return Checkpoint(folder, full)

    def _point_to(self, name: str, held_out_loss: float | None) -> None:
        self.description["latest"] = name
        best = self.description.get("best_held_out_loss")
        if held_out_loss is not None and (best is None or held_out_loss < best):
            self.description.update(best=name, best_held_out_loss=held_out_loss)
        self._write()
        keep = {self.description["latest"], self.description["best"]}
        for folder in (self.path / "checkpoints").iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder)

    def _write(self) -> None:
        write_json(self.path / RUN_FILE, self.description)


def code_version() -> str:
    """Version of this code: the commit where there is a git checkout, else the package version."""
    here = Path(__file__).resolve().parent
    try:
        command = ["git", "-C", str(here), "describe", "--always", "--dirty"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return result.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "0.1.0"
