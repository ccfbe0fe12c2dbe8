"""`dexpie evaluate`: paired initial states, interruption and resumption, and how far a trial comes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from dexpie import cli, lockstep
from dexpie.commands import evaluate as command
from dexpie.lockstep import LockstepOptions, LockstepResult
from dexpie_training.checkpoint import FORMAT, META_FILE, VERSION


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """What is read of the checkpoint of a bottle policy before it runs; no weights."""
    folder = tmp_path / "run"
    folder.mkdir()
    meta = {"format": FORMAT, "version": VERSION, "step": 1, "method": "bc", "model_sha256": "0" * 64}
    (folder / META_FILE).write_text(json.dumps({**meta, "config": {}, "dataset": {"task": "bottle"}}))
    return folder


class FakeCell:
    """Stands for the worker processes: seeds that end in 3 succeed; interrupted after so many trials."""

    def __init__(self) -> None:
        self.asked: list[tuple[LockstepOptions, list[int]]] = []
        self.interrupt_after: int | None = None

    def __call__(
        self, options: LockstepOptions, seeds: Sequence[int], workers: int
    ) -> Iterator[LockstepResult]:
        self.asked.append((options, list(seeds)))
        for done, seed in enumerate(reversed(seeds)):  # results come in any order
            if done == self.interrupt_after:
                raise KeyboardInterrupt
            ok = seed % 10 == 3
            start = {"bottle.x": seed / 1e5, "y": 0.01 if options.positions == "train" else 0.02}
            yield LockstepResult(seed, "success" if ok else "failure", "", 100, 4.0, 4 if ok else 1, start)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> FakeCell:
    fake = FakeCell()
    monkeypatch.setattr(command, "run_lockstep", fake)
    return fake


def run(policy: Path, more: str) -> int:
    return cli.run(f"evaluate --policy {policy} --task bottle {more}".split())


def test_report_and_summary(policy: Path, cell: FakeCell, capsys: pytest.CaptureFixture[str]) -> None:
    out = policy.parent / "e.json"
    assert (
        run(
            policy,
            f"--out {out} --trials 20 --inference sync --latency 130 --positions held_out --guidance 2",
        )
        == 0
    )
    options, seeds = cell.asked[0]
    assert seeds == list(range(10000, 10020))
    assert (options.synchronous, options.latency_ticks, options.positions) == (True, 4, "held_out")
    assert options.guidance == 2.0 and options.policy == str(policy)
    content = json.loads(out.read_text())
    assert content["successes"] == 2 and content["settings"]["latency_ms"] == 160.0
    assert content["reached"] == {"reach": 20, "carry": 20, "lower": 2, "leave": 2, "success": 2}
    said = capsys.readouterr().out
    assert "bottle: 2 of 20 succeeded, 10 % (95 % interval 3 to 30 %), 4.0 s a trial on average" in said
    assert sorted(p.name for p in policy.parent.iterdir()) == ["e.json", "run"]


def test_an_interrupted_evaluation_goes_on(
    policy: Path, cell: FakeCell, capsys: pytest.CaptureFixture[str]
) -> None:
    out = policy.parent / "e.json"
    cell.interrupt_after = 5
    assert run(policy, f"--out {out} --trials 12") == 130
    assert f"5 of 12 trials are kept in {out}.partial; the same command goes on" in capsys.readouterr().err
    assert not out.exists()
    assert run(policy, f"--out {out} --trials 12 --latency 400") == 2
    assert "an interrupted evaluation with another latency_ms" in capsys.readouterr().err
    assert run(policy, f"--out {out} --trials 4") == 2
    assert "an interrupted evaluation with another seeds" in capsys.readouterr().err
    cell.interrupt_after = None
    assert run(policy, f"--out {out} --trials 12") == 0
    assert [seeds for _, seeds in cell.asked] == [list(range(10000, 10012)), list(range(10000, 10007))]
    assert [r["seed"] for r in json.loads(out.read_text())["results"]] == list(range(10000, 10012))
    assert not Path(f"{out}.partial").exists()


def test_beside_another_report_the_initial_states_are_its(
    policy: Path, cell: FakeCell, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = policy.parent / "first.json", policy.parent / "second.json"
    assert run(policy, f"--out {first} --trials 4 --seed 7 --positions held_out") == 0
    capsys.readouterr()
    assert run(policy, f"--out {second} --inference sync --beside {first}") == 0
    assert "second - first: +0 points (95 % interval" in capsys.readouterr().out
    assert cell.asked[1][1] == [7, 8, 9, 10] and cell.asked[1][0].positions == "held_out"
    hashes = {json.loads(path.read_text())["starts_sha256"] for path in (first, second)}
    assert len(hashes) == 1
    for more, said in (
        (f"--beside {first} --seed 3", "--seed: is that of --beside"),
        (f"--beside {policy / META_FILE}", "is no report of `dexpie evaluate`"),
        ("--guidance -1", "--guidance -1: must be 0 or more"),
        ("--beside missing.json", "missing.json: cannot be read"),
    ):
        assert run(policy, f"--out {policy.parent}/x.json {more}") == 2
        assert said in capsys.readouterr().err
    assert len(cell.asked) == 2


def test_comparing_reports_prints_tables_and_refuses_what_is_not_paired(
    policy: Path, cell: FakeCell, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = policy.parent
    for name, more in (("a", ""), ("b", "--latency 400"), ("c", "--seed 1"), ("d", "--positions held_out")):
        assert run(policy, f"--out {folder}/{name}.json --trials 10 {more}") == 0
    capsys.readouterr()
    assert cli.run(f"plot compare {folder}/a.json {folder}/b.json --out {folder}/p.png".split()) == 0
    said = capsys.readouterr().out
    assert "b - a" in said and "trials that began" in said and f"picture: {folder}/p.png" in said
    for other in ("c", "d"):
        arguments = f"plot compare {folder}/a.json {folder}/{other}.json --out {folder}/q.png"
        assert cli.run(arguments.split()) == 2
        assert f"{other} and a are not paired" in capsys.readouterr().err
    assert not (folder / "q.png").exists()


def test_a_trial_is_watched_from_its_start_to_the_furthest_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's demonstration comes to its end; cut off after a second it is still reaching."""
    monkeypatch.setattr(lockstep, "_worker", {})
    whole, cut, again = (_demonstrate(limit_s) for limit_s in (None, 1.0, 1.0))
    steps = lockstep.task_steps("bottle")
    assert steps == ("reach", "carry", "lower", "leave")
    assert (whole.outcome, whole.reached) == ("success", len(steps))
    assert (cut.outcome, cut.reached, cut.steps) == ("failure", 0, 25)
    assert whole.start == cut.start == again.start
    assert whole.start["bottle.x"] == round(whole.start["bottle.x"], 5) != 0.0
    assert _demonstrate(0.04, seed=1).start != whole.start


def _demonstrate(limit_s: float | None, seed: int = 0) -> LockstepResult:
    lockstep._prepare(LockstepOptions(limit_s=limit_s))
    return lockstep._run_seed(seed)


def test_the_furthest_step_stays_when_it_is_undone() -> None:
    watch = lockstep._Watch("bottle")
    watch._rules = SimpleNamespace(
        steps=("a", "b", "c"), standing=lambda scene, *_: SimpleNamespace(step=scene.step)
    )
    for step in (0, 1, 0):
        scene = SimpleNamespace(names=("x",), values=(0.123456,), success=False, step=step)
        watch(SimpleNamespace(scene=scene, state=SimpleNamespace(tcp_T=None, hand=None)))
    assert watch.reached == 1 and watch.start == {"x": 0.12346}
