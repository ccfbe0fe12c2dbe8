"""An episode as a strip of camera images over its modes and stages."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray

from dexpie_core import messages, topics
from dexpie_core.errors import DexpieError, UsageError
from dexpie_training import images, schema
from dexpie_training.dataset import Dataset
from dexpie_training.plots.bands import mode_band, stage_band
from dexpie_training.plots.style import INK, MUTED, check_out, pyplot, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class PlotStripOptions:
    """Draw an episode as a strip of camera images over its stages and modes."""

    source: Annotated[Path, tyro.conf.Positional]
    """bag, or dataset with images"""
    out: Path
    """PNG file to be made; must not exist"""
    camera: str = "front"
    """front or wrist"""
    frames: int = 8
    """images in the strip"""
    episode: int = 0
    """which episode of the bag or dataset, from 0"""


@dataclass(frozen=True)
class EpisodeStrip:
    """What a strip shows: images (n, h, w, 3) at `times_s` (n,), and per decision time, mode and stage.

    damage: what of the bag cannot be read, one line each.
    """

    title: str
    images: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    step_times_s: NDArray[np.float64]
    modes: NDArray[np.uint8]
    stages: tuple[str, ...]  # empty where the source does not tell
    damage: tuple[str, ...] = ()


def run_plot_strip(options: PlotStripOptions) -> Path:
    """Make the picture; DexpieError, once it is made, where the bag is damaged."""
    check_out(options.out)
    if options.camera not in topics.CAMERAS:
        raise UsageError(f"--camera {options.camera} must be one of {', '.join(topics.CAMERAS)}")
    if options.frames < 2:
        raise UsageError(f"--frames {options.frames} must be at least 2")
    load = _strip_of_dataset if (options.source / schema.META_FILE).exists() else _strip_of_bag
    strip = load(options)
    made = save(draw_strip(strip), options.out)
    if strip.damage:
        raise DexpieError(f"{made} shows what can be read; {strip.damage[0]}")
    return made


def draw_strip(strip: EpisodeStrip) -> "Figure":
    """Figure of a strip."""
    count = len(strip.images)
    height, width = strip.images.shape[1:3]
    ratio = 0.75 if height == width else height / width  # square pictures are squeezed 4:3 ones
    tile = 1.55
    bands = 2 if strip.stages else 1
    figure: Figure = pyplot().figure(
        figsize=(tile * count, tile * ratio + 0.62 + 0.30 * bands), layout="constrained"
    )
    grid = figure.add_gridspec(1 + bands, count, height_ratios=[tile * ratio, *[0.22] * bands])
    for column, (image, time_s) in enumerate(zip(strip.images, strip.times_s, strict=True)):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(image, aspect="auto", interpolation="antialiased")
        axes.set_title(f"{time_s:.1f} s", fontsize=9, color=MUTED, pad=3)
        axes.set_axis_off()
    mode_band(figure.add_subplot(grid[1, :]), strip.modes, strip.step_times_s)
    if strip.stages:
        stage_band(figure.add_subplot(grid[2, :]), "stage", strip.stages, strip.step_times_s)
    figure.suptitle(strip.title, fontsize=11, color=INK, x=0.01, ha="left")
    return figure


def episode_title(episode: dict[str, Any], duration_s: float) -> str:
    """What an episode was, from its row of episodes.parquet."""
    seed, outcome = int(episode["seed"]), str(episode["outcome"])
    return _title(episode["task"], episode["kind"], episode["stage"], seed, outcome, duration_s)


def _strip_of_dataset(options: PlotStripOptions) -> EpisodeStrip:
    dataset = Dataset.open(options.source)
    if options.camera not in dataset.frames:
        raise UsageError(f"{options.source}: has no images of camera {options.camera}")
    if not 0 <= options.episode < len(dataset.episodes):
        raise UsageError(
            f"--episode {options.episode}: {options.source} has {len(dataset.episodes)} episodes"
        )
    rows = dataset.episode_rows(options.episode)
    times = (dataset.stamp_ns[rows] - dataset.stamp_ns[rows.start]) * 1e-9
    chosen = np.linspace(0, len(times) - 1, options.frames).round().astype(int)
    episode = dataset.episodes[options.episode]
    return EpisodeStrip(
        title=episode_title(episode, times[-1]),
        images=np.asarray(dataset.frames[options.camera][rows.start + chosen]),
        times_s=times[chosen],
        step_times_s=times,
        modes=dataset.mode[rows],
        stages=(),
    )


def _strip_of_bag(options: PlotStripOptions) -> EpisodeStrip:
    from dexpie_bags import BagReader

    image_topic = topics.compressed_image(options.camera).name
    wanted = (image_topic, topics.EXECUTED_ACTION.name, topics.SCENE_STATE.name, topics.EPISODE_EVENT.name)
    events: dict[str, list[Any]] = {}
    pictures: list[tuple[int, Any]] = []
    actions: list[tuple[int, int]] = []
    scenes: list[tuple[int, str]] = []
    with BagReader(options.source, torn=True) as reader:
        for record in reader.messages(wanted):
            message, stamp = record.message, messages.stamp_ns(record.message)
            if record.topic == image_topic:
                pictures.append((stamp, message.data))
            elif record.topic == topics.EXECUTED_ACTION.name:
                actions.append((stamp, int(message.mode)))
            elif record.topic == topics.SCENE_STATE.name:
                scenes.append((stamp, str(message.stage)))
            else:
                events.setdefault(message.episode_id, []).append(message)
        damage = reader.damage
    if not 0 <= options.episode < len(events):
        raise UsageError(f"--episode {options.episode}: {options.source} has {len(events)} episodes")
    of_episode = list(events.values())[options.episode]
    first, last = messages.stamp_ns(of_episode[0]), messages.stamp_ns(of_episode[-1])
    if last <= first:
        last = max((stamp for stamp, _ in actions), default=first)
    pictures, actions = _between(pictures, first, last), _between(actions, first, last)
    if not pictures or len(actions) < 2:
        why = "; ".join([f"no images of camera {options.camera} in that episode", *damage])
        raise DexpieError(f"{options.source}: {why}")
    scenes = _between(scenes, first, last)
    try:
        strip = _bag_strip(of_episode[-1], pictures, actions, scenes, options.frames)
    except ValueError as error:
        raise DexpieError(f"{options.source}: {image_topic}: {error}") from None
    return replace(strip, damage=damage)


def _between(entries: list[Any], first_ns: int, last_ns: int) -> list[Any]:
    return [entry for entry in entries if first_ns <= entry[0] <= last_ns]


def _bag_strip(
    event: Any,
    pictures: list[tuple[int, Any]],
    actions: list[tuple[int, int]],
    scenes: list[tuple[int, str]],
    count: int,
) -> EpisodeStrip:
    begin = actions[0][0]
    times = np.array([stamp - begin for stamp, _ in actions]) * 1e-9
    shown = [pictures[i] for i in np.linspace(0, len(pictures) - 1, count).round().astype(int)]
    stages: tuple[str, ...] = ()
    if scenes:
        stamps = np.array([stamp for stamp, _ in scenes])
        nearest = np.clip(np.searchsorted(stamps, [stamp for stamp, _ in actions]), 0, len(scenes) - 1)
        stages = tuple(scenes[i][1] for i in nearest)
    return EpisodeStrip(
        title=_title(event.task, event.kind, event.stage, int(event.seed), event.outcome, times[-1]),
        images=np.stack([images.from_jpeg(data).pixels for _, data in shown]),
        times_s=np.array([stamp - begin for stamp, _ in shown]) * 1e-9,
        step_times_s=times,
        modes=np.array([mode for _, mode in actions], dtype=np.uint8),
        stages=stages if any(stages) else (),
    )


def _title(task: str, kind: str, stage: str, seed: int, outcome: str, duration_s: float) -> str:
    begun = "" if stage == "initial" else f" from {stage}"
    return f"{task}: {kind}{begun}, seed {seed}, {outcome or 'no end'} after {duration_s:.1f} s"
