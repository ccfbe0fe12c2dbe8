"""Domains that processes keep for themselves: no two are the same, and the end of a process frees its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from dexpie_ros.own_domain import own_domain

pytestmark = pytest.mark.processes

KEEP = "from dexpie_ros.own_domain import own_domain; print(own_domain(), flush=True); input()"
ONLY = "from dexpie_ros import own_domain as claims; claims._DOMAINS = range({0}, {0} + 1); "


def program(code: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture
def others() -> Iterator[list[subprocess.Popen[str]]]:
    processes = [program(KEEP) for _ in range(4)]
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def test_no_two_processes_have_the_same_domain_and_a_killed_one_leaves_its_own(
    others: list[subprocess.Popen[str]],
) -> None:
    domains = [int(process.stdout.readline()) for process in others if process.stdout is not None]
    assert len({own_domain(), *domains}) == 5
    assert all(1 <= domain <= 99 for domain in domains)
    assert own_domain() == own_domain()
    same = ONLY.format(domains[0]) + KEEP
    refused, _ = program(same).communicate("\n", timeout=30)
    assert f"all ROS domains from {domains[0]} to {domains[0]} are in use on this machine" in refused
    others[0].kill()
    others[0].wait()
    taken, _ = program(same).communicate("\n", timeout=30)
    assert taken == f"{domains[0]}\n"
