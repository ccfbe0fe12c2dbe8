"""Synthetic episodes for the tests: a bag writer with known commands, and a toy reaching task."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dexpie_bags import EpisodeBagWriter, make, serialize
from dexpie_core import action_space, messages, se3, topics
from dexpie_core.episode import EpisodeEnd, EpisodeStart

PERIOD_NS = 40_000_000
START_NS = 1_700_000_000_000_000_000
NAMES = tuple(f"ball.{f}" for f in ("x", "y", "z", "r1x", "r1y", "r1z", "r2x", "r2y", "r2z"))
Floats = NDArray[np.float64]


@dataclass
class Recipe:
    """What a synthetic bag holds."""

    ticks: int = 30
    seed: int = 0
    images: bool = False
    kind: str = "demonstration"
    outcome: str = "success"
    idle_ticks: int = 0
    missing_state: tuple[int, ...] = ()
    image_lag_ns: int = 3_000_000
    without_end: bool = False


def action_of(recipe: Recipe, tick: int) -> Floats:
    """The command of a tick: a straight reach to the ball while the hand closes."""
    start, ball = scene_of(recipe)
    s = min(max(tick - recipe.idle_ticks, 0) / 20, 1.0)
    T = se3.make(se3.rotation_from_rotvec([0.0, 0.0, 0.3 * s]), (1 - s) * start + s * ball)
    return action_space.pack(T, np.full(6, 1.0 - s))


def scene_of(recipe: Recipe) -> tuple[Floats, Floats]:
    """Start position of the TCP and position of the ball, m."""
    rng = np.random.default_rng(recipe.seed)
    return np.array([0.4, 0.0, 0.3]), np.array([0.5, 0.0, 0.1]) + rng.uniform(-0.1, 0.1, 3) * [1, 1, 0]


class BagMaker:
    """Writes episodes into one bag, the messages in order of their stamps."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log: list[tuple[int, topics.TopicSpec, bytes]] = []
        self._now_ns = START_NS

    def episode(self, recipe: Recipe, name: str = "e0") -> int:
        """Append an episode; returns the stamp of its first tick."""
        first_ns = self._now_ns
        start = EpisodeStart(name, "bottle", "initial", recipe.kind, seed=recipe.seed)  # type: ignore[arg-type]
        self._put(
            topics.EPISODE_EVENT,
            first_ns - 1_000_000,
            messages.episode_start(make, start, first_ns - 1_000_000),
        )
        for tick in range(recipe.ticks):
            self._tick(recipe, tick, first_ns + tick * PERIOD_NS)
        end_ns = first_ns + (recipe.ticks - 1) * PERIOD_NS + 10_000_000
        if not recipe.without_end:
            end = EpisodeEnd(recipe.outcome)  # type: ignore[arg-type]
            self._put(topics.EPISODE_EVENT, end_ns, messages.episode_end(make, start, end, end_ns))
        self._now_ns = end_ns + 2_000_000_000
        return first_ns

    def _tick(self, recipe: Recipe, tick: int, now_ns: int) -> None:
        command = action_of(recipe, tick)
        T, hand = action_space.unpack(command)
        human = recipe.kind == "demonstration" and tick >= recipe.idle_ticks
        executed = make(
            topics.EXECUTED_ACTION.type,
            header=messages.header(make, now_ns),
            tick=tick,
            mode=3 if human else 1 if recipe.kind == "rollout" else 0,
            source=2 if human else 0,
            pose=messages.pose(make, T),
            hand=hand,
        )
        self._put(topics.EXECUTED_ACTION, now_ns, executed)
        _, ball = scene_of(recipe)
        scene = np.concatenate([ball, [1, 0, 0, 0, 1, 0]])
        scene_msg = messages.scene_state(make, NAMES, scene, False, False, "", "initial", now_ns)
        self._put(topics.SCENE_STATE, now_ns, scene_msg)
        if tick not in recipe.missing_state:
            measured, measured_hand = action_space.unpack(action_of(recipe, tick - 1))
            q = np.full(6, 0.01 * tick)
            self._put(topics.JOINT_STATES, now_ns, messages.joint_state(make, q, np.zeros(6), now_ns))
            self._put(topics.TCP_POSE, now_ns, messages.pose_stamped(make, measured, now_ns))
            self._put(
                topics.HAND_STATE, now_ns, messages.hand_state(make, measured_hand, np.zeros(6), now_ns)
            )
        if recipe.images:
            self._images(tick, now_ns + recipe.image_lag_ns)

    def _images(self, tick: int, now_ns: int) -> None:
        for camera in topics.CAMERAS:
            image = np.full((480, 640, 3), (8 * tick) % 256, dtype=np.uint8)
            jpeg = cv2.imencode(".jpg", image)[1].tobytes()
            message = messages.compressed_image(make, jpeg, camera, now_ns)
            self._put(topics.compressed_image(camera), now_ns, message)

    def _put(self, spec: topics.TopicSpec, stamp_ns: int, message: object) -> None:
        self._log.append((stamp_ns, spec, serialize(message)))

    def write(self) -> Path:
        """Write the bag and return its folder."""
        writer = EpisodeBagWriter(self.path, min_free_bytes=0)
        for spec in {spec.name: spec for _, spec, _ in self._log}.values():
            writer.add_topic(spec)
        for stamp_ns, spec, cdr in sorted(self._log, key=lambda entry: entry[0]):
            writer.write(spec.name, stamp_ns, cdr)
        writer.finish()
        return self.path


def write_bag(path: Path, recipe: Recipe, name: str = "") -> Path:
    """One bag with one episode."""
    maker = BagMaker(path)
    maker.episode(recipe, name or path.name)
    return maker.write()


def write_bags(folder: Path, count: int, **recipe: object) -> Path:
    """A folder of bags with seeds 0..count-1."""
    for seed in range(count):
        write_bag(folder / f"episode_{seed:03d}", Recipe(seed=seed, **recipe))  # type: ignore[arg-type]
    return folder
