"""A toy task as a dataset, without bags: the TCP goes to a ball; in failures it slides off sideways."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from dexpie_core import action_space, se3
from dexpie_training import schema
from dexpie_training.alignment import AlignedEpisode
from dexpie_training.dataset_writer import DatasetWriter

STATE_NAMES = ("ball.x", "ball.y", "ball.z")
START_M, BALL_M = np.array([0.4, 0.0, 0.3]), np.array([0.6, 0.0, 0.3])
LOST_M = 0.1  # sideways, where a failure ends
PERIOD_NS = 40_000_000


def path_m(success: bool, seed: int) -> np.ndarray:
    """TCP positions (T, 3) of an episode: to the ball in about 40 steps, or sideways from somewhere on."""
    rng = np.random.default_rng(seed)
    along = np.arange(1, rng.integers(36, 45) + 1) / 40.0
    sideways = 0.005 * rng.normal() + 0.0 * along
    if not success:
        sideways += np.maximum(0.0, np.arange(len(along)) - rng.integers(3, 25)) * LOST_M / 12.0
        end = int(np.argmax(np.abs(sideways) >= LOST_M)) + 1
        along, sideways = along[:end], sideways[:end]
    positions = START_M + along[:, None] * (BALL_M - START_M)
    positions[:, 1] += sideways
    return positions


def rows_of(positions: np.ndarray, human: bool) -> AlignedEpisode:
    """An episode's rows out of its TCP positions (T, 3)."""
    count = len(positions)
    T = se3.make(np.broadcast_to(np.eye(3), (count, 3, 3)), positions)
    hand = np.full((count, 6), 0.5)
    return AlignedEpisode(
        stamp_ns=np.arange(count) * PERIOD_NS,
        arm_q=np.zeros((count, 6)),
        tcp_pose=se3.pose9_from_matrix(T),
        hand_q=hand,
        action=action_space.pack(T, hand),
        intervention=np.full(count, human),
        mode=np.full(count, 3 if human else 1, dtype=np.uint8),
        state=np.broadcast_to(BALL_M, (count, 3)),
        images={},
        anchors=count,
    )


@dataclass(frozen=True, eq=False)
class Toy:
    """One episode: TCP positions (T, 3), how it ended, who drove."""

    positions: np.ndarray
    success: bool = True
    human: bool = False


def write_dataset(out: Path, successes: int, failures: int, seed: int = 0, images_px: int = 0) -> Path:
    """Rollouts but for the first two successes, which are demonstrations."""
    outcomes = [True] * successes + [False] * failures
    episodes = [
        Toy(path_m(success, seed * 1000 + index), success, human=index < min(2, successes))
        for index, success in enumerate(outcomes)
    ]
    return write_episodes(out, episodes, images_px)


def write_episodes(out: Path, episodes: list[Toy], images_px: int = 0) -> Path:
    """A dataset of these episodes; with images_px > 0 two cameras whose images are noise."""
    rng = np.random.default_rng(0)
    cameras = ("front", "wrist") if images_px else ()
    with DatasetWriter(out) as writer:
        for index, episode in enumerate(episodes):
            rows = rows_of(episode.positions, episode.human)
            shape = (len(rows.stamp_ns), images_px, images_px, 3)
            images = {camera: rng.integers(0, 256, shape, dtype=np.uint8) for camera in cameras}
            writer.append(_episode(index, episode), rows, images)
        writer.finish(
            {
                "task": "toy",
                "rate_hz": 25.0,
                "cameras": list(cameras),
                "image_size_px": images_px,
                "state_names": list(STATE_NAMES),
                "alignment": {"action_offset_rows": 0},
                "counts": {},
                "bags": [],
                "report": [],
            }
        )
    return out


def _episode(index: int, episode: Toy) -> dict[str, object]:
    own = {
        "episode_id": f"e{index}",
        "task": "toy",
        "stage": "initial",
        "kind": "demonstration" if episode.human else "rollout",
        "outcome": "success" if episode.success else "failure",
        "seed": index,
    }
    placed = ("episode", "length", "first_row")  # the writer's
    empty = {
        field.name: [] if pa.types.is_list(field.type) else 0 if pa.types.is_integer(field.type) else ""
        for field in schema.EPISODES_SCHEMA
        if field.name not in placed
    }
    return {**empty, **own}
