"""The report of `dexpie demo`: what was done, what came of it, and what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dexpie.commands.plot_values import steps_of_task
from dexpie.demo_steps import TASK, Demo, filmed
from dexpie.episodes import RecordedEpisode
from dexpie.loop_timing import loop_timing
from dexpie.replay import Replay, pictures_at
from dexpie.report.motion import handovers
from dexpie.report.page import Listing, Missing, Part, Section, Table, Text
from dexpie.report.pictures import picture
from dexpie_core.errors import DexpieError
from dexpie_training.dataset import Dataset
from dexpie_training.returns import Floats

CAMERA = "front"


def overview_section(demo: Demo, collected: Sequence[RecordedEpisode]) -> Section:
    """The round in words."""
    sizes = demo.experiment.budget
    passes = f"{sizes.actor_epochs} passes over them"
    length = f"{sizes.actor_steps} steps" if sizes.actor_steps else passes
    attempts = [e for e in collected if not e.pair_id]
    good = sum(e.outcome == "success" for e in attempts)
    corrections = len(collected) - len(attempts)
    return Section(
        "What was done",
        (
            Listing(
                (
                    f"A virtual operator demonstrated the {TASK} task {sizes.demonstrations} times through "
                    "tracker and glove. Every episode is a rosbag.",
                    f"Behaviour cloning (BC) learnt from them, {length}.",
                    "BC was deployed outside the range that it was shown, from all stages of the "
                    f"task: {len(attempts)} attempts, {good} of them successful. The others were started "
                    f"again, and the operator took over: {corrections} corrections.",
                    "A critic learnt from all of it how far the task is from its end, and labelled every "
                    "step with how much better or worse things became.",
                    "DexPIE, the same network, learnt from everything, told how good each step was, "
                    f"{length}.",
                    f"Both were tried from the same {sizes.trials} initial states, out there and in none of "
                    "the data.",
                    "DexPIE drove the cell over ROS 2 in real time; in the middle the operator took over "
                    "and handed back.",
                )
            ),
        ),
    )


def collected_table(collected: Sequence[RecordedEpisode]) -> Table:
    """Episodes that the cloned policy and the operator recorded, by stage."""
    groups: dict[tuple[str, str], list[RecordedEpisode]] = {}
    for episode in sorted(collected, key=lambda e: (e.stage, e.what)):
        groups.setdefault((episode.stage, episode.what), []).append(episode)
    rows = [
        (stage, what, len(found), sum(e.outcome == "success" for e in found),
         sum(e.interventions for e in found))
        for (stage, what), found in groups.items()
    ]  # fmt: skip
    header = ("from stage", "kind", "episodes", "successes", "takeovers")
    return Table("What was collected with the cloned policy", header, rows)


def value_section(demo: Demo, data: Path, labels: str, rollouts: Path, policy: Path) -> Section:
    """Values of some episodes under what the camera saw, and the advantages of all."""
    from dexpie_training.plots.advantage import PlotAdvantageOptions, run_plot_advantage
    from dexpie_training.plots.values import PlotValuesOptions, run_plot_values

    films = _films(demo, data, rollouts, policy)

    def pictures_of(dataset: Dataset, index: int, times_s: Floats) -> NDArray[np.uint8] | None:
        bag = films.bags.get(dataset.episodes[index]["episode_id"])
        return None if bag is None else pictures_at(bag, CAMERA, times_s)

    return Section(
        "What the critic thinks",
        (
            picture(
                "The picture of the values",
                lambda out: run_plot_values(
                    PlotValuesOptions(data, labels, out, camera=CAMERA), steps_of_task, pictures_of
                ),
                "The critic's value over time for a success, a failure and a corrected attempt, each under "
                "a strip of front camera pictures, with modes, steps of the task and optimality",
                "Every episode is valued by a critic that did not learn from it. The pictures are of the "
                "same episodes run again with cameras.",
            ),
            *(Missing(f"The camera strip of {name}", why) for name, why in films.missing.items()),
            picture(
                "The histogram of the advantages",
                lambda out: run_plot_advantage(PlotAdvantageOptions(data, labels, out)),
                "Histogram of the advantages of all rows with the quantiles that optimality is scaled by, "
                "and optimality by who decided the row",
                "Advantage: how much better things became within a second than the critic had thought.",
            ),
        ),
    )


def _films(demo: Demo, data: Path, rollouts: Path, policy: Path) -> Replay:
    """The drawn episodes again, with cameras; without any where that fails."""
    try:
        return filmed(demo, Dataset.open(data), rollouts, policy)
    except DexpieError as error:
        return Replay({}, {"the drawn episodes": str(error)})


def ros_section(episode: RecordedEpisode | Missing) -> Section:
    """The episode over ROS: who drove, how smoothly, how punctually."""
    title = "The improved policy over ROS 2, with a takeover"
    if isinstance(episode, Missing):
        return Section(title, (episode,))
    from dexpie_training.plots.strip import PlotStripOptions, run_plot_strip

    parts: list[Part] = [
        Text(
            "Every node is a process; inference runs while the robot moves. The operator announces the "
            "takeover, turns wrist and fingers to the robot's, drives for two seconds and hands back."
        ),
        picture(
            "The camera strip",
            lambda out: run_plot_strip(PlotStripOptions(episode.bag, out, camera=CAMERA)),
            "Front camera pictures of the episode over time, above who drove and the step of the task",
        ),
        Table("The episode", ("what", "value"), _ros_rows(episode)),
    ]
    return Section(title, tuple(parts))


def _ros_rows(episode: RecordedEpisode) -> list[tuple[str, str]]:
    t, h = loop_timing([episode.bag]), handovers(episode.bag)
    reason = f" ({episode.reason})" if episode.reason else ""
    return [
        ("outcome", f"{episode.outcome}{reason} after {episode.duration_s:.1f} s"),
        ("takeovers", f"{episode.interventions}, the operator drove for {h.human_s:.1f} s"),
        ("largest step of the commanded position", f"{h.largest_at_switch_mm:.1f} mm where control changed "
         f"hands ({h.switches} times), {h.largest_elsewhere_mm:.1f} mm elsewhere"),
        ("executor period", f"p50 {t.period_p50_ms:.1f} ms, p99 {t.period_p99_ms:.1f} ms, "
         f"max {t.period_max_ms:.1f} ms ({t.rate_hz:.2f} Hz)"),
        ("starved ticks", f"{t.starved_ticks} of {t.ticks}"),
        ("policy inference",
         f"p50 {t.inference_p50_ms:.0f} ms, max {t.inference_max_ms:.0f} ms, {t.chunks} chunks"),
    ]  # fmt: skip
