"""Wrong use of the command line: one line, the right exit status, nothing changed; and what --help shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dexpie import cli
from dexpie_core.errors import DexpieError, UsageError

WRONG_USE = [
    ("", "no command given; see: dexpie --help"),
    ("fly", "no command 'fly'; choose from up, collect, console"),
    ("train", "no command 'train' alone; choose from train "),
    ("plot nonsense", "no command 'plot nonsense'; choose from plot curve"),
    ("up", "--task is missing (see: dexpie up --help)"),
    ("up --task cup", "--task cup: no such task; choose from bottle, drawer, lid"),
    (
        "up --task bottle --hardware real --operator virtual",
        "--operator virtual: acts in the simulated cell only",
    ),
    (
        "collect --task bottle --out new --hardware real --operator virtual",
        "--operator virtual: acts in the simulated cell only",
    ),
    (
        "collect --task bottle --out new --hardware real --operator none --policy full",
        "--operator none: at the real cell a person judges",
    ),
    (
        "collect --task bottle --out new --operator human --lockstep",
        "--operator human: a person works in real time",
    ),
    ("collect --task bottle --out new --ready-timeout 0", "--ready-timeout 0: must be more than 0 s"),
    ("collect --task bottle --out new --operator none", "--operator none: nobody would demonstrate"),
    (
        "collect --task bottle --out new --stages all",
        "--stages all: not a choice; choose from initial, staged",
    ),
    ("collect --task bottle --out new --config missing", "missing: no such file; copy and edit"),
    (
        "collect --task bottle --out new --lockstep --hardware emulated",
        "--hardware emulated: runs on the ROS graph",
    ),
    ("up --task bottle --hardware toy", "--hardware toy: not a choice; choose from sim, emulated, real"),
    ("up --task bottle --duration x", "--duration"),
    ("up --task bottle --duration -3", "--duration -3: must be more than 0 s"),
    ("up --task bottle --duration nan", "--duration nan: must be more than 0 s"),
    ("up --task bottle --bogus 1", "--bogus"),
    ("up --task bottle --policy missing", "--policy"),
    ("up --task bottle --record a_file", "is a file; give a folder"),
    ("collect --task cup --out bags", "--task cup: no such task; choose from bottle, drawer, lid"),
    ("collect --task bottle --out bags --episodes 0", "--episodes 0: must be 1 or more"),
    ("collect --task bottle --out a_file", "--out a_file: is a file; give a folder"),
    (
        "collect --task bottle --out full",
        "--out full: holds something else than bags (precious); give another folder",
    ),
    (
        "collect --task bottle --out bags --inference maybe",
        "--inference maybe: not a choice; choose from async, sync",
    ),
    ("up --task bottle --policy full", "--policy"),
    ("collect --task bottle --out bags --policy full", "--policy full: not a run or checkpoint folder"),
    ("evaluate --policy full --task bottle --out e.json", "--policy full: not a run or checkpoint folder"),
    ("evaluate --policy full --task bottle --out a_file", "--out a_file exists already"),
    (
        "evaluate --policy full --task cup --out e.json",
        "--task cup: no such task; choose from bottle, drawer, lid",
    ),
    ("evaluate --policy full --task bottle --out e.json --trials 0", "--trials 0: must be 1 or more"),
    ("evaluate --policy full --task bottle --out e.json --latency -1", "--latency -1: must be between 0"),
    (
        "train actor --dataset missing --out run --steps 1 --epochs 1",
        "--steps and --epochs exclude each other",
    ),
    ("demo --out full", "--out full: holds something else than demos or experiments; choose another folder"),
    ("inspect missing", "missing: no such file or folder"),
    ("inspect full", "full: is no bag, folder of bags, dataset or training run"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one file and one folder that must not be touched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEXPIE_DEBUG", raising=False)
    (tmp_path / "a_file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("mine")
    return tmp_path


def tree(folder: Path) -> dict[str, str]:
    return {str(p): p.read_text() if p.is_file() else "" for p in sorted(folder.rglob("*"))}


@pytest.mark.parametrize(("arguments", "said"), WRONG_USE, ids=[row[0] or "nothing" for row in WRONG_USE])
def test_wrong_use_is_one_line_and_two_and_changes_nothing(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: str, said: str
) -> None:
    before = tree(place)
    assert cli.run(arguments.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("dexpie: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err
    assert tree(place) == before


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UsageError("--x 1: must be 2"), 2, "dexpie: --x 1: must be 2\n"),
        (DexpieError("the arm\nis out"), 1, "dexpie: the arm is out\n"),
        (KeyboardInterrupt(), 130, "dexpie: interrupted\n"),
        (ValueError("odd"), 1, "dexpie: unexpected ValueError: odd (run again with --debug to see where)\n"),
    ],
)
def test_errors_become_one_line_and_a_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    error: BaseException, status: int, said: str,
) -> None:  # fmt: skip
    def fail(_: object) -> int:
        raise error

    monkeypatch.delenv("DEXPIE_DEBUG", raising=False)
    monkeypatch.setattr(cli, "_call", fail)
    assert cli.run(["up"]) == status
    assert capsys.readouterr().err == said


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise DexpieError("the arm is out")

    monkeypatch.setattr(cli, "_call", fail)
    assert cli.run(["up", "--debug"]) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith("dexpie: the arm is out\n")


@pytest.mark.parametrize("command", [entry.name for entry in cli.COMMANDS])
def test_every_command_has_a_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert f"dexpie {command}" in out


def test_help_lists_the_commands_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom dexpie import cli\nassert cli.run(['--help']) == 0\n"
        "heavy = {'torch', 'mujoco', 'rclpy', 'numpy', 'tyro', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(entry.name in done.stdout for entry in cli.COMMANDS)
