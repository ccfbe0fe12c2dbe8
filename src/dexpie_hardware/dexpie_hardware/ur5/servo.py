"""The servo loop, one cycle at a time: what comes from the controller and from the node, what goes to either.

Knows neither sockets nor clocks nor ur_rtde: they are handed in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from dexpie_hardware.ur5.checks import CommandChecks, Here, Reason, Refused, distance, pose_from_numbers
from dexpie_hardware.ur5.controller import Condition, ControllerState, condition, pose6_from_matrix
from dexpie_hardware.ur5.due_times import DueClock
from dexpie_hardware.ur5.errors import Blocked, LinkError, ProcedureFailed
from dexpie_hardware.ur5.parameters import Ur5Parameters
from dexpie_hardware.ur5.procedures import Procedure, Procedures, Robot
from dexpie_hardware.ur5.reporter import Reporter
from dexpie_hardware.ur5.stream import Stream
from dexpie_hardware.ur5.supervision import (
    BUSY_STATES,
    READY_STATES,
    RESTING_STATES,
    STREAMING_STATES,
    CommandWatch,
    Event,
    Freshness,
    State,
    next_state,
)
from dexpie_hardware.ur5.wire import Recover, Report, Request, Status, Target

MAX_SEND_FAILURES: Final = 3
RECOVERED: Final = "recovered: the arm is ready, commands begin where it is"


class ServoRobot(Robot, Protocol):
    """What the loop does with the controller, beside procedures (ur5.link.Link)."""

    @property
    def connected(self) -> bool: ...
    def timestamp_s(self) -> float: ...
    def read(self) -> ControllerState: ...
    def servo_pose(self, pose: list[float]) -> bool: ...
    def servo_joints(self, q_rad: list[float]) -> bool: ...
    def kick(self) -> bool: ...
    def servo_stop(self) -> bool: ...


class ServoLoop:
    """The life of one connection. `autostart` permits to start the program without /arm/recover."""

    def __init__(
        self, parameters: Ur5Parameters, robot: ServoRobot, send: Callable[[Report], None], autostart: bool
    ) -> None:
        self._p = parameters
        self._robot = robot
        self._autostart = autostart
        self.state = State.CONNECTING
        self._detail = State.CONNECTING.value
        self._reason = ""  # why it is STOPPED, beyond what the controller says
        self._entered_s = 0.0
        self._controller: ControllerState | None = None
        self._found = Condition.NO_PROGRAM
        self._protective_s = 0.0  # when the protective stop was seen
        self._armed = False
        self._moving = False  # the servo was told a pose, and not yet to stop
        self._checks = CommandChecks(parameters)
        self._procedures = Procedures(robot, parameters, self._newest)
        self._procedure: Procedure | None = None
        self._answer: tuple[bool, str] | None = None
        self._freshness = Freshness(parameters.period_s, parameters.stale_periods, parameters.lost_after_s)
        self._watch = CommandWatch(parameters.command_timeout_s, parameters.hold_s)
        self._due_clock = DueClock()
        self._stream: Stream | None = None
        self._send_failures = 0
        self._counters: Counter[str] = Counter()
        self._refusal = ""
        self._reporter = Reporter(send, parameters)

    def cycle(self, now_s: float, ros_ns: int, requests: list[Request]) -> None:
        """One servo period; `now_s` on the monotonic clock, `ros_ns` the ROS time."""
        self._look(now_s, ros_ns)
        for request in requests:
            if isinstance(request, Target):
                self._take(request, now_s)
            elif isinstance(request, Recover):
                self._recover(now_s)
        event = self._watch.event(now_s)
        if event is not None:
            self._apply(event, now_s)
        self._tell(now_s)  # before what may block
        self._act(now_s)

    def _newest(self) -> ControllerState:
        assert self._controller is not None  # every state but CONNECTING has heard the controller
        return self._controller

    # the controller

    def _look(self, now_s: float, ros_ns: int) -> None:
        if not self._robot.connected:
            self._apply(Event.GONE, now_s, "the controller has closed the connection")
        elif self._freshness.look(self._robot.timestamp_s(), now_s):
            self._read(now_s, ros_ns)
        elif self._freshness.gone(now_s):
            self._apply(Event.GONE, now_s, f"the controller has been silent for {self._p.lost_after_s:g} s")
        elif self._freshness.silent(now_s):
            missed = f"the controller is silent: {self._p.stale_periods} periods missed"
            self._apply(Event.SILENCE, now_s, missed)

    def _read(self, now_s: float, ros_ns: int) -> None:
        before, state = self._controller, self._robot.read()
        self._controller = state
        self._reporter.measured(state, ros_ns)
        if state.protective_stop and not (before and before.protective_stop):
            self._protective_s = now_s
        self._apply(Event.HEARD, now_s)
        found = condition(state)
        if found is Condition.OK and not self._armed:
            found = Condition.NO_PROGRAM
        if self.state is State.CONNECTING:
            self._apply(Event.START if self._autostart else Event.CONNECTED, now_s)
        elif found is not Condition.OK:
            self._apply(Event.TROUBLE, now_s)
        elif self.state is State.REFERENCING and now_s - self._entered_s > self._p.settle_s:
            self._apply(Event.SETTLED, now_s)
        if self.state is State.STOPPED:
            if found is not self._found and self._found is not Condition.OK:
                self._reason = ""  # the controller says something new
            self._detail = self._reason or f"{state.words()}: {found.value}"
        self._found = found

    # the node

    def _take(self, target: Target, now_s: float) -> None:
        due_s = self._due_clock.due_s(target.stamp_ns, target.due_ns, target.arrival_ns)
        if self.state not in READY_STATES:
            self._counters["ignored_commands"] += 1
            return
        here = self._here()
        try:
            T = pose_from_numbers(target.pose)
            self._checks.check(T, due_s, here, now_s)
        except Refused as refused:
            self._refuse(refused, now_s)
            return
        if self._stream is None:
            self._stream = Stream(here, self._p, self._checks)
        self._stream.add(T, due_s)
        self._counters["accepted_commands"] += 1
        self._watch.command(now_s)
        self._apply(Event.COMMAND, now_s)

    def _here(self) -> Here:
        if self._stream is not None:
            return self._stream.here
        state = self._newest()
        return Here(state.tcp_T, np.array(state.q_rad))

    def _refuse(self, refused: Refused, now_s: float) -> None:
        self._counters[f"refused_{refused.reason.value}"] += 1
        self._refusal = f"command refused: {refused}"
        # Right after the arm got ready the others may still command the pose that they knew before.
        settled = now_s - self._entered_s > self._p.settle_s
        if self.state is State.READY and refused.reason is Reason.STEP and settled:
            self._apply(Event.AWAY, now_s, f"commands do not begin at the arm: {refused}")

    def _recover(self, now_s: float) -> None:
        if self.state in READY_STATES:
            self._answer = (True, "there was nothing to recover: the arm is ready")
        elif self.state is State.STOPPED:
            self._apply(Event.RECOVER, now_s)
        else:
            self._answer = (False, f"not possible now: {self._detail}")

    # what is under way

    def _act(self, now_s: float) -> None:
        if self.state in BUSY_STATES:
            self._proceed(now_s)
        elif self.state in STREAMING_STATES:
            self._go_on(now_s)
        elif self.state in RESTING_STATES and condition(self._newest()) is Condition.OK:
            if self._moving:
                self._moving = False
                self._robot.servo_stop()
            elif self._armed:
                self._robot.kick()

    def _proceed(self, now_s: float) -> None:
        procedure, sent = self._procedure, now_s
        if procedure is None:
            starting = self.state is State.STARTING
            procedure = self._procedures.start() if starting else self._procedures.recover(self._protective_s)
            self._procedure, sent = procedure, None
        try:
            self._detail = procedure.send(sent)
        except StopIteration:
            self._armed, self._moving = True, False
            self._apply(Event.ARMED, now_s)
        except (LinkError, ProcedureFailed) as error:
            self._apply(Event.FAILED, now_s, str(error))
            if isinstance(error, Blocked):
                self._reason = ""

    def _go_on(self, now_s: float) -> None:
        stream = self._stream
        assert stream is not None
        T = stream.step(now_s)
        self._counters["blocked_cycles"] += stream.blocked
        self._moving = True
        if self._p.servo == "joints":
            sent = self._robot.servo_joints(stream.q_rad.tolist())
        else:
            sent = self._robot.servo_pose(pose6_from_matrix(T))
        self._send_failures = 0 if sent else self._send_failures + 1
        if self._send_failures >= MAX_SEND_FAILURES:
            self._apply(Event.TROUBLE, now_s, "the controller takes no servo commands: call /arm/recover")
        measured = self._newest().tcp_T
        if self._checks.lags(T, measured):
            lag_m, lag_rad = distance(measured, T)
            lag = f"{lag_m * 100:.0f} cm, {lag_rad:.2f} rad behind"
            self._apply(Event.TROUBLE, now_s, f"the arm does not follow, {lag}: call /arm/recover")

    def _apply(self, event: Event, now_s: float, detail: str = "") -> None:
        before, after = self.state, next_state(self.state, event)
        if after is before:
            return
        self.state, self._entered_s = after, now_s
        self._detail, self._reason = detail or after.value, detail
        self._counters[f"to_{after.name.lower()}"] += 1
        if before is State.RECOVERING:
            recovered = after is State.READY
            self._answer = (recovered, RECOVERED if recovered else self._detail)
        self._procedure = None
        if after not in STREAMING_STATES:
            self._stream = None
            self._send_failures = 0
        if after is State.STOPPED:
            self._armed = False

    def _tell(self, now_s: float) -> None:
        state = self._controller
        answer, self._answer = self._answer, None
        self._reporter.status(
            Status(
                state=self.state.name,
                ready=self.state in READY_STATES,
                detail=self._detail,
                protective_stop=state is not None and state.protective_stop,
                emergency_stop=state is not None and state.emergency_stop,
                speed_scaling=0.0 if state is None else state.speed_scaling,
                refusal=self._refusal,
                recovered=None if answer is None else answer[0],
                answer="" if answer is None else answer[1],
                counters=dict(self._counters),
            ),
            now_s,
        )
