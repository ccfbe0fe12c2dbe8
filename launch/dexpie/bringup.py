"""Runs the node graph of given options under the supervisor, with what belongs before and after it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from dexpie.console import Console
from dexpie.graph import GraphOptions, NodeSpec, build_graph, make_runtime_dir, parameter_files
from dexpie.policies import policy_id_of
from dexpie.processes import Command, node_command
from dexpie.shared_memory import remove_leftovers
from dexpie.supervisor import Outcome, Plan, Supervisor
from dexpie_core.errors import DexpieError


@dataclass(frozen=True)
class BringupOptions:
    """How the graph is run, beside what it consists of."""

    duration_s: float | None = None  # counted from readiness; None: until stopped
    ready_timeout_s: float = 60.0
    main: Command | None = None  # started when the graph is ready; the graph ends with it
    quiet: bool = False  # do not show what the nodes write


def probe_command(nodes: tuple[NodeSpec, ...]) -> Command:
    """The process that tells which nodes are ready."""
    names = tuple(node.name for node in nodes if node.awaited)
    return Command("readiness", module_argv("dexpie", "probe") + names)


def module_argv(package: str, module: str) -> tuple[str, ...]:
    """`python -m package.module` with the interpreter that runs this."""
    return (sys.executable, "-P", "-m", f"{package}.{module}")


def recover_recordings(record: str, console: Console) -> None:
    """Make whole bags of recordings that a killed recorder left half-written."""
    if not record or not Path(record).is_dir():
        return
    from dexpie_bags.recover import recover_partials

    for found in recover_partials(Path(record)):
        told = (
            f"recovered {found.messages} messages as {found.bag}"
            if found.bag
            else "it was empty and is removed"
        )
        console.say(f"half-written recording {found.partial.name}: {told}")


def run_graph(graph: GraphOptions, options: BringupOptions, console: Console | None = None) -> Outcome:
    """Bring the graph up, watch it, take it down, and leave neither process nor half-written bag."""
    nodes = build_graph(graph)
    if graph.policy:
        policy_id_of(Path(graph.policy), graph.task)
    files = parameter_files(graph)
    commands = tuple(node_command(node, files) for node in nodes)
    console = console or Console(quiet_nodes=options.quiet)
    remove_leftovers()
    recover_recordings(graph.record, console)
    make_runtime_dir(graph)
    plan = Plan(commands, probe_command(nodes), options.main, options.ready_timeout_s, options.duration_s)
    try:
        outcome = Supervisor(plan, console).run()
    finally:
        recover_recordings(graph.record, console)
        remove_leftovers()
    if outcome.kind in ("died", "not_ready"):
        raise DexpieError(f"{outcome.message}; the graph is stopped")
    return outcome
