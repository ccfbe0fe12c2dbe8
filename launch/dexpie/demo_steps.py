"""The steps of `dexpie demo`; each looks at what lies in the output folder and does only what is missing."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.serial import write_json

STATE_FILE = "demo.json"


@dataclass(frozen=True)
class DemoSettings:
    """How large the demo is; two demos of different settings do not share a folder."""

    task: str = "bottle"
    demonstrations: int = 60
    preset: Literal["tiny", "small", "paper"] = "tiny"
    train_minutes: float = 5.0
    train_steps: int | None = None
    batch_size: int | None = None
    trials: int = 50
    ros_episodes: int = 3
    ros_time_limit_s: float = 20.0
    images: bool = True
    seed: int = 0


FAST = DemoSettings(
    demonstrations=4, preset="tiny", train_steps=4, batch_size=16, trials=2, ros_episodes=1,
    ros_time_limit_s=4.0,
)  # fmt: skip
ROS_SEED = 20_000


@dataclass(frozen=True)
class DemoPaths:
    """Where everything lies."""

    out: Path

    @property
    def state(self) -> Path:
        return self.out / STATE_FILE

    @property
    def bags(self) -> Path:
        return self.out / "demonstrations"

    @property
    def dataset(self) -> Path:
        return self.out / "dataset"

    @property
    def run(self) -> Path:
        return self.out / "policy"

    @property
    def evaluation(self) -> Path:
        return self.out / "evaluation.json"

    @property
    def ros_bags(self) -> Path:
        return self.out / "ros_episodes"

    @property
    def strip(self) -> Path:
        return self.out / "episode.png"

    @property
    def curve(self) -> Path:
        return self.out / "learning_curve.png"

    @property
    def result(self) -> Path:
        return self.out / "result.json"


class DemoState:
    """demo.json: the settings that the folder belongs to, and whether training has ended."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self._path = path
        self._content = content

    @classmethod
    def open(cls, paths: DemoPaths, settings: DemoSettings) -> DemoState:
        """Take the folder up, or refuse it: it must be new, empty, or of a demo with the same settings."""
        if not paths.state.exists():
            if paths.out.exists() and (not paths.out.is_dir() or any(paths.out.iterdir())):
                raise UsageError(f"--out {paths.out} exists already and is no demo; choose another folder")
            paths.out.mkdir(parents=True, exist_ok=True)
            state = cls(paths.state, {"settings": asdict(settings), "trained": {}})
            state._write()
            return state
        try:
            content = json.loads(paths.state.read_text())
        except ValueError as error:
            raise DexpieError(f"{paths.state}: not readable ({error}); remove {paths.out}") from error
        if content.get("settings") != asdict(settings):
            raise UsageError(
                f"--out {paths.out} holds a demo with other settings; choose another folder or remove it"
            )
        return cls(paths.state, content)

    def trained(self, dataset_hash: str) -> str:
        """Identity of the policy that was trained to the end on this dataset; empty without one."""
        return str(self._content["trained"].get(dataset_hash, ""))

    def set_trained(self, dataset_hash: str, policy_id: str) -> None:
        """Remember that training on this dataset has ended."""
        self._content["trained"] = {dataset_hash: policy_id}
        self._write()

    def _write(self) -> None:
        write_json(self._path, self._content)


def dataset_is_of(dataset: Path, bags: Path) -> bool:
    """Whether the dataset was made of exactly the bags that lie in the folder."""
    try:
        meta = json.loads((dataset / "dataset.json").read_text())
    except (OSError, ValueError):
        return False
    made_of = {entry["name"] for entry in meta.get("bags", [])}
    return made_of == {path.parent.name for path in bags.glob("*/metadata.yaml")}


def dataset_hash(dataset: Path) -> str:
    """Hash of the dataset's content, as its dataset.json says."""
    return str(json.loads((dataset / "dataset.json").read_text())["content_sha256"])


def evaluation_is_of(path: Path, policy_id: str, trials: int) -> bool:
    """Whether the report is of this policy and so many trials."""
    try:
        report = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return bool(report["settings"]["policy_id"] == policy_id and report["trials"] == trials)


def unfinished_run(run: Path, wanted_hash: str) -> bool:
    """Whether a run on this dataset was begun; one on another dataset is removed."""
    try:
        description = json.loads((run / "run.json").read_text())
    except (OSError, ValueError):
        shutil.rmtree(run, ignore_errors=True)
        return False
    if description["dataset"]["content_sha256"] == wanted_hash and description["latest"]:
        return True
    shutil.rmtree(run)
    return False
