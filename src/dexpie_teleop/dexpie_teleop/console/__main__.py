"""The operator's console: `dexpie console`, in a second terminal beside `dexpie up`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Final

from rclpy.utilities import remove_ros_args

from dexpie_ros.looped import be_nice
from dexpie_teleop.console.app import ConsoleApp
from dexpie_teleop.console.keys import KEYS
from dexpie_teleop.console.link import Link, in_use
from dexpie_teleop.console.terminal import stderr_kept_back, terminal_is_read

PROG: Final = "dexpie console"
LEAVING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LAST_RESORT_S: Final = 5.0
NICENESS: Final = -5  # a console that gets no processor time is a lost one, and the robot stops
LISTEN_S: Final = 1.0  # ten life signs of a console that is in use, and time to discover it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console until it is left; 0 then, 1 where it could not go on, 2 on wrong use."""
    arguments = list(sys.argv if argv is None else argv)
    _parser().parse_args(remove_ros_args(arguments)[1:])
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        print(f"{PROG}: needs a terminal; a script calls the services, see docs/operator.md", file=sys.stderr)
        return 2
    try:
        with stderr_kept_back():
            problem = _run(arguments)
    except KeyboardInterrupt:  # before the interface is there to hear of it
        return 130
    if problem:
        print(f"{PROG}: {problem}", file=sys.stderr)
    return 1 if problem else 0


def _run(arguments: list[str]) -> str:
    """Why it ended; empty where the operator wanted it."""
    be_nice(NICENESS)
    link = Link(arguments)
    try:
        other = link.wait_for_other(LISTEN_S)
        if other:
            return in_use(other)
        app = ConsoleApp(link, reads=terminal_is_read)
        _leave_on_signals(app, link)
        result = app.run(mouse=False)
        return result if result is not None else "the interface has failed"
    finally:
        link.close()


def _leave_on_signals(app: ConsoleApp, link: Link) -> None:
    """A closed terminal and a kill end the console as a key does."""

    def leave(number: int, frame: object) -> None:
        # Runs also while the interface waits for a terminal that is gone: then it will never leave by itself.
        last_resort = threading.Timer(LAST_RESORT_S, os._exit, (1,))
        last_resort.daemon = True
        last_resort.start()
        link.leave()
        app.call_later(app.action_leave)

    for number in LEAVING_SIGNALS:
        signal.signal(number, leave)


def _parser() -> argparse.ArgumentParser:
    keys = "\n".join(f"  {row.key:<6} {row.action.value}" for row in KEYS)
    return argparse.ArgumentParser(
        prog=PROG,
        description="Shows who drives, how well you are aligned, the collection and the health of the graph.",
        epilog=f"keys, each where it is possible:\n{keys}\n  ctrl+c leave at once; what drives stops",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


if __name__ == "__main__":
    sys.exit(main())
