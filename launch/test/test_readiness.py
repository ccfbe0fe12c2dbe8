"""Readiness bookkeeping and the console's line handling."""

import io

from dexpie.console import Console, LineBuffer
from dexpie.readiness import Readiness


def test_line_counts_and_names_the_waited_for() -> None:
    readiness = Readiness(("executor", "policy_inference"))
    assert readiness.line() == "0/2 ready, waiting for executor, policy_inference"
    assert readiness.heard("executor", 0, "ticking")
    assert not readiness.heard("executor", 0, "ticking"), "only the first OK makes it ready"
    assert not readiness.heard("policy_inference", 1, "loading")
    assert readiness.line() == "1/2 ready, waiting for policy_inference (WARN loading)"
    readiness.heard("/policy_inference: model", 0, "")
    assert readiness.complete
    assert readiness.line() == "2/2 ready"


def test_a_stranger_is_not_counted() -> None:
    readiness = Readiness(("executor",))
    assert not readiness.heard("rviz", 0, "")
    assert not readiness.complete


def test_a_later_error_does_not_take_readiness_back() -> None:
    readiness = Readiness(("executor",))
    readiness.heard("executor", 0, "")
    readiness.heard("executor", 2, "stale state")
    assert readiness.complete


def test_lines_are_cut_at_newlines_wherever_the_reads_fall() -> None:
    buffer = LineBuffer()
    assert buffer.feed(b"one\ntw") == ["one"]
    assert buffer.feed(b"o\n\nthr") == ["two", ""]
    assert buffer.feed(b"") == ["thr"]
    assert buffer.last_line == "thr"
    assert list(buffer.last) == ["one", "two", "thr"], "empty lines are no last words"


def test_bytes_that_are_not_utf8_do_no_harm() -> None:
    assert LineBuffer().feed(b"\xff\xfe ok\n") == ["�� ok"]


def test_prefix_is_padded_to_the_longest_name() -> None:
    stream = io.StringIO()
    console = Console(stream)
    console.register("executor")
    console.register("sim_cell")
    console.register("a")
    console.node_line("a", "hello")
    assert stream.getvalue() == "a        | hello\n"


def test_without_a_terminal_each_change_of_the_live_line_is_one_line() -> None:
    stream = io.StringIO()
    console = Console(stream)
    for line in ("1/2", "1/2", "2/2", ""):
        console.live(line)
    assert stream.getvalue() == "1/2\n2/2\n"
