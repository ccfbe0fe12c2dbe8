"""The real simulated graph becomes ready; neither a kill nor Ctrl-C leaves a process or half a bag."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_nodes import wait_gone

from dexpie.graph import GraphOptions, build_graph
from dexpie.processes import executable_argv
from dexpie_core.errors import DexpieError

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(120)]


def _unbuilt() -> str:
    """Why the graph cannot be started here; empty where it can."""
    if not any(
        (Path(p) / "share/rclpy").is_dir() for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":")
    ):
        return "no ROS 2 underlay on AMENT_PREFIX_PATH (start through make test)"
    try:
        for node in build_graph(GraphOptions()):
            executable_argv(node.package, node.executable)
    except DexpieError as error:
        return str(error)
    return ""


if reason := _unbuilt():
    pytest.skip(reason, allow_module_level=True)


class Cli:
    """`dexpie ...` as a process of its own, whose descendants are known by a mark in their environment."""

    def __init__(self, *arguments: str) -> None:
        self.mark = f"DEXPIE_TEST_MARK={uuid.uuid4()}"
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dexpie", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, name: value, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
        )  # fmt: skip
        self.text = ""

    def read_until(self, text: str) -> None:
        """Await a line that holds `text`."""
        assert self.process.stdout is not None
        while text not in self.text:
            line = self.process.stdout.readline()
            assert line, f"ended before {text!r}:\n{self.text}"
            self.text += line

    def finish(self, timeout_s: float = 60.0) -> int:
        """Await the end; the exit status."""
        out, _ = self.process.communicate(timeout=timeout_s)
        self.text += out
        return self.process.returncode

    def processes(self) -> dict[int, str]:
        """Command lines of the living processes that this one started, itself left out."""
        found: dict[int, str] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                marked = self.mark.encode() in (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if marked and command and int(folder.name) != self.process.pid:
                found[int(folder.name)] = command
        return found

    def pid_of(self, node: str) -> int:
        """Process id of a node."""
        return next(pid for pid, command in self.processes().items() if f"__node:={node} " in command)

    def close(self) -> None:
        """Whatever the test did, leave nothing."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.finish()


@pytest.fixture
def started() -> Iterator[list[Cli]]:
    runs: list[Cli] = []
    yield runs
    for run in runs:
        run.close()


def test_up_gets_ready_and_ends_by_itself(started: list[Cli]) -> None:
    up = Cli("up", "--task", "bottle", "--duration", "0.5")
    started.append(up)
    assert up.finish() == 0, up.text
    assert "6/6 ready" in up.text
    assert up.text.rstrip().endswith("stopped (after 0.5 s), no process left")
    assert up.processes() == {}


@pytest.mark.parametrize("moment", ["0/6 ready", "2/6 ready", "nodes ready after"])
def test_ctrl_c_at_any_moment_leaves_no_process(started: list[Cli], moment: str) -> None:
    up = Cli("up", "--task", "bottle")
    started.append(up)
    up.read_until(moment)
    up.process.send_signal(signal.SIGINT)
    assert up.finish() == 0, up.text
    assert "stopped (SIGINT), no process left" in up.text
    assert "Traceback" not in up.text
    assert up.processes() == {}


def test_a_killed_recorder_takes_the_graph_down_and_leaves_a_whole_bag(
    started: list[Cli], tmp_path: Path
) -> None:
    from dexpie.episodes import recorded_episodes

    run = Cli("collect", "--task", "bottle", "--out", str(tmp_path / "bags"), "--episodes", "1")
    started.append(run)
    run.read_until("seed 0: recording")
    os.kill(run.pid_of("episode_manager"), signal.SIGKILL)
    assert run.finish() == 1, run.text
    assert re.search(
        r"^dexpie: episode_manager ended \(killed by SIGKILL\): .*; the graph is stopped$", run.text, re.M
    )
    assert run.processes() == {}
    assert [path.name for path in (tmp_path / "bags").iterdir()] in ([], [".trash"])
    kept = recorded_episodes(tmp_path / "bags" / ".trash")
    assert {episode.outcome for episode in kept} <= {"discard"}


def test_a_killed_supervisor_takes_its_nodes_with_it(started: list[Cli]) -> None:
    up = Cli("up", "--task", "bottle")
    started.append(up)
    up.read_until("0/6 ready")
    pids = list(up.processes())
    up.process.kill()
    assert len(pids) >= 6
    assert all(wait_gone(pid) for pid in pids)
