"""`dexpie console`: the operator's view of a running graph, and the keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConsoleOptions:
    """Show who drives, alignment, collection and topic health of the graph that runs, and take the keys.

    To be started in a second terminal beside `dexpie up` or `dexpie collect`.
    """


def run_console(options: ConsoleOptions) -> int:
    """The command."""
    from dexpie_teleop.console.__main__ import main

    return int(main(["dexpie console"]))
