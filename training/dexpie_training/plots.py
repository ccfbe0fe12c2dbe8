"""Pictures: the learning curve of a run, and a camera strip of an episode with its stages and modes."""

import csv
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np
import tyro
from numpy.typing import NDArray

from dexpie_core import messages, topics
from dexpie_core.errors import DexpieError, UsageError
from dexpie_core.modes import Mode
from dexpie_training import images, schema
from dexpie_training.checkpoint import read_run
from dexpie_training.dataset import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#1f2a37"
MUTED: Final = "#7b8794"
BLUE: Final = "#2463a8"
ORANGE: Final = "#d9730d"
MODE_COLOURS: Final[dict[Mode, str]] = {
    Mode.IDLE: "#c9d1da",
    Mode.AUTONOMOUS: "#2463a8",
    Mode.ALIGNING: "#e8b93c",
    Mode.HUMAN: "#d9730d",
    Mode.RELEASING: "#f0cf7a",
    Mode.FAULT: "#b3261e",
}
STAGE_COLOURS: Final = ("#dbe7f3", "#b9d3ea", "#8fb6d9", "#6699c6", "#467fb3")


@dataclass(frozen=True)
class PlotCurveOptions:
    """Draw the learning curve of a run."""

    run: Annotated[Path, tyro.conf.Positional]
    """run folder made by `dexpie train`"""
    out: Path
    """PNG file to be made; must not exist"""


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
    """What a strip shows: images (n, h, w, 3) at `times_s` (n,), and per decision time, mode and stage."""

    title: str
    images: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    step_times_s: NDArray[np.float64]
    modes: NDArray[np.uint8]
    stages: tuple[str, ...]  # empty where the source does not tell


def run_plot_curve(options: PlotCurveOptions) -> Path:
    """Make the learning-curve PNG."""
    _check_out(options.out)
    description = read_run(options.run)
    rows = _read_curve(options.run / "curve.csv")
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(8.0, 4.2), layout="constrained")
    steps = [float(row["step"]) for row in rows]
    axes.plot(
        steps, [float(row["train_loss"]) for row in rows], color=BLUE, linewidth=1.6, label="training windows"
    )
    held_out = [(float(r["step"]), float(r["held_out_loss"])) for r in rows if r["held_out_loss"]]
    if held_out:
        axes.plot(
            *zip(*held_out, strict=True),
            color=ORANGE,
            marker="o",
            markersize=4,
            label="held-out episodes (EMA)",
        )
    axes.set_yscale("log")
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("denoising loss")
    axes.legend(frameon=False, loc="upper right")
    minutes = float(rows[-1]["elapsed_s"]) / 60
    data = description["dataset"]
    subtitle = f"{data['episodes']} episodes, {data['rows']} rows, {minutes:.1f} min"
    _dress(axes, f"{description['method']} on {data['task']}, {description['preset']}", subtitle)
    axes.grid(axis="y", which="both", color="#e6eaee", linewidth=0.8)
    return _save(figure, options.out)


def run_plot_strip(options: PlotStripOptions) -> Path:
    """Make the camera-strip PNG."""
    _check_out(options.out)
    if options.camera not in topics.CAMERAS:
        raise UsageError(f"--camera {options.camera} must be one of {', '.join(topics.CAMERAS)}")
    if options.frames < 2:
        raise UsageError(f"--frames {options.frames} must be at least 2")
    load = _strip_of_dataset if (options.source / schema.META_FILE).exists() else _strip_of_bag
    return _save(draw_strip(load(options)), options.out)


def draw_strip(strip: EpisodeStrip) -> "Figure":
    """Figure of a strip."""
    plt = _pyplot()
    count = len(strip.images)
    height, width = strip.images.shape[1:3]
    ratio = 0.75 if height == width else height / width  # square pictures are squeezed 4:3 ones
    tile = 1.55
    bands = 2 if strip.stages else 1
    figure: Figure = plt.figure(
        figsize=(tile * count, tile * ratio + 0.62 + 0.30 * bands), layout="constrained"
    )
    grid = figure.add_gridspec(1 + bands, count, height_ratios=[tile * ratio, *[0.22] * bands])
    for column, (image, time_s) in enumerate(zip(strip.images, strip.times_s, strict=True)):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(image, aspect="auto", interpolation="antialiased")
        axes.set_title(f"{time_s:.1f} s", fontsize=9, color=MUTED, pad=3)
        axes.set_axis_off()
    modes = [Mode(int(m)) for m in strip.modes]
    labels = [mode.name.lower() for mode in modes]
    _band(
        figure.add_subplot(grid[1, :]), "mode", labels, [MODE_COLOURS[m] for m in modes], strip.step_times_s
    )
    if strip.stages:
        order = list(dict.fromkeys(strip.stages))
        colours = [STAGE_COLOURS[order.index(s) % len(STAGE_COLOURS)] for s in strip.stages]
        _band(figure.add_subplot(grid[2, :]), "stage", list(strip.stages), colours, strip.step_times_s)
    figure.suptitle(strip.title, fontsize=11, color=INK, x=0.01, ha="left")
    return figure


def _band(
    axes: "Axes", name: str, labels: list[str], colours: list[str], times_s: NDArray[np.float64]
) -> None:
    """A horizontal band over time, one block for each run of equal labels, the label inside where it fits."""
    changes = [0, *[i for i in range(1, len(labels)) if labels[i] != labels[i - 1]], len(labels)]
    span = max(float(times_s[-1] - times_s[0]), 1e-6)
    for first, last in pairwise(changes):
        begin = times_s[first]
        end = times_s[min(last, len(times_s) - 1)]
        axes.barh(0, end - begin, left=begin, height=1.0, color=colours[first], linewidth=0)
        if (end - begin) / span > 0.012 * len(labels[first]):
            dark = sum(int(colours[first][i : i + 2], 16) for i in (1, 3, 5)) < 400
            ink = "white" if dark else INK
            axes.text((begin + end) / 2, 0, labels[first], ha="center", va="center", fontsize=8, color=ink)
    axes.set_xlim(times_s[0], times_s[-1])
    axes.set_ylim(-0.5, 0.5)
    axes.set_yticks([0], [name], fontsize=8, color=MUTED)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


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
        title=_title(episode["task"], episode["kind"], episode["outcome"], episode["seed"], times[-1]),
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
    with BagReader(options.source) as reader:
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
    if not 0 <= options.episode < len(events):
        raise UsageError(f"--episode {options.episode}: {options.source} has {len(events)} episodes")
    of_episode = list(events.values())[options.episode]
    first, last = messages.stamp_ns(of_episode[0]), messages.stamp_ns(of_episode[-1])
    if last <= first:
        last = max(stamp for stamp, _ in actions)
    pictures, actions = _between(pictures, first, last), _between(actions, first, last)
    if not pictures or len(actions) < 2:
        raise DexpieError(f"{options.source}: no images of camera {options.camera} in that episode")
    return _bag_strip(of_episode[-1], pictures, actions, _between(scenes, first, last), options.frames)


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
        title=_title(event.task, event.kind, event.outcome, int(event.seed), times[-1]),
        images=np.stack([images.decode_jpeg(data) for _, data in shown]),
        times_s=np.array([stamp - begin for stamp, _ in shown]) * 1e-9,
        step_times_s=times,
        modes=np.array([mode for _, mode in actions], dtype=np.uint8),
        stages=stages if any(stages) else (),
    )


def _title(task: str, kind: str, outcome: str, seed: int, duration_s: float) -> str:
    return f"{task}: {kind}, seed {seed}, {outcome or 'no end'} after {duration_s:.1f} s"


def _read_curve(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        raise UsageError(f"{file}: is missing, so there is no learning curve to draw")
    with file.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    if not rows:
        raise UsageError(f"{file}: is empty, the run has not got far enough")
    return rows


def _check_out(out: Path) -> None:
    if out.exists():
        raise UsageError(f"--out {out} exists already; choose another file or remove it")
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out} must end in .png")


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK, "axes.labelcolor": INK}
    )
    return plt


def _dress(axes: "Axes", title: str, subtitle: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=18)
    axes.text(0, 1.03, subtitle, transform=axes.transAxes, fontsize=9, color=MUTED)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#c9d1da")
    axes.tick_params(colors=MUTED)


def _save(figure: "Figure", out: Path) -> Path:
    import matplotlib.pyplot as plt

    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.stem}.tmp.png")
    figure.savefig(temporary, dpi=160, facecolor="white")
    plt.close(figure)
    temporary.replace(out)
    return out
