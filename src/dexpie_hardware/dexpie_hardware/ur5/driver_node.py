"""The UR5 driver node: ROS on one side, the servo process, which decides, on the other."""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import rclpy

from dexpie_core import messages, topics
from dexpie_core.errors import UsageError
from dexpie_hardware.ur5.child import ServoChild
from dexpie_hardware.ur5.controller import matrix_from_pose6
from dexpie_hardware.ur5.parameters import Ur5Parameters
from dexpie_hardware.ur5.supervision import State
from dexpie_hardware.ur5.wire import Cycles, Measured, Recover, Report, Status, Stop, Target
from dexpie_ros.factory import make, message_class
from dexpie_ros.looped import Level, LoopNode, be_realtime
from dexpie_ros.looped import Report as Diagnosis
from dexpie_ros.node import declare, run
from dexpie_ros.stamps import to_ns

POLL_RATE_HZ: Final = 125.0
REALTIME_PRIORITY: Final = 20  # of this node's threads; the servo process has its own
STATUS_PERIOD_NS: Final = 500_000_000
# A ready servo process reports at the rate that is published.
SILENT_SERVO_S: Final = 0.1
SILENT_SERVO_REPORTS: Final = 3
CYCLES_KEPT: Final = 60_000
JOIN_TIMEOUT_S: Final = 0.5
DIAGNOSTICS_RATE_HZ: Final = 2.0  # while a recovery is under way
RECOVERY_TIMEOUT_S: Final = 120.0  # more than all of its steps may take
ON_THE_WAY: Final = frozenset({State.CONNECTING.name, State.STARTING.name, State.RECOVERING.name})


class Ur5Node(LoopNode):
    """Passes commands on and publishes what the servo process reports; starts it anew when it has ended."""

    def __init__(self) -> None:
        super().__init__("ur5_driver")
        self.parameters = declare(self, Ur5Parameters)
        if importlib.util.find_spec("rtde_control") is None:
            raise UsageError("ur5_driver: ur_rtde is missing: pip install ur-rtde")
        self._commands = self.poll(topics.ARM_COMMAND)
        self._joints = self.advertise(topics.JOINT_STATES)
        self._tcp = self.advertise(topics.TCP_POSE)
        self._arm_status = self.advertise(topics.ARM_STATUS)
        self._status = Status(State.CONNECTING.name, False, State.CONNECTING.value)
        self._told: tuple[Status, int] | None = None
        self._heard_ns = 0
        self._was_ready = False
        self._recovery: _Recovery | None = None
        self._cycles: deque[tuple[int, int]] = deque(maxlen=CYCLES_KEPT)
        self._silent_ns = 1e9 * max(SILENT_SERVO_S, SILENT_SERVO_REPORTS / self.parameters.rate_hz)
        trigger = message_class("std_srvs/srv/Trigger")
        self.create_service(trigger, topics.ARM_RECOVER_SERVICE, self._serve_recover)
        self._child: ServoChild | None = None
        self._closing = threading.Event()
        self._servo_failure: Exception | None = None
        self._servo_thread = threading.Thread(target=self._keep_servo, name="servo", daemon=True)
        self._servo_thread.start()
        self.start(POLL_RATE_HZ, niceness=-10, realtime=REALTIME_PRIORITY)

    def step(self) -> None:
        """Pass the newest command on; say it where the servo process has fallen silent."""
        if self._servo_failure is not None:
            raise self._servo_failure
        taken = self._commands.newest()
        if taken is not None and self._child is not None:
            message = taken.message
            p, q = message.pose.position, message.pose.orientation
            arrival_ns = taken.received_ns - time.time_ns() + time.monotonic_ns()
            pose = (p.x, p.y, p.z, q.x, q.y, q.z, q.w)
            self._child.send(Target(pose, messages.stamp_ns(message), to_ns(message.due), arrival_ns))
        self._publish_status()

    def _publish_status(self) -> None:
        """At every change, and twice a second."""
        now_ns = time.monotonic_ns()
        status = self._status
        if status.ready and self._servo_is_silent(now_ns):
            status = replace(status, ready=False, detail="the servo process does not report")
        shown = replace(status, counters={}, refusal="", speed_scaling=0.0)
        if self._told is not None and shown == self._told[0] and now_ns - self._told[1] < STATUS_PERIOD_NS:
            return
        if self._told is None or shown != self._told[0]:
            self._log(status)
        self._told = (shown, now_ns)
        self._arm_status.publish(
            messages.arm_status(
                make,
                time.time_ns(),
                ready=status.ready,
                protective_stop=status.protective_stop,
                emergency_stop=status.emergency_stop,
                detail=status.detail,
                speed_scaling=status.speed_scaling,
            )
        )

    def _servo_is_silent(self, now_ns: int) -> bool:
        # A node that was kept from reading must not take that for silence.
        quiet = now_ns - self._heard_ns > self._silent_ns
        return quiet and not (self._child is not None and self._child.has_report())

    def _log(self, status: Status) -> None:
        line = f"{status.state}: {status.detail}"
        if status.ready or status.state in ON_THE_WAY:
            self.get_logger().info(line)
        else:
            self.get_logger().warning(line)

    # the servo process

    def _keep_servo(self) -> None:
        """One servo process after the other; once the arm was ready, only /arm/recover starts the program."""
        # It shares the lock with the loop, and must not keep it waiting.
        be_realtime(REALTIME_PRIORITY, threading.get_native_id())
        try:
            while not self._closing.is_set():
                child = ServoChild(self.parameters, autostart=not self._was_ready)
                with self.lock:
                    self._child = child
                for report in child.reports():
                    with self.lock:
                        self._hear(report)
                exit_status = child.wait()
                if not self._closing.is_set():
                    with self.lock:
                        self._ended(exit_status)
                child.close()
                self._closing.wait(self.parameters.reconnect_period_s)
        except Exception as error:
            if rclpy.ok():  # otherwise the end of ROS is what it ran into
                self._servo_failure = error

    def _hear(self, report: Report) -> None:
        self._heard_ns = time.monotonic_ns()
        match report:
            case Measured():
                self._joints.publish(
                    messages.joint_state(make, report.q_rad, report.qd_rad_s, report.stamp_ns)
                )
                tcp_T = matrix_from_pose6(report.tcp)
                self._tcp.publish(messages.pose_stamped(make, tcp_T, report.stamp_ns))
            case Cycles():
                self._cycles.extend(report.cycles)
            case Status():
                self._take_status(report)

    def _take_status(self, status: Status) -> None:
        if status.refusal != self._status.refusal:
            self.get_logger().warning(status.refusal)
        if status.recovered is not None:
            self._answer_recovery(status.recovered, status.answer)
        self._was_ready |= status.ready
        if status.ready and not self._status.ready:
            self._cycles.clear()  # what was before a pause makes no period with what comes after
        self._status = replace(status, recovered=None, answer="")
        self._publish_status()

    def _ended(self, exit_status: int) -> None:
        """Say why there is no connection."""
        detail = self._status.detail
        if exit_status == -signal.SIGALRM:
            detail = f"the controller at {self.parameters.host} takes connections and does not answer"
        elif exit_status != 0:
            detail = f"the servo process ended with status {exit_status}"
        self._status = replace(self._status, state=State.LOST.name, ready=False, detail=detail)
        self._answer_recovery(False, f"the connection was lost: {detail}")
        self._publish_status()

    # /arm/recover

    def _serve_recover(self, request: Any, response: Any) -> Any:
        """Replies when the recovery has ended, seconds later; what moves and what is published goes on."""
        recovery = _Recovery()
        with self.lock:
            if self._child is None or not self._child.send(Recover()):
                response.message = f"not possible now: {self._status.detail}"
                return response
            self._recovery = recovery
        # This thread would publish the diagnostics, and end the node after a signal.
        deadline_s = time.monotonic() + RECOVERY_TIMEOUT_S
        while not recovery.done.wait(1.0 / DIAGNOSTICS_RATE_HZ) and rclpy.ok():
            self.diagnostics.publish()
            if time.monotonic() > deadline_s:
                recovery.answer = f"no end of it within {RECOVERY_TIMEOUT_S:.0f} s: {self._status.detail}"
                break
        response.success, response.message = recovery.recovered, recovery.answer
        return response

    def _answer_recovery(self, recovered: bool, answer: str) -> None:
        recovery, self._recovery = self._recovery, None
        if recovery is not None:
            recovery.recovered, recovery.answer = recovered, answer
            recovery.done.set()

    def report(self) -> Diagnosis:
        """OK while commands are followed."""
        status = self._status
        newest = list(self._cycles)[-round(10.0 * self.parameters.servo_rate_hz) :]
        values = {
            "state": status.state,
            **servo_timing(newest, self.parameters.period_s),
            **status.counters,
            **{f"node_{name}": value for name, value in self.timing_values().items()},
        }
        level = Level.OK if status.ready else Level.WARN if status.state in ON_THE_WAY else Level.ERROR
        return Diagnosis(level, status.detail, values)

    def finish(self) -> None:
        """Let the servo process stop the arm, and end it in any case."""
        self._closing.set()
        if self._child is not None:
            self._child.send(Stop())
            self._child.wait()
            self._servo_thread.join(JOIN_TIMEOUT_S)
        if self._cycles:
            timing = servo_timing(self._cycles, self.parameters.period_s).items()
            words = ", ".join(f"{name} {value:.0f}" for name, value in timing)
            line = f"[ur5_driver] servo loop: {len(self._cycles)} cycles, {words}"
            print(line, file=sys.stderr, flush=True)


class _Recovery:
    """A recovery that was asked for, and how it ended."""

    def __init__(self) -> None:
        self.recovered = False
        self.answer = "the driver was stopped"
        self.done = threading.Event()


def servo_timing(cycles: Iterable[tuple[int, int]], period_s: float) -> dict[str, float]:
    """Period, its deviation and work of servo cycles (start ns, length ns), microseconds; empty for none."""
    starts_ns, work_ns = np.array(list(cycles), dtype=np.int64).reshape(-1, 2).T
    if len(starts_ns) < 2:
        return {}
    periods_us = np.diff(starts_ns) * 1e-3
    p50, p99, longest = np.percentile(periods_us, (50, 99, 100))
    return {
        "servo_period_p50_us": float(p50),
        "servo_period_p99_us": float(p99),
        "servo_period_max_us": float(longest),
        "servo_deviation_p99_us": float(np.percentile(np.abs(periods_us - period_s * 1e6), 99)),
        "servo_work_p99_us": float(np.percentile(work_ns * 1e-3, 99)),
    }


def main() -> int:
    """Entry point."""
    return run(Ur5Node)


if __name__ == "__main__":
    sys.exit(main())
