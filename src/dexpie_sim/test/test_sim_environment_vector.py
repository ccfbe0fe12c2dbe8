"""The environment in several processes: the same results, and no process outlives its reason."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dexpie_core.action_space import pack
from dexpie_sim.environment import CellEnvironment, WorkerDied, make_vector, to_observation

SETTINGS = {"images": True, "image_size": 16, "max_steps": 3}
PARENT = """
import time
from dexpie_sim.environment import make_vector
if __name__ == "__main__":
    vector = make_vector("bottle", 1)
    vector.reset(seed=0)
    print(*(process.pid for process in vector.processes), flush=True)
    time.sleep(300)
"""


def test_the_vector_equals_its_cells_and_a_dead_worker_is_an_error() -> None:
    vector = make_vector("bottle", 2, **SETTINGS)
    cells = [CellEnvironment(**SETTINGS) for _ in range(2)]
    batch, _ = vector.reset(seed=7)
    single = [cell.reset(seed=7 + i)[0] for i, cell in enumerate(cells)]
    for step in range(5):  # over the end of an episode and the reset after it
        for name in batch:
            np.testing.assert_array_equal(batch[name], np.stack([one[name] for one in single]), err_msg=name)
        actions = np.stack([pack(to_observation(one).tcp_T, one["hand"]) for one in single])
        batch, _, terminated, truncated, infos = vector.step(actions)
        assert not terminated.any()
        assert truncated.tolist() == [step == 2] * 2
        if step == 3:  # NEXT_STEP: the reset takes a step of its own
            single = [cell.reset()[0] for cell in cells]
        else:
            single = [cell.step(action)[0] for cell, action in zip(cells, actions, strict=True)]
    assert infos["ticks"].tolist() == [1, 1]
    victim, other = vector.processes
    os.kill(victim.pid, signal.SIGSTOP)  # so that it dies in the middle of its step
    vector.step_async(actions)
    os.kill(victim.pid, signal.SIGKILL)
    with pytest.raises(WorkerDied, match=rf"process {victim.pid}, exit status -9"):
        vector.step_wait()
    assert not other.is_alive()
    for cell in cells:
        cell.close()


@pytest.mark.filterwarnings("ignore:.*ERROR.*:UserWarning")  # gymnasium tells the traceback in a warning
def test_an_error_in_a_cell_reaches_the_caller_and_stops_all() -> None:
    vector = make_vector("bottle", 1)
    with pytest.raises(ValueError, match="stage 'flying' must be one of"):
        vector.reset(options={"stage": "flying"})
    assert not any(process.is_alive() for process in vector.processes)


def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait(10.0)
    deadline = time.monotonic() + 30.0
    while _alive(pid):
        assert time.monotonic() < deadline, f"worker {pid} outlives its parent"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
