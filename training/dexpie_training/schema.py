"""Layout of a dataset folder (version 1): file names, column types and dataset.json.

DATASET/dataset.json, episodes.parquet, steps.parquet, frames/<camera>.npy, features/<encoder>.npy.
Rows are 25 Hz decisions; all poses are pose9 (xyz in m, first two columns of the rotation) in `base`.
"""

import json
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from dexpie_core.errors import UsageError

FORMAT: Final = "dexpie-dataset"
VERSION: Final = 1
IMAGE_SIZE_PX: Final = 224
LONGEST_GAP: Final = 1.5
"""Periods between two rows of an episode; more is a recorded gap."""
META_FILE: Final = "dataset.json"
EPISODES_FILE: Final = "episodes.parquet"
STEPS_FILE: Final = "steps.parquet"
STATE_FEATURES: Final = "features/state.npy"
FRAMES_FOLDER: Final = "frames"
LABELS_FOLDER: Final = "labels"


def frames_file(camera: str) -> str:
    """Path of a camera's images, uint8 (rows, 224, 224, 3), relative to the dataset."""
    return f"{FRAMES_FOLDER}/{camera}.npy"


def _vector(length: int) -> pa.DataType:
    return pa.list_(pa.float64(), length)


STEPS_SCHEMA: Final = pa.schema(
    [
        ("episode", pa.int32()),  # index into episodes.parquet
        ("step", pa.int32()),  # decisions since the episode's first row
        ("stamp_ns", pa.int64()),  # time of the anchor (image or action)
        ("arm_q", _vector(6)),  # measured joint angles, rad
        ("tcp_pose", _vector(9)),  # measured TCP pose
        ("hand_q", _vector(6)),  # measured hand position, [0, 1], 1 = open
        ("action_tcp", _vector(9)),  # TCP target that was sent
        ("action_hand", _vector(6)),  # hand target that was sent
        ("intervention", pa.bool_()),  # a human decided this action
        ("mode", pa.uint8()),  # executor mode (dexpie_core.modes.Mode)
    ]
)

EPISODES_SCHEMA: Final = pa.schema(
    [
        ("episode", pa.int32()),
        ("episode_id", pa.string()),
        ("bag", pa.string()),  # name of the bag folder
        ("task", pa.string()),
        ("stage", pa.string()),
        ("kind", pa.string()),  # demonstration or rollout
        ("outcome", pa.string()),  # success or failure
        ("pair", pa.string()),  # episode id of the failed attempt that this one corrects, or empty
        ("policy", pa.string()),
        ("operator", pa.string()),
        ("seed", pa.uint64()),
        ("length", pa.int32()),  # rows
        ("first_row", pa.int64()),
        ("gaps", pa.list_(pa.string())),  # what the recording lacks, one sentence a stream
    ]
)
OPTIONAL_COLUMNS: Final = frozenset({"gaps"})  # datasets from before them are read too


def read_meta(path: Path) -> dict[str, Any]:
    """dataset.json of a dataset folder; UsageError where it is not one of this version."""
    file = path / META_FILE
    try:
        meta = json.loads(file.read_text())
    except FileNotFoundError:
        raise UsageError(
            f"{path}: not a dataset, {META_FILE} is missing; make one with `dexpie convert`"
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"{file}: cannot be read ({error})") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise UsageError(f"{file}: not a dataset, field format is not {FORMAT!r}")
    if meta.get("version") != VERSION:
        raise UsageError(f"{file}: version {meta.get('version')} is not {VERSION}; convert the bags again")
    return meta
