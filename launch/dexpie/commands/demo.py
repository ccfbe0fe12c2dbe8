"""`dexpie demo`: a whole round of improvement, from nothing to a better policy and a report."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from dexpie.demo_steps import TASK, WORKERS, Demo, drive
from dexpie.episodes import RecordedEpisode, recorded_episodes
from dexpie.experiments.pipelines import LABELS
from dexpie.experiments.results import results, results_text
from dexpie.experiments.runner import Runner
from dexpie.report import demo as told
from dexpie.report.page import Missing, Page, write_page
from dexpie.report.sections import (
    Work,
    curves_section,
    progress_section,
    success_section,
    verdict,
    work_sections,
)
from dexpie.table import table
from dexpie_core.errors import DexpieError
from dexpie_training.comparison import Comparison
from dexpie_training.evaluate import read_report
from dexpie_training.serial import write_json

NAMES = {"bc": "BC", "dexpie": "DexPIE"}


@dataclass(frozen=True)
class DemoOptions:
    """Improve a policy by its own experience, once: demonstrate, clone, let it try, correct, learn, compare.

    Ends with a report, OUT/demo-.../report.html. What an interrupted demo has finished in --out is kept; the
    same command does the rest.
    """

    out: Path = Path("build/demo")
    """Folder for everything that is made; demos and experiments may share it."""
    seed: int = 0
    """Of training, demonstrations and rollouts (0 to 40)."""
    fast: bool = False
    """A smoke test of a minute or two: too little of everything for a policy that works."""


def run_demo(options: DemoOptions) -> None:
    """All of it."""
    from dexpie_training.checkpoint import code_version

    began_s = time.monotonic()
    demo = Demo(options.out, options.seed, options.fast)
    demo.check_out()
    version = code_version()
    runner = Runner(options.out, demo.experiment.steps(), version, WORKERS)
    made = runner.done()
    print(_intro(demo, runner), flush=True)
    runner.run()
    demo.folder.mkdir(exist_ok=True)
    print(f"DexPIE drives the {TASK} cell over ROS 2, the operator takes over in the middle.", flush=True)
    episode = _driven(demo, runner)
    found = results(demo.experiment, runner.places, version)
    ros = None if isinstance(episode, Missing) else {**asdict(episode), "bag": str(episode.bag)}
    write_json(demo.results, {**found, "ros_episode": ros})
    print("The report is drawn.", flush=True)
    work = Work(runner, made, demo.command, time.monotonic() - began_s, _own_places(demo))
    write_page(_page(demo, work, episode), demo.report)
    places = table(["what", "path"], [*work.places, *runner.places.items()])
    print(f"\n{results_text(found)}\n\n{places}\n")
    minutes = (time.monotonic() - began_s) / 60.0
    print(f"{minutes:.1f} minutes. Open {demo.report.resolve()} in a browser.")
    if isinstance(episode, Missing):
        raise DexpieError(f"the report is there, but the episode over ROS is missing: {episode.why}")


def _intro(demo: Demo, runner: Runner) -> str:
    sizes = demo.experiment.budget
    minutes = runner.estimate_s() / 60.0
    return (
        f"One round of improvement on the simulated {TASK} cell, about {minutes:.0f} min and an episode over "
        f"ROS: {sizes.demonstrations} demonstrations -> BC -> {sizes.rollouts} rollouts and corrections ->\n"
        f"critic -> labels -> DexPIE; both evaluated from {sizes.trials} initial states."
    )


def _driven(demo: Demo, runner: Runner) -> RecordedEpisode | Missing:
    """The episode over ROS, or why there is none."""
    from dexpie.policies import policy_id_of

    policy = Path(runner.places[f"dexpie.{demo.seed}"])
    try:
        return drive(demo, policy, policy_id_of(policy))
    except DexpieError as error:
        return Missing("The episode over ROS", str(error))


def _page(demo: Demo, work: Work, episode: RecordedEpisode | Missing) -> Page:
    places = work.runner.places
    place = {name.rpartition(".")[0] or name: Path(path) for name, path in places.items()}
    collected = recorded_episodes(place["rollouts"])
    reports = {NAMES[a]: Path(places[demo.experiment.report(a, demo.seed)]) for a in demo.experiment.arms}
    comparison = Comparison.of({name: read_report(path) for name, path in reports.items()})
    sections = (
        told.overview_section(demo, collected),
        success_section(comparison, reports),
        progress_section(comparison, told.collected_table(collected)),
        told.value_section(demo, place["data"], LABELS["dexpie"], place["rollouts"], place["bc"]),
        curves_section({name: place[arm] for arm, name in NAMES.items()}, {"critic": place["critic"]}),
        told.ros_section(episode),
        *work_sections(work),
    )
    return Page(f"One round of improvement: {TASK}, seed {demo.seed}", verdict(comparison), sections)


def _own_places(demo: Demo) -> tuple[tuple[str, Path], ...]:
    return (
        ("report", demo.report),
        ("results", demo.results),
        ("episode over ROS", demo.ros_bags),
        ("shown episodes with cameras", demo.replays),
    )
