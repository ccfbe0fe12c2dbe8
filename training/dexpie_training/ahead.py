"""What the next step needs, made by a thread while this step is computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """`make(step)` for successive steps, each made while its predecessor is in use."""

    def __init__(self, make: Callable[[int], T]) -> None:
        self._make = make
        self._pool = ThreadPoolExecutor(1, "ahead")
        self._next: tuple[int, Future[T]] | None = None

    def __call__(self, step: int) -> T:
        ahead, self._next = self._next, None
        future = self._pool.submit(self._make, step) if ahead is None or ahead[0] != step else ahead[1]
        made = future.result()
        self._next = (step + 1, self._pool.submit(self._make, step + 1))
        return made

    def close(self) -> None:
        """End the thread; what it is making is not wanted any more."""
        self._pool.shutdown(cancel_futures=True)
