"""Bags and datasets for the benchmarks: camera-like pictures, no simulator."""

from pathlib import Path

import cv2
import numpy as np

from dexpie_bags import EpisodeBagWriter, make, serialize
from dexpie_core import messages, se3, topics
from dexpie_core.episode import EpisodeEnd, EpisodeStart
from dexpie_training.alignment import AlignedEpisode
from dexpie_training.dataset_writer import DatasetWriter

START_NS, PICTURES = 1_700_000_000_000_000_000, 16


CAMERA, SIMULATION = (480, 640), (224, 224)
"""Heights and widths of the pictures of real and simulated cameras."""


def picture(seed: int, size: tuple[int, int] = CAMERA) -> np.ndarray:
    """A smooth scene with edges and a little sensor noise, (h, w, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
    image = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        x, y = rng.integers(0, size[1]), rng.integers(0, size[0])
        colour = rng.integers(0, 256, 3).tolist()
        cv2.rectangle(image, (int(x), int(y)), (int(x) + 60, int(y) + 40), colour, -1)
    return np.clip(image + rng.normal(0, 2.0, image.shape), 0, 255).astype(np.uint8)


def jpegs_of(seed: int, size: tuple[int, int] = CAMERA) -> list[bytes]:
    """The pictures of a bag, at quality 90."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
    pictures = [picture(100 * seed + i, size) for i in range(PICTURES)]
    return [cv2.imencode(".jpg", pixels, quality)[1].tobytes() for pixels in pictures]


def jpeg_bag(path: Path, seconds: float, seed: int, size: tuple[int, int] = CAMERA) -> Path:
    """One episode: two JPEG streams and commands of 25 Hz, arm and hand of 50 Hz, the tracker beside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    jpegs = jpegs_of(seed, size)
    writer = EpisodeBagWriter(path, min_free_bytes=0)
    images = [topics.compressed_image(camera) for camera in topics.CAMERAS]
    numbers = [topics.JOINT_STATES, topics.TCP_POSE, topics.HAND_STATE, topics.TRACKER_POSE]
    for spec in (topics.EPISODE_EVENT, topics.EXECUTED_ACTION, *numbers, *images):
        writer.add_topic(spec)
    start = EpisodeStart(f"{path.name}-{seed}", "bottle", "initial", "demonstration", seed=seed)
    event = topics.EPISODE_EVENT.name
    writer.write(event, START_NS, serialize(messages.episode_start(make, start, START_NS)))
    T = se3.make(np.eye(3), [0.4, 0.0, 0.3])
    for tick in range(int(seconds * 100)):
        now_ns = START_NS + 1_000_000 + tick * 10_000_000
        out = {topics.TRACKER_POSE.name: messages.pose_stamped(make, T, now_ns)}
        if tick % 2 == 0:
            out[topics.JOINT_STATES.name] = messages.joint_state(make, np.zeros(6), np.zeros(6), now_ns)
            out[topics.TCP_POSE.name] = messages.pose_stamped(make, T, now_ns)
            out[topics.HAND_STATE.name] = messages.hand_state(make, np.ones(6), np.zeros(6), now_ns)
        if tick % 4 == 0:
            out[topics.EXECUTED_ACTION.name] = make(
                topics.EXECUTED_ACTION.type, header=messages.header(make, now_ns), tick=tick // 4, mode=3,
                source=2, pose=messages.pose(make, T), hand=np.ones(6),
            )  # fmt: skip
            for number, camera in enumerate(topics.CAMERAS):
                jpeg = jpegs[(tick // 4 + number) % PICTURES]
                message = messages.compressed_image(make, jpeg, camera, now_ns)
                out[topics.compressed_image(camera).name] = message
        for name, message in out.items():
            writer.write(name, now_ns, serialize(message))
    end_ns = START_NS + int(seconds * 1e9)
    writer.write(event, end_ns, serialize(messages.episode_end(make, start, EpisodeEnd("success"), end_ns)))
    return writer.finish()


def random_dataset(out: Path, rows: int, episodes: int = 10) -> Path:
    """Two cameras with pictures that compress as pictures do."""
    stock = np.stack([cv2.resize(picture(i), (224, 224), interpolation=cv2.INTER_AREA) for i in range(64)])
    rng = np.random.default_rng(0)
    count = rows // episodes
    with DatasetWriter(out) as writer:
        for index in range(episodes):
            T = se3.make(se3.rotation_from_rotvec(rng.normal(size=(count, 3))), rng.normal(size=(count, 3)))
            pose9, hand = se3.pose9_from_matrix(T), rng.uniform(size=(count, 6))
            aligned = AlignedEpisode(
                stamp_ns=np.arange(count) * 40_000_000, arm_q=rng.normal(size=(count, 6)), tcp_pose=pose9,
                hand_q=hand, action=np.concatenate([pose9, hand], axis=1), intervention=np.ones(count, bool),
                mode=np.full(count, 3, np.uint8), state=None, images={}, anchors=count,
            )  # fmt: skip
            texts = ("bag", "task", "stage", "kind", "outcome", "pair", "policy", "operator")
            episode = {"episode_id": f"e{index}", "seed": index, **dict.fromkeys(texts, "")}
            views = {c: stock[rng.integers(0, len(stock), count)] for c in topics.CAMERAS}
            writer.append(episode, aligned, views)
        meta = {"task": "none", "rate_hz": 25.0, "cameras": list(topics.CAMERAS), "image_size_px": 224}
        return writer.finish(
            {**meta, "state_names": [], "alignment": {"action_offset_rows": 0}, "bags": [], "report": []}
        )
