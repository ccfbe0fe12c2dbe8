"""Small stand-ins for nodes, and a supervisor run in a process of its own, for the supervisor's tests."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from dexpie.processes import Command

POLITE = (
    "import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(0)); print('up'); signal.pause()"
)
DEAF = (
    "import signal, time\n"
    "for s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\n"
    "print('up')\n"
    "while True: time.sleep(60)"
)
DEAF_TO_INTERRUPT = (
    "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('up')\nwhile True: signal.pause()"
)
WITH_CHILD = (
    "import subprocess, sys, signal\n"
    "p = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
    "print('child', p.pid)\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(0))\nsignal.pause()"
)
DYING = "import sys; print('the cable is out', file=sys.stderr); sys.exit(3)"


def fake(name: str, code: str, required: bool = True) -> Command:
    return Command(name, (sys.executable, "-S", "-c", code), required)


def fake_probe(*lines: str) -> Command:
    """A probe that says these lines (name, level, message) and ends."""
    return fake("probe", f"print({chr(10).join(lines)!r})")


def alive(pid: int) -> bool:
    """True while the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_gone(pid: int, within_s: float = 10.0) -> bool:
    """Await the end of a process that need not be our child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within_s)[0])
    finally:
        os.close(descriptor)


SUPERVISE = """
import sys
from dexpie.console import Console
from dexpie.supervisor import Plan, Supervisor
from fake_nodes import *
names = sys.argv[1:]
codes = {'polite': POLITE, 'deaf': DEAF, 'family': WITH_CHILD}
said = 'import os; print("pid", os.getpid())\\n'
nodes = tuple(fake(f'{n}{i}', said + codes[n]) for i, n in enumerate(names))
outcome = Supervisor(Plan(nodes)).run()
print('outcome', outcome.kind)
sys.exit(outcome.status)
"""


class SupervisorProcess:
    """A supervisor of fake nodes in its own process; `read_until` awaits what it prints."""

    def __init__(self, *kinds: str) -> None:
        environment = dict(os.environ, PYTHONUNBUFFERED="1")
        paths = [str(Path(__file__).parent), *sys.path]
        environment["PYTHONPATH"] = os.pathsep.join(p for p in paths if p)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, *kinds],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
            start_new_session=True,
        )  # fmt: skip
        self.lines: list[str] = []

    def read_until(self, text: str, count: int = 1) -> list[str]:
        """Read lines until `count` of all read so far hold `text`; returns those."""
        assert self.process.stdout is not None
        while len(found := [line for line in self.lines if text in line]) < count:
            line = self.process.stdout.readline()
            assert line, f"ended before {text!r}: {self.lines}"
            self.lines.append(line.rstrip())
        return found

    def pids(self, count: int) -> list[int]:
        return [int(line.split()[-1]) for line in self.read_until(" pid ", count)]

    def close(self) -> None:
        """Whatever the test did, leave nothing."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
