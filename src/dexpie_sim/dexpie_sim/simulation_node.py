"""What every node that runs the simulated cell does: real time, scene topics, the reset service."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from dexpie_core import messages, topics
from dexpie_core.errors import UsageError
from dexpie_ros.factory import make, message_class
from dexpie_ros.looped import LoopNode
from dexpie_ros.node import declare, parameter
from dexpie_sim.camera_view import CameraView
from dexpie_sim.cell import Cell
from dexpie_sim.config import preset

NS_PER_S = 1_000_000_000
RESET_TIMEOUT_S = 3.0
MAX_LAG_S = 0.1  # simulated time is given up beyond this, instead of catching up in a burst
SCENE_RATE_HZ = 25.0


@dataclass(frozen=True)
class CellParameters:
    """What is simulated."""

    task: str = parameter("bottle", "task on the table")
    seed: int = parameter(0, "seed of the first scene")
    rate_hz: float = parameter(50.0, "rate of the arm's and the hand's state, Hz")
    preset: str = parameter("default", "servo lag, latency and noise: default or ideal (none)")
    positions: str = parameter("train", "range of the object positions: train or held_out")
    looks: str = parameter("fixed", "light, colours and camera poses: fixed, or varied with the seed")


class Reset:
    """A reset that was asked for and its outcome."""

    def __init__(self, stage: str, seed: int) -> None:
        self.stage = stage
        self.seed = seed
        self.error = ""
        self.done = threading.Event()


class SimulationNode(LoopNode):
    """Owns the Cell. Time of the simulation is tied to ROS time at every reset.

    Subclasses bring commands in and states out; they override `exchange` and, where a reset concerns them,
    `after_reset` and `settled`.
    """

    def __init__(self, name: str, parameters: type[CellParameters]) -> None:
        super().__init__(name)
        self.parameters = declare(self, parameters)
        self.cell = self._make_cell()
        self.cycles = 0
        self._servo_ns = round(self.cell.config.servo_period_s * NS_PER_S)
        self._scene = self.advertise(topics.SCENE_STATE)
        self._qpos = self.advertise(topics.SIM_QPOS)
        self._scene_cycles = max(1, round(self.parameters.rate_hz / SCENE_RATE_HZ))
        self._steps = 0
        self._lost_s = 0.0
        self._pending: Reset | None = None
        self._anchor()
        service = message_class("dexpie_msgs/srv/ResetScene")
        self.create_service(service, topics.SIM_RESET_SERVICE, self._serve_reset)

    def exchange(self) -> None:
        """Commands in, `advance`, states out; once a cycle."""
        raise NotImplementedError

    def after_reset(self) -> None:
        """The cell stands in a new start state."""

    def settled(self) -> bool:
        """Whether everybody has taken the new start state up; the reset is answered then."""
        return True

    def _make_cell(self) -> Cell:
        p = self.parameters
        try:
            cell = Cell(preset(p.preset, task=p.task, positions=p.positions, looks=p.looks))  # type: ignore[arg-type]
            cell.reset("initial", p.seed)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return cell

    def _anchor(self) -> None:
        """Now is when the simulation has the time that it has.

        Half a servo period early, so that waking a little early or late changes no number of steps.
        """
        elapsed_ns = round(self.cell.data.time * NS_PER_S)
        self._origin_ns = time.monotonic_ns() - elapsed_ns - self._servo_ns // 2
        self._wall_origin_ns = time.time_ns() - elapsed_ns
        self._steps = round(elapsed_ns / self._servo_ns)

    @property
    def stamp_ns(self) -> int:
        """ROS time of the cell's present state."""
        return self._wall_origin_ns + round(self.cell.data.time * NS_PER_S)

    def step(self) -> None:
        """One cycle."""
        if self._pending is not None:
            self._reset(self._pending)
        self.exchange()
        if self.cycles % self._scene_cycles == 0:
            self._publish_scene(self.stamp_ns)
        self.cycles += 1

    def advance(self) -> None:
        """Run the simulation up to now."""
        due = (time.monotonic_ns() - self._origin_ns) // self._servo_ns - self._steps
        late_s = due * self._servo_ns / NS_PER_S
        if late_s > MAX_LAG_S:
            self._lost_s += late_s
            self._anchor()
            due = 1
        self.cell.advance(due * self._servo_ns / NS_PER_S)
        self._steps += due

    def _publish_scene(self, stamp_ns: int) -> None:
        r = self.cell.scene()
        self._scene.publish(
            messages.scene_state(make, r.names, r.values, r.success, r.failure, r.reason, r.stage, stamp_ns)
        )
        cell = self.cell
        view = CameraView(stamp_ns, cell.camera_qpos, cell.looks_seed, cell.config.camera_noise)
        self._qpos.publish(make(topics.SIM_QPOS.type, data=view.encode()))

    def _serve_reset(self, request: Any, response: Any) -> Any:
        """Replies when the cell is in the new state and everybody has taken it up."""
        own = self.parameters.task
        if request.task not in ("", own):
            response.message = (
                f"this cell simulates task {own}, not {request.task}: start it with --task {request.task}"
            )
            return response
        pending = Reset(request.stage or "initial", int(request.seed))
        with self.lock:
            self._pending = pending
        if not pending.done.wait(RESET_TIMEOUT_S):
            response.message = f"the cell did not come to its reset within {RESET_TIMEOUT_S:.0f} s"
            return response
        response.accepted, response.message = not pending.error, pending.error
        deadline = time.monotonic() + RESET_TIMEOUT_S
        while response.accepted and time.monotonic() < deadline and not self._locked_settled():
            time.sleep(0.02)
        return response

    def _locked_settled(self) -> bool:
        with self.lock:
            return self.settled()

    def _reset(self, request: Reset) -> None:
        try:
            self.cell.reset(request.stage, request.seed)
        except ValueError as error:
            request.error = str(error)
        else:
            self._anchor()
            self.after_reset()
        self._pending = None
        request.done.set()

    def simulation_values(self) -> dict[str, object]:
        """For `report`: does it keep up with real time?"""
        return {"lost_s": self._lost_s, **self.timing_values()}
