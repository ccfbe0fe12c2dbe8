"""The simulated cell as devices: steps physics in real time and offers the topics of arm, hand and scene."""

from __future__ import annotations

import sys
import time
from typing import Any

from dexpie_core import messages, topics
from dexpie_ros.factory import make
from dexpie_ros.looped import Level, Report
from dexpie_ros.node import run
from dexpie_sim.simulation_node import NS_PER_S, CellParameters, SimulationNode

STATUS_PERIOD_NS = NS_PER_S // 2
SETTLE_NS = NS_PER_S // 4  # not ready for so long after a reset, so that the executor takes the new pose up


class CellNode(SimulationNode):
    """Stands in for the drivers of arm and hand as well: their topics, their protective stop."""

    def __init__(self) -> None:
        super().__init__("sim_cell", CellParameters)
        self._arm_commands = self.poll(topics.ARM_COMMAND)
        self._hand_commands = self.poll(topics.HAND_COMMAND)
        self._joints = self.advertise(topics.JOINT_STATES)
        self._tcp = self.advertise(topics.TCP_POSE)
        self._hand = self.advertise(topics.HAND_STATE)
        self._status = self.advertise(topics.ARM_STATUS)
        self._commands = 0
        self._refused = 0
        self._command_epoch: int | None = None
        self._old_epoch: int | None = None
        self._ready_ns = 0
        self._told_status: tuple[bool, bool] | None = None
        self._told_status_ns = 0
        self.serve(topics.ARM_RECOVER_SERVICE, "std_srvs/srv/Trigger", self._recover)
        self.start(self.parameters.rate_hz, niceness=-5, realtime=10)

    def exchange(self) -> None:
        """Take commands, advance to now, publish."""
        self._take_commands()
        self.advance()
        stamp_ns = self.stamp_ns
        state = self.cell.observe()
        self._joints.publish(messages.joint_state(make, state.arm_q, state.arm_qd, stamp_ns))
        self._tcp.publish(messages.pose_stamped(make, state.tcp_T, stamp_ns))
        self._hand.publish(messages.hand_state(make, state.hand, state.hand_force_n, stamp_ns))
        self._publish_status(stamp_ns)

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
                self.cell.set_arm_target(messages.pose_T(arm.message.pose))
                self._commands += 1
            if hand is not None and int(hand.message.epoch) != self._old_epoch:
                self.cell.set_hand_target(hand.message.position)
        except ValueError:
            self._refused += 1

    def _publish_status(self, stamp_ns: int) -> None:
        now_ns = time.monotonic_ns()
        stopped = self.cell.protective_stop
        status = (now_ns >= self._ready_ns and not stopped, stopped)
        if status == self._told_status and now_ns < self._told_status_ns + STATUS_PERIOD_NS:
            return
        self._told_status, self._told_status_ns = status, now_ns
        detail = "protective stop: call /arm/recover" if stopped else "simulated"
        self._status.publish(
            messages.arm_status(make, stamp_ns, ready=status[0], protective_stop=stopped, detail=detail)
        )

    def after_reset(self) -> None:
        """Not ready for a while, and deaf for commands to the robot that stood elsewhere."""
        self._old_epoch, self._command_epoch = self._command_epoch, None
        self._ready_ns = time.monotonic_ns() + SETTLE_NS

    def settled(self) -> bool:
        """Whether an executor that was commanding has taken the new pose up."""
        return self._old_epoch is None and time.monotonic_ns() > self._ready_ns

    def _recover(self, request: Any, response: Any) -> None:
        stopped = self.cell.protective_stop
        self.cell.recover()
        response.success = True
        response.message = "recovered from the protective stop" if stopped else "there was no protective stop"

    def report(self) -> Report:
        """OK while it keeps up with real time."""
        values: dict[str, object] = {
            "commands": self._commands,
            "refused_commands": self._refused,
            "out_of_reach": self.cell.ik_failures,
            **self.simulation_values(),
        }
        if self.cell.protective_stop:
            return Report(Level.ERROR, "protective stop", values)
        return Report(Level.OK if self.cycles else Level.WARN, "running", values)


def main() -> int:
    """Entry point."""
    return run(CellNode)


if __name__ == "__main__":
    sys.exit(main())
