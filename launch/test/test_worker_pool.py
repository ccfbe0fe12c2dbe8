"""Worker processes: results, preparation once each, and a death that is told."""

from __future__ import annotations

import os
import signal

import pytest

from dexpie.worker_pool import check_cancelled, run_as_taken, run_in_workers
from dexpie_core.errors import DexpieError

pytestmark = pytest.mark.processes

_prepared: list[int] = []


def prepare(offset: int) -> None:
    _prepared.append(offset)


def add(item: int) -> tuple[int, int, int]:
    return item + _prepared[0], len(_prepared), os.getpid()


def refuse(item: int) -> int:
    raise DexpieError(f"episode {item} cannot be run")


def fail(offset: int) -> None:
    raise DexpieError(f"no policy {offset}")


def work_until_cancelled(item: int) -> int:
    if item == 0:
        return 0
    while True:
        check_cancelled()
        os.sched_yield()


def die(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_every_item_is_done_once_in_workers_that_are_prepared_once() -> None:
    results = list(run_in_workers(add, [1, 2, 3, 4, 5], prepare, (100,), workers=2))
    assert sorted(value for value, _, _ in results) == [101, 102, 103, 104, 105]
    assert {count for _, count, _ in results} == {1}
    assert os.getpid() not in {pid for _, _, pid in results}
    assert _prepared == [], "nothing was prepared in this process"


def test_nothing_to_do_starts_nothing() -> None:
    assert list(run_in_workers(add, [], prepare, (0,))) == []


def test_an_item_may_depend_on_the_results_before_it() -> None:
    results: list[int] = []
    most = 3

    def take() -> int | None:
        """The sum so far, once nothing else is under way."""
        waiting = len(taken) > len(results)
        if waiting or len(taken) == most:
            return None
        taken.append(1 + sum(results))
        return taken[-1]

    taken: list[int] = []
    for value, _, _ in run_as_taken(add, take, prepare, (10,), workers=2):
        results.append(value)
    assert taken == [1, 12, 34]
    assert results == [11, 22, 44]


def test_an_error_of_a_worker_arrives_as_it_is() -> None:
    with pytest.raises(DexpieError, match="episode 7 cannot be run"):
        list(run_in_workers(refuse, [7], prepare, (0,), workers=1))


def test_an_error_of_the_preparation_arrives_too() -> None:
    with pytest.raises(DexpieError, match="no policy 3"):
        list(run_in_workers(add, [1, 2], fail, (3,), workers=1))


def test_a_worker_that_dies_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(DexpieError, match="a worker process ended abruptly"):
        list(run_in_workers(die, [1, 2], prepare, (0,), workers=1))


def test_leaving_early_drops_the_work_in_hand_and_what_was_still_to_come() -> None:
    results = run_in_workers(work_until_cancelled, range(6), prepare, (0,), workers=1)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
