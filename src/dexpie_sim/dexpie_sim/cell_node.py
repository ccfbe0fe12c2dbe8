"""The simulated cell as devices: steps physics in real time and offers the topics of arm, hand and scene."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from dexpie_core import messages, topics
from dexpie_core.errors import UsageError
from dexpie_ros.factory import make, message_class
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, parameter, run
from dexpie_sim.cell import Cell
from dexpie_sim.config import preset

NS_PER_S = 1_000_000_000
STATUS_PERIOD_NS = NS_PER_S // 2
SETTLE_NS = NS_PER_S // 4  # not ready for so long after a reset, so that the executor takes the new pose up
RESET_TIMEOUT_S = 3.0
MAX_LAG_S = 0.1  # simulated time is given up beyond this, instead of catching up in a burst


@dataclass(frozen=True)
class CellParameters:
    """What is simulated."""

    task: str = parameter("bottle", "task on the table")
    seed: int = parameter(0, "seed of the first scene")
    rate_hz: float = parameter(50.0, "rate of the arm's and the hand's state, Hz; the scene's is half of it")
    preset: str = parameter("default", "servo lag, latency and noise: default or ideal (none)")
    positions: str = parameter("train", "range of the object positions: train or held_out")


class CellNode(LoopNode):
    """Owns the Cell. Time of the simulation is tied to ROS time at every reset."""

    def __init__(self) -> None:
        super().__init__("sim_cell")
        self.parameters = declare(self, CellParameters)
        self._cell = self._make_cell()
        self._servo_ns = round(self._cell.config.servo_period_s * NS_PER_S)
        self._arm_commands = self.poll(topics.ARM_COMMAND)
        self._hand_commands = self.poll(topics.HAND_COMMAND)
        self._joints = self.advertise(topics.JOINT_STATES)
        self._tcp = self.advertise(topics.TCP_POSE)
        self._hand = self.advertise(topics.HAND_STATE)
        self._status = self.advertise(topics.ARM_STATUS)
        self._scene = self.advertise(topics.SCENE_STATE)
        self._qpos = self.advertise(topics.SIM_QPOS)
        self._steps = 0
        self._cycles = 0
        self._lost_s = 0.0
        self._commands = 0
        self._refused = 0
        self._command_epoch: int | None = None
        self._old_epoch: int | None = None
        self._ready_ns = 0
        self._told_status: tuple[bool, bool] | None = None
        self._told_status_ns = 0
        self._pending: _Reset | None = None
        self._anchor()
        service = message_class("dexpie_msgs/srv/ResetScene")
        self.create_service(service, topics.SIM_RESET_SERVICE, self._serve_reset)
        self.serve(topics.ARM_RECOVER_SERVICE, "std_srvs/srv/Trigger", self._recover)
        self.start(self.parameters.rate_hz, niceness=-5, realtime=10)

    def _make_cell(self) -> Cell:
        p = self.parameters
        try:
            cell = Cell(preset(p.preset, task=p.task, positions=p.positions))  # type: ignore[arg-type]
            cell.reset("initial", p.seed)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return cell

    def _anchor(self) -> None:
        """Now is when the simulation has the time that it has.

        Half a servo period early, so that waking a little early or late changes no number of steps.
        """
        elapsed_ns = round(self._cell.data.time * NS_PER_S)
        self._origin_ns = time.monotonic_ns() - elapsed_ns - self._servo_ns // 2
        self._wall_origin_ns = time.time_ns() - elapsed_ns
        self._steps = round(elapsed_ns / self._servo_ns)

    def step(self) -> None:
        """Take commands, advance to now, publish."""
        if self._pending is not None:
            self._reset(self._pending)
        self._take_commands()
        self._advance()
        stamp_ns = self._wall_origin_ns + round(self._cell.data.time * NS_PER_S)
        state = self._cell.observe()
        self._joints.publish(messages.joint_state(make, state.arm_q, state.arm_qd, stamp_ns))
        self._tcp.publish(messages.pose_stamped(make, state.tcp_T, stamp_ns))
        self._hand.publish(messages.hand_state(make, state.hand, state.hand_force_n, stamp_ns))
        if self._cycles % 2 == 0:
            self._publish_scene(stamp_ns)
        self._publish_status(stamp_ns)
        self._cycles += 1

    def _advance(self) -> None:
        due = (time.monotonic_ns() - self._origin_ns) // self._servo_ns - self._steps
        late_s = due * self._servo_ns / NS_PER_S
        if late_s > MAX_LAG_S:
            self._lost_s += late_s
            self._anchor()
            due = 1
        self._cell.advance(due * self._servo_ns / NS_PER_S)
        self._steps += due

    def _take_commands(self) -> None:
        """Commands of the epoch that a reset interrupted are dropped: the robot is elsewhere now."""
        arm, hand = self._arm_commands.newest(), self._hand_commands.newest()
        if arm is not None:
            self._command_epoch = int(arm.message.epoch)
        if time.monotonic_ns() < self._ready_ns:
            return
        try:
            if arm is not None and int(arm.message.epoch) != self._old_epoch:
                self._old_epoch = None
                self._cell.set_arm_target(messages.pose_T(arm.message.pose))
                self._commands += 1
            if hand is not None and int(hand.message.epoch) != self._old_epoch:
                self._cell.set_hand_target(hand.message.position)
        except ValueError:
            self._refused += 1

    def _publish_scene(self, stamp_ns: int) -> None:
        r = self._cell.scene()
        self._scene.publish(
            messages.scene_state(make, r.names, r.values, r.success, r.failure, r.reason, r.stage, stamp_ns)
        )
        # This message type has no header: the stamp, in seconds, is the first number.
        data = np.concatenate(([stamp_ns / NS_PER_S], self._cell.qpos))
        self._qpos.publish(make(topics.SIM_QPOS.type, data=data))

    def _publish_status(self, stamp_ns: int) -> None:
        now_ns = time.monotonic_ns()
        stopped = self._cell.protective_stop
        status = (now_ns >= self._ready_ns and not stopped, stopped)
        if status == self._told_status and now_ns < self._told_status_ns + STATUS_PERIOD_NS:
            return
        self._told_status, self._told_status_ns = status, now_ns
        detail = "protective stop: call /arm/recover" if stopped else "simulated"
        self._status.publish(
            messages.arm_status(make, stamp_ns, ready=status[0], protective_stop=stopped, detail=detail)
        )

    def _serve_reset(self, request: Any, response: Any) -> Any:
        """Replies when the cell is in the new state and an executor that was commanding has taken it up."""
        own = self.parameters.task
        if request.task not in ("", own):
            response.message = (
                f"this cell simulates task {own}, not {request.task}: start it with --task {request.task}"
            )
            return response
        pending = _Reset(request.stage or "initial", int(request.seed))
        with self.lock:
            self._pending = pending
        if not pending.done.wait(RESET_TIMEOUT_S):
            response.message = f"the cell did not come to its reset within {RESET_TIMEOUT_S:.0f} s"
            return response
        response.accepted, response.message = not pending.error, pending.error
        deadline = time.monotonic() + RESET_TIMEOUT_S
        while response.accepted and time.monotonic() < deadline and not self._taken_up():
            time.sleep(0.02)
        return response

    def _taken_up(self) -> bool:
        with self.lock:
            return self._old_epoch is None and time.monotonic_ns() > self._ready_ns

    def _reset(self, request: _Reset) -> None:
        try:
            self._cell.reset(request.stage, request.seed)
        except ValueError as error:
            request.error = str(error)
        else:
            self._anchor()
            self._old_epoch, self._command_epoch = self._command_epoch, None
            self._ready_ns = time.monotonic_ns() + SETTLE_NS
        self._pending = None
        request.done.set()

    def _recover(self, request: Any, response: Any) -> None:
        stopped = self._cell.protective_stop
        self._cell.recover()
        response.success = True
        response.message = "recovered from the protective stop" if stopped else "there was no protective stop"

    def report(self) -> Report:
        """OK while it keeps up with real time."""
        values: dict[str, object] = {
            "commands": self._commands,
            "refused_commands": self._refused,
            "out_of_reach": self._cell.ik_failures,
            "lost_s": self._lost_s,
            **self.timing_values(),
        }
        if self._cell.protective_stop:
            return Report(Level.ERROR, "protective stop", values)
        return Report(Level.OK if self._cycles else Level.WARN, "running", values)


class _Reset:
    """A reset that was asked for and its outcome."""

    def __init__(self, stage: str, seed: int) -> None:
        self.stage = stage
        self.seed = seed
        self.error = ""
        self.done = threading.Event()


def main() -> int:
    """Entry point."""
    return run(CellNode)


if __name__ == "__main__":
    sys.exit(main())
