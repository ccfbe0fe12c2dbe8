"""The supervisor over fake nodes: readiness, deaths, and stops that leave no process."""

from __future__ import annotations

import io
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fake_nodes import (
    DEAF,
    DEAF_TO_INTERRUPT,
    DYING,
    POLITE,
    WITH_CHILD,
    SupervisorProcess,
    alive,
    fake,
    fake_probe,
    wait_gone,
)

from dexpie.console import Console
from dexpie.supervisor import Outcome, Plan, Supervisor

pytestmark = pytest.mark.processes


def run(plan: Plan) -> tuple[Outcome, str]:
    """Run a plan in this process; its outcome and what was printed."""
    stream = io.StringIO()
    outcome = Supervisor(plan, Console(stream)).run()
    return outcome, stream.getvalue()


def test_a_required_node_that_dies_takes_the_graph_down_with_its_last_words() -> None:
    outcome, _ = run(Plan((fake("fine", POLITE), fake("camera", DYING))))
    assert outcome == Outcome("died", "camera ended (exit status 3): the cable is out", 1)


def test_a_node_that_leaves_with_zero_is_missed_too() -> None:
    outcome, _ = run(Plan((fake("fine", POLITE), fake("brief", "pass"))))
    assert outcome == Outcome("died", "brief ended (exit status 0): it said nothing", 1)


def test_a_killed_node_is_named_with_its_signal() -> None:
    outcome, _ = run(Plan((fake("arm", "import os; print('moving'); os.kill(os.getpid(), 9)"),)))
    assert outcome.message == "arm ended (killed by SIGKILL): moving"


def test_the_death_of_a_node_that_is_not_required_is_only_told() -> None:
    plan = Plan((fake("extra", DYING, required=False), fake("worker", "import sys; sys.stdin.read()", True)))
    outcome, text = run(plan)
    assert outcome.message.startswith("worker ended")
    assert "extra ended (exit status 3); it is not required" in text or "extra" not in outcome.message


SLOW_TO_LEAVE = (
    "import signal, sys, time\n"
    "def leave(*_): time.sleep(0.3); print('driver leaves'); sys.exit(0)\n"
    "signal.signal(signal.SIGINT, leave); print('up')\nwhile True: signal.pause()"
)
DEVICE = (
    "import signal, sys\n"
    "def leave(*_): print('device leaves'); sys.exit(0)\n"
    "signal.signal(signal.SIGINT, leave); print('up')\nwhile True: signal.pause()"
)


def test_what_serves_the_others_outlives_them() -> None:
    device = replace(fake("device", DEVICE), serves=True, awaited=False)
    probe = fake_probe("driver\t0\tok")
    up = "import sys, time; time.sleep(0.2)"
    outcome, text = run(Plan((device, fake("driver", SLOW_TO_LEAVE)), probe, main=fake("main", up)))
    assert outcome.kind == "main"
    assert text.index("driver leaves") < text.index("device leaves")


def test_main_starts_when_all_are_ready_and_its_end_ends_the_graph() -> None:
    probe = fake_probe("a\t1\tloading", "a\t0\tok", "b\t0\tok")
    plan = Plan(
        (fake("a", POLITE), fake("b", POLITE)), probe, fake("session", "print('done'); raise SystemExit(4)")
    )
    outcome, text = run(plan)
    assert outcome == Outcome("main", "done", 4)
    assert "1/2 ready, waiting for b\n" in text
    assert "2 nodes ready after" in text
    assert text.index("nodes ready") < text.index("done")


def test_not_ready_in_time_names_the_node_and_what_it_said() -> None:
    probe = fake("probe", "import signal; print('a\\t0\\tok\\nb\\t1\\tno camera'); signal.pause()")
    outcome, _ = run(
        Plan((fake("a", POLITE), fake("b", POLITE), fake("c", DEAF)), probe, ready_timeout_s=1.0)
    )
    assert outcome.kind == "not_ready"
    assert outcome.status == 1
    assert outcome.message.startswith("not ready within 1 s: b (WARN no camera), c (")


def test_duration_counts_from_readiness_and_ends_well() -> None:
    outcome, _ = run(Plan((fake("a", POLITE),), fake_probe("a\t0\tok"), duration_s=0.01))
    assert outcome == Outcome("duration", "", 0)


def test_deaf_nodes_are_terminated_and_then_killed() -> None:
    plan = Plan(
        (fake("stubborn", DEAF_TO_INTERRUPT), fake("deaf", DEAF)), fake_probe("stubborn\t0\t", "deaf\t0\t"),
        fake("session", "pass"),
    )  # fmt: skip
    assert run(plan)[0].kind == "main"


def test_what_a_node_started_itself_goes_with_it() -> None:
    stream = io.StringIO()
    probe = fake("probe", "import signal; signal.pause()")
    Supervisor(Plan((fake("family", WITH_CHILD),), probe, ready_timeout_s=1.0), Console(stream)).run()
    match = re.search(r"child (\d+)", stream.getvalue())
    assert match is not None
    assert wait_gone(int(match[1]))


def test_a_program_that_cannot_be_started_is_one_line() -> None:
    from dexpie.processes import Command

    outcome, _ = run(Plan((Command("ghost", ("/nonexistent/ghost",)),)))
    assert (
        outcome.message
        == "ghost ended (exit status 1): cannot start /nonexistent/ghost: No such file or directory"
    )


def test_a_graph_whose_output_nobody_reads_stops() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        console = Console(stream)
        outcome = Supervisor(Plan((fake("talker", f"print('hello'); {POLITE}"),)), console).run()
        assert console.broken
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)  # what is left in the buffer goes nowhere
    assert outcome.kind == "interrupted"
    assert outcome.status == 1


@pytest.fixture
def supervised() -> Iterator[SupervisorProcess]:
    process = SupervisorProcess("polite", "deaf", "family")
    yield process
    process.close()


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_leaves_no_process(supervised: SupervisorProcess, which: signal.Signals) -> None:
    pids = supervised.pids(3)
    supervised.read_until("| up", 2)  # the deaf one is deaf from here on
    os.kill(supervised.process.pid, which)
    supervised.read_until("outcome interrupted")
    assert supervised.process.wait(10) == 128 + which
    assert not [pid for pid in pids if alive(pid)]


def test_interrupt_during_start_up_leaves_no_process(supervised: SupervisorProcess) -> None:
    pids = supervised.pids(1)
    os.kill(supervised.process.pid, signal.SIGINT)
    supervised.process.wait(10)
    output = supervised.process.stdout.read() if supervised.process.stdout else ""
    pids += [int(found) for found in re.findall(r" pid (\d+)", output)]
    assert not [pid for pid in pids if alive(pid)]


def test_nodes_die_with_a_killed_supervisor(supervised: SupervisorProcess) -> None:
    pids = supervised.pids(3)
    supervised.process.kill()
    supervised.process.wait(10)
    assert all(wait_gone(pid) for pid in pids)
