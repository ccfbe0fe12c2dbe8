"""Experiments: order and keys of the steps, and a runner that takes up what was interrupted."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_steps import program

from dexpie.experiments import starting
from dexpie.experiments.budgets import budget
from dexpie.experiments.pipelines import Experiment
from dexpie.experiments.runner import Runner
from dexpie.experiments.steps import Step, keys, makespan_s, ready
from dexpie_bags.durable import lock_folder
from dexpie_core.errors import DexpieError, UsageError
from dexpie_ros.testing import await_true

pytestmark = pytest.mark.processes
LIGHT = ("dexpie.experiments.bonded",)  # the fake steps need none of the heavy imports


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "PRELOADED", LIGHT)


A = Step("a", ("make", "--out", "{out}"), estimate_s=2.0)
B = Step("b", ("use", "{a}", "--out", "{out}"), estimate_s=3.0)
C = Step("c", ("use", "{a}", "more", "--out", "{out}"), estimate_s=4.0)
D = Step("d", ("join", "{b}", "--out", "{out}"), after=("c",), estimate_s=1.0)


def test_what_a_step_needs_comes_first_and_time_adds_up_along_the_longest_way() -> None:
    steps = (A, B, C, D)
    assert [s.name for s in ready(steps, (), ())] == ["a"]
    assert [s.name for s in ready(steps, {"a"}, {"b"})] == ["c"]
    assert ready(steps, {"a", "b"}, {"c"}) == []
    assert makespan_s(steps, (), 2) == 2.0 + 4.0 + 1.0 and makespan_s(steps, (), 1) == 10.0
    assert makespan_s(steps, {"a", "c"}, 2) == 4.0
    with pytest.raises(DexpieError, match="step b stands before a"):
        keys((B, A), "1")


def test_a_key_changes_with_arguments_inputs_and_code_alone() -> None:
    plain = keys((A, B, C, D), "1")
    assert keys((A, C, B, D), "1") == plain and len(set(plain.values())) == 4
    other = keys((Step("a", ("make", "--seed", "1", "--out", "{out}")), B, C, D), "1")
    assert all(other[name] != plain[name] for name in "abcd")
    elsewhere = keys((A, Step("b", (*B.arguments, "x")), C, D), "1")
    assert [name for name in "abcd" if elsewhere[name] != plain[name]] == ["b", "d"]
    assert not set(keys((A,), "2").values()) & set(plain.values())


@pytest.mark.parametrize("name", ["improvement", "async", "staged"])
def test_every_experiment_ends_in_a_report_of_every_arm(name: str) -> None:
    experiment = Experiment(name, "drawer", budget("smoke", "drawer"), seeds=2, iterations=3)  # type: ignore[arg-type]
    steps = experiment.steps()
    found = keys(steps, "1")
    assert len(found) == len(steps)
    assert all(experiment.report(arm, seed) in found for arm in experiment.arms for seed in (0, 1))
    unknown = [
        s.name for s in steps if "{" in " ".join(s.arguments).replace("{out}", "") and not s.inputs(found)
    ]
    assert unknown == []


def test_arms_differ_in_what_is_compared_and_in_nothing_else() -> None:
    by_name = {s.name: s for s in Experiment("async", "lid", budget("cpu", "lid"), 1).steps()}
    sync, asynchronous = by_name["rollouts-sync.0"].arguments, by_name["rollouts-async.0"].arguments
    assert [(a, b) for a, b in zip(sync, asynchronous, strict=True) if a != b] == [("sync", "async")]
    evaluations = [by_name[f"evaluate.{arm}.0"].arguments for arm in ("sync", "async")]
    assert [word for word in evaluations[0] if word not in evaluations[1]] == ["{sync.0}"]
    by_name = {s.name: s for s in Experiment("staged", "lid", budget("cpu", "lid"), 1).steps()}
    initial, staged = by_name["rollouts-initial.0"].arguments, by_name["rollouts-staged.0"].arguments
    assert [(a, b) for a, b in zip(initial, staged, strict=True) if a != b] == [("initial", "staged")]


def test_replicates_and_rounds_start_from_states_of_their_own() -> None:
    steps = Experiment("improvement", "bottle", budget("cpu", "bottle"), 3, iterations=2).steps()
    first = [
        int(s.arguments[s.arguments.index("--seed") + 1]) for s in steps if s.name.startswith("rollouts")
    ]
    assert (
        len(set(first)) == 6
        and min(b - a for a, b in zip(sorted(first), sorted(first)[1:], strict=False)) >= 61
    )
    assert all(1000 <= seed < 10_000 - 61 for seed in first)  # clear of demonstrations and evaluations


@pytest.mark.parametrize("positions", ["train", "held_out"])
def test_policies_are_tried_where_they_were_deployed_and_demonstrated_in_the_range(positions: str) -> None:
    sizes = budget("cpu", "bottle")
    steps = Experiment("improvement", "bottle", sizes, 1, positions=positions).steps()  # type: ignore[arg-type]
    asked = {
        s.name: s.arguments[s.arguments.index("--positions") + 1]
        for s in steps
        if "--positions" in s.arguments
    }
    arms = ("bc", "hg-dagger", "recap", "dexpie")
    assert asked == dict.fromkeys(["rollouts.0", *(f"evaluate.{arm}.0" for arm in arms)], positions)


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UsageError, match="--task cup: not a choice; choose from bottle, drawer, lid"):
        budget("cpu", "cup")


def runner(out: Path, *steps: Step, code: str = "1") -> Runner:
    return Runner(out, steps, code, 2, program, io.StringIO())


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    first = runner(tmp_path, A, B, C, D)
    first.run()
    again = runner(tmp_path, A, B, C, D)
    assert again.estimate_s() == 0.0
    again.run()
    assert all(Path(place + ".calls").read_text() == "x" for place in again.places.values())
    assert Path(again.places["d"]).read_text().split()[:2] == ["join", again.places["b"]]
    assert runner(tmp_path, A, B, C, D, code="2").done() == set()


def test_a_step_that_fails_is_named_with_its_last_words_and_those_before_it_stay(tmp_path: Path) -> None:
    broken = Step("b", ("use", "{a}", "fail", "--out", "{out}"))
    with pytest.raises(DexpieError, match=r"step b ended \(exit status 1\): this one fails \(log: .*\.log\)"):
        runner(tmp_path, A, broken).run()
    assert runner(tmp_path, A, broken).done() == {"a"}


def test_two_steps_of_one_content_are_refused_and_one_step_in_two_plans_is_made_once(tmp_path: Path) -> None:
    twin = Step("twin", B.arguments)
    with pytest.raises(DexpieError, match="step twin does the same as another step of the plan"):
        keys((A, B, twin), "1")
    runner(tmp_path, A, B).run()
    assert runner(tmp_path, A, twin).done() == {"a", "twin"}


def test_an_output_that_was_removed_is_made_again(tmp_path: Path) -> None:
    first = runner(tmp_path, A, B)
    first.run()
    Path(first.places["b"]).unlink()
    assert runner(tmp_path, A, B).done() == {"a"}


def test_two_runners_do_not_work_in_one_folder(tmp_path: Path) -> None:
    waiting = runner(tmp_path, A)
    (tmp_path / "steps").mkdir()
    held = lock_folder(tmp_path / "steps")
    assert held is not None
    with pytest.raises(DexpieError, match="another program runs an experiment here"):
        waiting.run()
    os.close(held)
    waiting.run()


HANGING = Step("b", ("use", "{a}", "hang", "--out", "{out}"))
SCRIPT = """
import pathlib, sys
sys.path.insert(0, sys.argv[2])
import test_experiments as t
t.starting.PRELOADED = t.LIGHT
if __name__ == "__main__":
    t.runner(pathlib.Path(sys.argv[1]), t.A, t.HANGING).run()
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_experiment_leaves_no_process_and_goes_on_where_it_was(
    tmp_path: Path, how: signal.Signals
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    arguments = [sys.executable, str(script), str(tmp_path), str(Path(__file__).parent)]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE)
    log = Path(runner(tmp_path, A, HANGING).places["b"] + ".log")

    def under_way() -> bool:
        return process.poll() is not None or (log.exists() and b"hanging" in log.read_bytes())

    await_true(under_way, "the step", 60.0)
    assert process.poll() is None, process.stderr.read().decode()  # type: ignore[union-attr]
    step = int(log.read_text().split()[1])
    process.send_signal(how)
    process.communicate(timeout=60)
    await_true(lambda: not Path(f"/proc/{step}").exists(), "the end of the step", 60.0)
    resumed = runner(tmp_path, A, HANGING)
    assert resumed.done() == {"a"}
    resumed.run()
    assert Path(resumed.places["a"] + ".calls").read_text() == "x"
    assert Path(resumed.places["b"] + ".calls").read_text() == "xx"
