"""`glove_ranges`: leads a user through four poses and writes the ranges that the follower needs.

Hears /teleop/glove, so the glove driver must be running.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import rclpy
from rclpy.node import Node
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from dexpie_core import messages, topics
from dexpie_core.errors import DexpieError, UsageError
from dexpie_core.retargeting import CHANNEL_SIGNALS
from dexpie_core.se3 import Array
from dexpie_hardware.manus.ranges import (
    POSES,
    CaptureConfig,
    CapturePose,
    Complaint,
    GloveRanges,
    find_ranges,
    pose_complaints,
)
from dexpie_hardware.manus.ranges_file import ranges_yaml, write_whole
from dexpie_ros.polling import PolledSubscription

POLL_PERIOD_S: Final = 0.005
ATTEMPTS: Final = 3
RATE_HZ: Final = 60.0  # half of what a glove sends must arrive


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    user: str
    out: Path
    seconds: float
    settle_s: float
    countdown_s: float
    wait_s: float
    yes: bool


class GloveListener:
    """The glove's angles as they arrive."""

    def __init__(self, node: Node) -> None:
        self._subscription = PolledSubscription(node, topics.GLOVE)
        self.side = ""
        self.names: tuple[str, ...] = ()

    def wait(self, limit_s: float) -> None:
        """Until the glove speaks. Raises DexpieError."""
        deadline_s = time.monotonic() + limit_s
        while not self._subscription.newest():
            if time.monotonic() > deadline_s:
                raise DexpieError(
                    f"no glove on {topics.GLOVE.name} for {limit_s:g} s: start manus_glove, "
                    "and look at what it says on /diagnostics"
                )
            time.sleep(POLL_PERIOD_S)

    def record(self, seconds: float, progress: Callable[[float], None]) -> Array:
        """Angles (n, 6) in channel order of what arrives from now on; `progress` is told the share done."""
        rows = []
        self._subscription.newest()
        begun_s = time.monotonic()
        while (elapsed_s := time.monotonic() - begun_s) < seconds:
            for taken in self._subscription.take():
                angles = messages.glove_angles(taken.message)
                self.side, self.names = taken.message.side, tuple(angles)
                if all(name in angles for name in CHANNEL_SIGNALS):
                    rows.append([angles[name] for name in CHANNEL_SIGNALS])
            progress(elapsed_s / seconds)
            time.sleep(POLL_PERIOD_S)
        return np.array(rows).reshape(-1, len(CHANNEL_SIGNALS))


class Session:
    """One user in front of the prompts."""

    def __init__(self, listener: GloveListener, options: Options, console: Console) -> None:
        self._listener = listener
        self._options = options
        self._console = console
        self._config = CaptureConfig(min_samples=max(1, round(options.seconds * RATE_HZ)))

    def run(self) -> GloveRanges:
        """All poses, each again until it is good, at most three times. Raises DexpieError."""
        captures: dict[CapturePose, Array] = {}
        wanted: list[CapturePose] = list(POSES)
        for attempt in range(1, ATTEMPTS + 1):
            for pose in wanted:
                captures[pose] = self._capture(pose)
            ranges, complaints = find_ranges(captures, self._config)
            if ranges is not None:
                return ranges
            if self._options.yes or attempt == ATTEMPTS:
                break
            wanted = sorted({c.pose for c in complaints}, key=lambda pose: pose.number)
            self._complain(complaints)
        raise _failed(complaints)

    def _capture(self, pose: CapturePose) -> Array:
        """One pose, again at once while it was not held still. Raises DexpieError."""
        for attempt in range(1, ATTEMPTS + 1):
            self._prompt(pose)
            samples = self._record(pose)
            complaints = pose_complaints(pose, samples, self._config)
            if not complaints:
                return samples
            if self._options.yes or attempt == ATTEMPTS:
                break
            self._complain(complaints)
        raise _failed(complaints)

    def _prompt(self, pose: CapturePose) -> None:
        self._console.print(f"[bold]pose {pose.number} of {len(POSES)}: {pose.name}[/bold]  {pose.prompt}")
        if self._options.yes:
            self._console.print(f"  starts in {self._options.countdown_s:g} s")
            time.sleep(self._options.countdown_s)
        else:
            self._console.input("  hold it, then press Enter: ")
        time.sleep(self._options.settle_s)

    def _record(self, pose: CapturePose) -> Array:
        columns = (TextColumn("  hold still"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(pose.name, total=1.0)
            return self._listener.record(
                self._options.seconds, lambda share: progress.update(task, completed=share)
            )

    def _complain(self, complaints: Sequence[Complaint]) -> None:
        for complaint in complaints:
            self._console.print(f"  [red]{complaint.text}[/red]")


def _failed(complaints: Sequence[Complaint]) -> DexpieError:
    return DexpieError("; ".join(complaint.text for complaint in complaints) + "; nothing was written")


def parse(argv: list[str] | None = None) -> Options:
    """Options of the command line; a wrong one ends the program with status 2."""
    parser = argparse.ArgumentParser(prog="glove_ranges", description=__doc__)
    parser.add_argument("--user", required=True, help="whose hand; stands in the file")
    parser.add_argument("--out", required=True, type=Path, help="parameter file to write, e.g. glove.yaml")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long a pose is held, s (default 4)")
    parser.add_argument("--settle", type=float, default=0.5, help="left out before that, s (default 0.5)")
    parser.add_argument("--wait", type=float, default=15.0, help="for the glove to speak, s (default 15)")
    parser.add_argument("--yes", action="store_true", help="ask nothing; a bad pose ends the program")
    parser.add_argument(
        "--countdown", type=float, default=3.0, help="with --yes: time before a pose (default 3)"
    )
    chosen = parser.parse_args(argv)
    if not chosen.seconds > 0 or chosen.settle < 0 or chosen.countdown < 0:
        parser.error("--seconds must be positive, --settle and --countdown not negative")
    if not chosen.user.strip() or not chosen.user.isprintable():
        parser.error(f"--user {chosen.user!r}: give a name of printable characters")
    if not chosen.out.parent.is_dir() or chosen.out.is_dir():
        parser.error(f"--out {chosen.out}: name a file in a folder that exists")
    return Options(
        user=chosen.user,
        out=chosen.out,
        seconds=chosen.seconds,
        settle_s=chosen.settle,
        countdown_s=chosen.countdown,
        wait_s=chosen.wait,
        yes=chosen.yes,
    )


def capture(options: Options, console: Console) -> None:
    """Run one capture and write its file."""
    node = Node("glove_ranges", start_parameter_services=False)
    try:
        listener = GloveListener(node)
        listener.wait(options.wait_s)
        ranges = Session(listener, options, console).run()
        now = datetime.now().astimezone()
        write_whole(options.out, ranges_yaml(ranges, options.user, listener.side, now, listener.names))
    finally:
        node.destroy_node()
    for signal, low, high in zip(CHANNEL_SIGNALS, ranges.open_deg, ranges.closed_deg, strict=True):
        console.print(f"  {signal:<16} {low:7.1f} to {high:7.1f} deg")
    console.print(f"wrote {options.out}", markup=False)


def main(argv: list[str] | None = None) -> int:
    """Entry point."""
    options = parse(argv)
    rclpy.init(args=[])
    try:
        capture(options, Console(soft_wrap=True))
    except (DexpieError, OSError) as error:
        print(f"glove_ranges: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except (KeyboardInterrupt, EOFError):
        print("glove_ranges: stopped; nothing was written", file=sys.stderr)
        return 1
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
