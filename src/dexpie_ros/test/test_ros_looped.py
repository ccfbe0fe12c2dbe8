"""The fixed-rate loop, polled subscriptions, and how a looped node lives and dies."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from std_msgs.msg import Float64MultiArray

from dexpie_core import topics
from dexpie_ros.loop import RateLoop
from dexpie_ros.testing import NodeProcess, Peer, await_true

pytestmark = pytest.mark.realtime

NODE = Path(__file__).parent / "looped_node_for_tests.py"


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


def test_the_loop_never_runs_early_and_keeps_to_its_schedule() -> None:
    starts: list[float] = []

    def work() -> None:
        starts.append(time.monotonic())
        if len(starts) == 20:
            loop.stop()

    loop = RateLoop(200.0, work)
    begun = time.monotonic()
    loop.run()
    assert loop.cycles == len(starts) == 20
    for k, start in enumerate(starts):
        assert start >= begun + k / 200.0 - 1e-4  # never early, however late the one before was


def test_times_that_have_passed_are_skipped_and_counted() -> None:
    def work() -> None:
        if loop.cycles == 0:
            time.sleep(0.055)
        else:
            loop.stop()

    loop = RateLoop(100.0, work)
    begun = time.monotonic()
    loop.run()
    assert loop.cycles == 2
    assert loop.overruns >= 4
    assert time.monotonic() - begun >= 0.055
    assert loop.timing().period_max_ms >= 50.0


def test_a_loop_that_has_not_run_has_no_timing() -> None:
    assert RateLoop(10.0, lambda: None).timing().period_p99_ms == 0.0


def test_polled_subscriptions_keep_the_order_and_the_newest(peer: Peer) -> None:
    first, second = peer.listen(topics.SIM_QPOS), peer.listen(topics.SIM_QPOS)
    publisher = peer.advertise(topics.SIM_QPOS)
    await_true(lambda: publisher.get_subscription_count() == 2 and first.publishers == 1, "the match")
    assert first.newest() is None
    for k in range(5):
        publisher.publish(Float64MultiArray(data=[float(k)]))
    found = peer.collect(first, lambda messages: len(messages) == 5)
    assert [m.data[0] for m in found] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert first.latest is not None and first.latest.received_ns >= first.latest.sent_ns > 0
    newest: list[float] = []

    def arrived() -> bool:
        taken = second.newest()
        newest.extend([taken.message.data[0]] if taken else [])
        return bool(newest) and newest[-1] == 4.0

    await_true(arrived, "the newest message")
    assert second.newest() is None


def test_a_looped_node_steps_reports_and_stops(peer: Peer, tmp_path: Path) -> None:
    diagnostics = peer.listen(topics.DIAGNOSTICS)
    with NodeProcess(NODE, tmp_path / "log") as node:
        found = peer.collect(diagnostics, lambda messages: len(messages) >= 1)
        assert node.stop() == 0
    status = found[-1].status[0]
    assert (status.name, status.level, status.message) == ("looped", b"\0", "stepping")
    assert int({v.key: v.value for v in status.values}["steps"]) > 10
    assert "finished after" in node.log.read_text()
    assert "[looped] loop:" in node.log.read_text()


def test_an_error_in_a_step_ends_the_node_with_its_message(tmp_path: Path) -> None:
    with NodeProcess(NODE, tmp_path / "log", {"fail": True}) as node:
        assert node.wait() == 1
    lines = node.log.read_text().splitlines()
    assert lines[-1] == "looped: the tenth step failed"
    assert "finished after 10 steps" in lines
