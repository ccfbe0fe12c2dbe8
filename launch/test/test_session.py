"""A session with a person, against a graph that only answers: prompts, judgement, and the ways out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from fake_graph import FakeGraph

from dexpie.session import Session
from dexpie.session_records import SessionOptions
from dexpie_core.collection import Phase
from dexpie_core.modes import Mode
from dexpie_core.topics import (
    COLLECTION_CONTINUE_SERVICE,
    COLLECTION_NEXT_STAGE_SERVICE,
    COLLECTION_STOP_SERVICE,
)
from dexpie_ros.own_domain import own_domain

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]
STAGED = SessionOptions(
    "bags", "bottle", "rollout", ("initial", "grasped"), 4, 0, True, "bc-1", "held_out", "human"
)


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeGraph]:
    monkeypatch.chdir(tmp_path)
    rclpy.init(args=[], domain_id=own_domain())
    with FakeGraph() as graph:
        yield graph
    rclpy.shutdown()


class Running:
    """A session in a thread; joined at the end of the `with` block."""

    def __init__(self, options: SessionOptions) -> None:
        self.session = Session(options)
        self._thread = threading.Thread(target=self.session.run, daemon=True)

    def __enter__(self) -> Session:
        self._thread.start()
        return self.session

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._thread.join(20.0)
            assert not self._thread.is_alive(), "the session goes on"
        self.session.close()


def test_a_person_prepares_judges_and_stops(graph: FakeGraph, capsys: pytest.CaptureFixture[str]) -> None:
    with Running(STAGED) as session:
        graph.await_phase(Phase.WAITING, lambda s: (s.stage, s.seed, s.wanted) == ("initial", 0, 4))
        assert graph.press(COLLECTION_CONTINUE_SERVICE) == (True, "going on")
        graph.await_phase(Phase.ATTEMPT)
        assert graph.press(COLLECTION_CONTINUE_SERVICE)[0] is False
        graph.judge("failure")
        status = graph.await_phase(Phase.WAITING, lambda s: s.pair_id == "e0")
        assert (status.stage, status.seed, list(status.stage_attempts)) == ("initial", 0, [1, 0])

        graph.refuse_autonomy = "no chunk of the policy"
        graph.press(COLLECTION_CONTINUE_SERVICE)
        graph.await_phase(Phase.WAITING, lambda s: len(graph.ends) == 2)
        graph.press(COLLECTION_CONTINUE_SERVICE)
        graph.await_phase(Phase.CORRECTION, lambda s: s.pair_id == "e0")
        graph.judge("success")

        graph.await_phase(Phase.WAITING, lambda s: s.seed == 1 and s.stage == "grasped")
        assert graph.press(COLLECTION_NEXT_STAGE_SERVICE) == (
            False, "no other stage than grasped wants episodes",
        )  # fmt: skip
        graph.press(COLLECTION_CONTINUE_SERVICE)
        graph.await_phase(Phase.ATTEMPT)
        assert graph.press(COLLECTION_STOP_SERVICE) == (True, "stopping after this episode")
        graph.judge("success")
    assert [(s.stage, s.seed, s.operator, s.pair_id) for s in graph.starts] == [
        ("initial", 0, "", ""),
        ("initial", 0, "human", "e0"),
        ("initial", 0, "human", "e0"),
        ("grasped", 1, "", ""),
    ]
    assert {s.positions for s in graph.starts} == {"held_out"}
    assert graph.ends == ["failure", "discard", "success", "success"]
    assert [call for call in graph.calls if call.startswith("reset")] == [
        "reset initial 0", "reset initial 0", "reset initial 0", "reset grasped 1",
    ]  # fmt: skip
    assert session.desk.count == 3
    assert "no chunk of the policy" in (said := capsys.readouterr().out)
    assert "stopped by the operator after 3 episodes" in said


def test_at_the_real_cell_nothing_is_reset_and_a_fault_is_cleared_first(graph: FakeGraph) -> None:
    options = SessionOptions(
        "bags", "bottle", "demonstration", ("initial", "grasped"), 1, 0, False,
        operator="human", simulated=False,
    )  # fmt: skip
    with Running(options):
        graph.await_phase(Phase.WAITING, lambda s: "bring robot and objects" in s.prompt)
        graph.announce(Mode.FAULT, "protective stop")
        graph.await_phase(Phase.WAITING)
        while "protective stop" not in graph.status.prompt:
            graph.press(COLLECTION_CONTINUE_SERVICE)
        graph.announce(Mode.IDLE, "recovered")
        while graph.status.phase != Phase.ATTEMPT:
            graph.press(COLLECTION_CONTINUE_SERVICE)
        graph.judge("success")
        graph.await_phase(Phase.FINISHED)
    assert [(s.operator, s.positions) for s in graph.starts] == [("human", "")]
    assert not any(call.startswith("reset") or call == "AUTONOMOUS" for call in graph.calls)
