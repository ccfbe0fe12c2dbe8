"""Several cells at once, each in a process of its own."""

import multiprocessing
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import AsyncState

from dexpie_sim.environment.cell_environment import CellEnvironment
from dexpie_sim.environment.config import EnvironmentConfig

_START = "forkserver"  # a plain fork would share the OpenGL context and the threads of the caller


class WorkerDied(RuntimeError):
    """A process of the vectorised environment is gone; the others have been stopped."""


class CellVector(AsyncVectorEnv):
    """gymnasium's `AsyncVectorEnv`; where one process fails, all are stopped and the error says so.

    A process that was killed raises WorkerDied, an error inside a cell is raised as it is.
    """

    def reset_async(self, *args: Any, **kwargs: Any) -> None:
        """As in gymnasium."""
        self._guarded(super().reset_async, *args, **kwargs)

    def reset_wait(self, *args: Any, **kwargs: Any) -> Any:
        """As in gymnasium."""
        return self._guarded(super().reset_wait, *args, **kwargs)

    def step_async(self, *args: Any, **kwargs: Any) -> None:
        """As in gymnasium."""
        self._guarded(super().step_async, *args, **kwargs)

    def step_wait(self, *args: Any, **kwargs: Any) -> Any:
        """As in gymnasium."""
        return self._guarded(super().step_wait, *args, **kwargs)

    def _guarded(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except (EOFError, ConnectionError):
            wait([process.sentinel for process in self.processes], timeout=1.0)
            dead = [
                f"{process.name} (process {process.pid}, exit status {process.exitcode})"
                for process in self.processes
                if not process.is_alive()
            ]
            self._stop()
            raise WorkerDied(f"{', '.join(dead)} died; the others were stopped: make a new vector") from None
        except Exception:
            if any(pipe is None for pipe in self.parent_pipes):  # gymnasium gave up the worker that failed
                self._stop()
            raise

    def _stop(self) -> None:
        self._state = AsyncState.DEFAULT  # otherwise closing waits for the answers of the dead
        self.close(terminate=True)


def make_vector(
    task: str, workers: int, autoreset: AutoresetMode = AutoresetMode.NEXT_STEP, **settings: Any
) -> CellVector:
    """`workers` cells of one task in processes of their own; settings are fields of `EnvironmentConfig`.

    `reset(seed=k)` gives cell i the seed k + i. An ended cell is reset by the next step, whose action it
    ignores (gymnasium's NEXT_STEP), with a seed drawn from its own generator, unless `autoreset` says
    otherwise. Observations are batched in shared memory. As wherever processes are spawned, a script guards
    its main part by `if __name__ == "__main__":`.
    """
    multiprocessing.get_context(_START).set_forkserver_preload([__package__])
    make = partial(CellEnvironment, EnvironmentConfig(task=task, **settings))
    return CellVector([make] * workers, context=_START, autoreset_mode=autoreset)
