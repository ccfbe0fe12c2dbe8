"""The benchmark runner: its lines, its file, its refusal. Figures are not tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

RUN = Path(__file__).parents[1] / "run.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(RUN), *arguments], capture_output=True, text=True, timeout=120)


def test_a_line_and_an_object_a_benchmark(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = run("--only", "executor_tick,prefix_re_reference", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["executor_tick", "prefix_re_reference"]
    alone, compared = json.loads(out.read_text())
    keys = {"name", "unit", "ours", "alternative", "theirs", "ratio", "details"}
    assert set(alone) == set(compared) == keys
    assert alone["alternative"] is None and alone["ratio"] is None
    assert compared["ratio"] == pytest.approx(compared["theirs"] / compared["ours"])
    document = out.with_suffix(".md").read_text()
    assert "| `executor_tick` |" in document and f"| {compared['ratio']:.2f} |" in document


def test_unknown_name_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = run("--only", "warp_drive", "--out", str(out))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "warp_drive" in done.stderr
    assert not out.exists()
