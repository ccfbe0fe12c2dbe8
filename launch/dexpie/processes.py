"""Child processes of the supervisor: what is started, and how it is watched, signalled and reaped."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dexpie.console import LineBuffer
from dexpie.graph import NodeSpec, ParameterValue
from dexpie_core.errors import DexpieError

_BOUND_EXEC = str(Path(__file__).with_name("bound_exec.py"))


@dataclass(frozen=True)
class Command:
    """A process to start.

    required: the graph cannot go on without it. awaited: the graph is ready only when this says so on
    /diagnostics. serves: others use it until they end, so it is asked to stop when they have ended.
    """

    name: str
    argv: tuple[str, ...]
    required: bool = True
    awaited: bool = True
    serves: bool = False


@dataclass
class Child:
    """A started process, leader of its own session, with its output pipe and exit descriptor."""

    command: Command
    process: subprocess.Popen[bytes]
    output_fd: int
    exit_fd: int
    output: LineBuffer = field(default_factory=LineBuffer)

    @property
    def name(self) -> str:
        return self.command.name

    def read(self) -> bytes | None:
        """What the process wrote since; empty at the end of its output; None when there is nothing now."""
        try:
            return os.read(self.output_fd, 65536)
        except BlockingIOError:
            return None

    def kill_rest(self) -> None:
        """After the exit and before `reap`: kill what the process left behind in its session."""
        self.send(signal.SIGKILL)  # the leader is not reaped yet, so its number cannot be another's

    def send(self, which: signal.Signals) -> None:
        """Signal the whole session of the process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, which)

    def reap(self) -> int:
        """After the exit: collect the status and close the descriptors."""
        status = self.process.wait()
        os.close(self.exit_fd)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


def start(command: Command, environment: Mapping[str, str] | None = None) -> Child:
    """Start a command in a session of its own; it dies when this thread's process dies."""
    argv = [sys.executable, "-I", "-S", _BOUND_EXEC, str(os.getpid()), *command.argv]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=dict(os.environ if environment is None else environment, PYTHONUNBUFFERED="1"),
    )
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    return Child(command, process, process.stdout.fileno(), os.pidfd_open(process.pid))


def exit_text(status: int) -> str:
    """`exit status 3` or `killed by SIGSEGV`."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _parameter_text(value: ParameterValue) -> str:
    """A parameter as YAML that reads back with the same type (JSON scalars are YAML scalars)."""
    return json.dumps(value)


def executable_argv(package: str, executable: str) -> tuple[str, ...]:
    """How to start a node: its installed executable, or its module where the package is only importable."""
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        candidate = Path(prefix) / "lib" / package / executable
        if prefix and os.access(candidate, os.X_OK):
            return (str(candidate),)
    try:
        found = importlib.util.find_spec(f"{package}.{executable}")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise DexpieError(f"{package}/{executable}: not built; run 'make setup' and start through ./dexpie")
    return (sys.executable, "-m", f"{package}.{executable}")


def node_command(spec: NodeSpec, parameter_files: Sequence[Path]) -> Command:
    """The command line that starts a node of the graph, as `ros2 run` and launch would."""
    executable = executable_argv(spec.package, spec.executable)
    if not spec.is_node:
        return Command(spec.name, (*executable, *spec.arguments), spec.required, spec.awaited, serves=True)
    arguments = ["--ros-args", "-r", f"__node:={spec.name}"]
    for path in parameter_files:
        arguments += ["--params-file", str(path)]
    for key, value in spec.parameters:
        arguments += ["-p", f"{key}:={_parameter_text(value)}"]
    return Command(spec.name, (*executable, *arguments), spec.required, spec.awaited)
