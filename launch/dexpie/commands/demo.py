"""`dexpie demo`: from nothing to a learned policy that drives the simulated cell under ROS."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dexpie.commands.collect import CollectOptions, record
from dexpie.commands.evaluate import EvaluateOptions, evaluate
from dexpie.demo_steps import (
    FAST,
    ROS_SEED,
    DemoPaths,
    DemoSettings,
    DemoState,
    dataset_hash,
    dataset_is_of,
    evaluation_is_of,
    unfinished_run,
)
from dexpie.episodes import RecordedEpisode, recorded_episodes
from dexpie.loop_timing import LoopTiming, loop_timing
from dexpie.table import table
from dexpie_training.serial import write_json


@dataclass(frozen=True)
class DemoOptions:
    """Go the whole way once: demonstrate, convert, train, evaluate, drive the cell under ROS.

    What an interrupted demo has finished in --out is checked and kept; the rest is done.
    """

    out: Path = Path("build/demo")
    """Folder for everything that is made."""
    fast: bool = False
    """A smoke test of a minute or two: too little training for a policy that works."""


@dataclass
class Demo:
    """One run through the steps."""

    paths: DemoPaths
    settings: DemoSettings
    state: DemoState
    began_s: float

    def say(self, text: str) -> None:
        """One line with the time since the start."""
        minutes, seconds = divmod(int(time.monotonic() - self.began_s), 60)
        print(f"[{minutes:02d}:{seconds:02d}] {text}", flush=True)

    def demonstrate(self) -> None:
        s = self.settings
        self.say(
            f"1/6 A virtual operator shows the {s.task} task {s.demonstrations} times, in simulated time."
        )
        self.say(
            "    It moves a tracker and a glove; follower, retargeting and executor make robot motion of it."
        )
        record(
            CollectOptions(
                s.task, self.paths.bags, s.demonstrations, lockstep=True, seed=s.seed, images=s.images
            ),
            listed=False,
        )

    def convert(self) -> None:
        from dexpie.commands.convert import ConvertOptions, run_convert

        self.say("2/6 The recorded bags become a dataset on a 25 Hz grid.")
        if dataset_is_of(self.paths.dataset, self.paths.bags):
            self.say("    Already there.")
            return
        shutil.rmtree(self.paths.dataset, ignore_errors=True)
        run_convert(ConvertOptions((self.paths.bags,), self.paths.dataset))

    def train(self) -> str:
        """Identity of the trained policy."""
        from dexpie.commands.train_actor import TrainActorOptions, run_train_actor
        from dexpie.policies import policy_id_of

        s, wanted = self.settings, dataset_hash(self.paths.dataset)
        limit = f"{s.train_minutes:g} minutes" if s.train_steps is None else f"{s.train_steps} steps"
        self.say(f"3/6 A diffusion policy learns to imitate the demonstrations ({s.preset} preset, {limit}).")
        done = self.state.trained(wanted)
        if done and self.paths.run.is_dir() and policy_id_of(self.paths.run) == done:
            self.say(f"    Already there: {done}.")
            return done
        resume = unfinished_run(self.paths.run, wanted)
        minutes = s.train_minutes if s.train_steps is None else None
        run_train_actor(
            TrainActorOptions(
                self.paths.dataset, self.paths.run, preset=s.preset, steps=s.train_steps, max_minutes=minutes,
                batch_size=s.batch_size, resume=resume, seed=s.seed,
            )
        )  # fmt: skip
        policy_id = policy_id_of(self.paths.run)
        self.state.set_trained(wanted, policy_id)
        return policy_id

    def evaluate(self, policy_id: str) -> None:
        from dexpie_training.trial_log import partial_file

        s = self.settings
        self.say(f"4/6 The policy is tried from {s.trials} new initial states, in simulated time.")
        if evaluation_is_of(self.paths.evaluation, policy_id, s.trials):
            self.say("    Already there.")
            return
        for stale in (self.paths.evaluation, partial_file(self.paths.evaluation)):
            stale.unlink(missing_ok=True)
        print(evaluate(EvaluateOptions(self.paths.run, s.task, self.paths.evaluation, s.trials)))

    def drive(self, policy_id: str) -> list[RecordedEpisode]:
        """Episodes of the policy on the ROS graph."""
        s = self.settings
        self.say(
            f"5/6 The policy drives the cell over ROS 2 in real time, {s.ros_episodes} recorded episode(s)."
        )
        self.say("    Every node is a process of its own; inference runs while the robot moves.")
        options = CollectOptions(
            s.task, self.paths.ros_bags, s.ros_episodes, policy=self.paths.run, operator="none",
            seed=ROS_SEED, time_limit=s.ros_time_limit_s,
        )  # fmt: skip
        record(options, listed=False, quiet=True)
        return [
            e
            for e in recorded_episodes(self.paths.ros_bags)
            if e.policy_id == policy_id and e.outcome != "discard"
        ]

    def draw(self, episodes: list[RecordedEpisode]) -> None:
        """The pictures."""
        from dexpie_training.plots.curves import PlotCurvesOptions, run_plot_curves
        from dexpie_training.plots.strip import PlotStripOptions, run_plot_strip

        self.say("6/6 Pictures.")
        for path in (self.paths.strip, self.paths.curve):
            path.unlink(missing_ok=True)
        shown = next((e for e in episodes if e.outcome == "success"), episodes[0])
        run_plot_strip(PlotStripOptions(shown.bag, out=self.paths.strip))
        run_plot_curves(PlotCurvesOptions((self.paths.run,), out=self.paths.curve))

    def conclude(self, episodes: list[RecordedEpisode]) -> None:
        """The table, and the same as JSON."""
        report = json.loads(self.paths.evaluation.read_text())
        demonstrations = recorded_episodes(self.paths.bags)
        timing = loop_timing([episode.bag for episode in episodes])
        rows = summary_rows(demonstrations, report, episodes, timing)
        print("\n" + table(["what", "result"], rows) + "\n")
        write_json(
            self.paths.result,
            {
                "minutes": (time.monotonic() - self.began_s) / 60.0,
                "settings": asdict(self.settings),
                "demonstrations": {"count": len(demonstrations), "successes": successes(demonstrations)},
                "evaluation": {
                    key: report[key] for key in ("trials", "successes", "success_rate", "wilson_95")
                },
                "ros_episodes": [{**asdict(e), "bag": str(e.bag)} for e in episodes],
                "loop_timing": asdict(timing),
            },
        )
        p = self.paths
        places = [
            ("camera pictures of a ROS episode", p.strip),
            ("learning curve", p.curve),
            ("bags of the ROS episodes", p.ros_bags),
            ("bags of the demonstrations", p.bags),
            ("dataset", p.dataset),
            ("trained policy", p.run),
            ("result", p.result),
        ]
        print(table(["where", "path"], places))


def successes(episodes: list[RecordedEpisode]) -> int:
    """How many ended well."""
    return sum(episode.outcome == "success" for episode in episodes)


def summary_rows(
    demonstrations: list[RecordedEpisode],
    report: dict[str, Any],
    episodes: list[RecordedEpisode],
    t: LoopTiming,
) -> list[tuple[str, str]]:
    """What the demo shows at its end."""
    low, high = report["wilson_95"]
    rows = [
        ("demonstrations", f"{successes(demonstrations)} of {len(demonstrations)} succeeded"),
        ("behaviour cloning, simulated time",
         f"{report['successes']} of {report['trials']} succeeded, "
         f"95 % interval {100 * low:.0f} to {100 * high:.0f} %"),
    ]  # fmt: skip
    for index, e in enumerate(episodes, start=1):
        rows.append(
            (
                f"ROS episode {index}",
                f"{e.outcome} after {e.duration_s:.1f} s ({e.reason or 'no reason given'})",
            )
        )
    rows += [
        ("executor period under ROS",
         f"p50 {t.period_p50_ms:.1f} ms, p99 {t.period_p99_ms:.1f} ms, max {t.period_max_ms:.1f} ms"),
        ("executor rate", f"{t.rate_hz:.2f} Hz"),
        ("starved ticks", f"{t.starved_ticks} of {t.ticks}"),
        ("policy inference",
         f"p50 {t.inference_p50_ms:.0f} ms, max {t.inference_max_ms:.0f} ms, {t.chunks} chunks"),
    ]  # fmt: skip
    return rows


def run_demo(options: DemoOptions) -> None:
    """All steps, in order."""
    settings, paths = FAST if options.fast else DemoSettings(), DemoPaths(options.out)
    demo = Demo(paths, settings, DemoState.open(paths, settings), time.monotonic())
    demo.demonstrate()
    demo.convert()
    policy_id = demo.train()
    demo.evaluate(policy_id)
    episodes = demo.drive(policy_id)
    demo.draw(episodes)
    demo.conclude(episodes)
    demo.say("Done.")
