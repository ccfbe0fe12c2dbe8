"""The executor node: ticks dexpie_core's Executor at 25 Hz and alone commands arm and hand."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

from dexpie_core import messages, topics
from dexpie_core.chunk_schedule import ScheduleConfig
from dexpie_core.executor import Executor, ExecutorConfig, Source, TickOutput
from dexpie_core.hand_errors import hand_fault
from dexpie_core.limits import MotionLimits
from dexpie_core.modes import Mode
from dexpie_ros.factory import make
from dexpie_ros.looped import Level, LoopNode, Report, stale
from dexpie_ros.node import declare, parameter, run
from dexpie_ros.steady_clock import SteadyClock

CLOCK_STEP_S = 0.1  # from here on a step of the system's clock is told
CHUNK_POLL_S = 0.0005
NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class ExecutorParameters:
    """Parameters of the node; they become dexpie_core's ExecutorConfig."""

    rate_hz: float = parameter(25.0, "tick rate, Hz")
    synchronous: bool = parameter(
        False, "ask for a chunk only when the last one is executed (to compare with)"
    )
    horizon: int = parameter(24, "targets in a chunk, ticks")
    max_delay: int = parameter(4, "commanded steps that a chunk is asked for ahead of its takeover, ticks")
    execution_horizon: int = parameter(20, "targets executed of each chunk, ticks")
    late_rule: str = parameter("resume", "what happens to a late chunk: resume, due or drop")
    chunk_grace_s: float = parameter(
        0.008, "how long a tick waits for the chunk that takes over in it, s; 0: not at all"
    )
    max_linear_speed_m_s: float = parameter(0.5, "bound of the commanded TCP speed, m/s")
    max_angular_speed_rad_s: float = parameter(1.5, "bound of the commanded TCP rotation, rad/s")
    max_hand_speed_1_s: float = parameter(3.0, "bound of the commanded hand speed, full travels per s")
    workspace_min_m: tuple[float, ...] = parameter(
        (-0.85, -0.85, 0.0), "workspace box, lower corner in base, m"
    )
    workspace_max_m: tuple[float, ...] = parameter(
        (0.85, 0.85, 0.9), "workspace box, upper corner in base, m"
    )
    takeover_max_rotation_rad: float = parameter(0.5, "largest wrist misalignment at a takeover, rad")
    takeover_max_hand: float = parameter(0.6, "largest finger misalignment at a takeover, fraction of travel")
    stale_state_s: float = parameter(0.2, "age after which no chunk is asked for on a measured state, s")
    stale_human_s: float = parameter(0.25, "age after which a human action is a fault, s")
    max_human_jump_m: float = parameter(0.05, "step of the tracker in a tick that is a fault, m")
    max_human_jump_rad: float = parameter(0.262, "turn of the tracker in a tick that is a fault, rad")
    reclutch_min_s: float = parameter(
        0.5, "time after a switch in which a request to re-clutch is the same key twice, s"
    )
    console_lost_s: float = parameter(1.0, "silence of a console that was heard which stops the robot, s")
    stale_status_s: float = parameter(3.0, "age of /arm/status after which the arm counts as not ready, s")
    lost_state_s: float = parameter(
        0.5, "age of the measured arm or hand after which it counts as not ready, s"
    )

    def core(self) -> ExecutorConfig:
        """The configuration of the core object."""
        x0, y0, z0 = self.workspace_min_m
        x1, y1, z1 = self.workspace_max_m
        if self.late_rule not in ("resume", "due", "drop"):
            raise ValueError(f"late_rule '{self.late_rule}' is not one of resume, due, drop")
        if not 0.0 <= self.chunk_grace_s < 1.0 / self.rate_hz:
            raise ValueError(f"chunk_grace_s {self.chunk_grace_s} must be 0 or more and less than a tick")
        return ExecutorConfig(
            rate_hz=self.rate_hz,
            schedule=ScheduleConfig(
                horizon=self.horizon,
                max_delay=self.max_delay,
                execution_horizon=self.execution_horizon,
                late_rule=self.late_rule,  # type: ignore[arg-type]
                synchronous=self.synchronous,
            ),
            limits=MotionLimits(
                max_linear_speed_m_s=self.max_linear_speed_m_s,
                max_angular_speed_rad_s=self.max_angular_speed_rad_s,
                max_hand_speed_1_s=self.max_hand_speed_1_s,
                workspace_min_m=(x0, y0, z0),
                workspace_max_m=(x1, y1, z1),
                rate_hz=self.rate_hz,
            ),
            takeover_max_rotation_rad=self.takeover_max_rotation_rad,
            takeover_max_hand=self.takeover_max_hand,
            stale_state_s=self.stale_state_s,
            stale_human_s=self.stale_human_s,
            max_human_jump_m=self.max_human_jump_m,
            max_human_jump_rad=self.max_human_jump_rad,
            reclutch_min_s=self.reclutch_min_s,
            console_lost_s=self.console_lost_s,
        )

    def __post_init__(self) -> None:
        self.core()


class ExecutorNode(LoopNode):
    """Messages in, Executor.tick, messages out. Ages are on the monotonic clock, stamps never go back."""

    def __init__(self) -> None:
        super().__init__("executor")
        self.parameters = declare(self, ExecutorParameters)
        self.core = Executor(self.parameters.core())
        self._tcp = self.poll(topics.TCP_POSE)
        self._hand = self.poll(topics.HAND_STATE)
        self._status = self.poll(topics.ARM_STATUS)
        self._human = self.poll(topics.TELEOP_ACTION)
        self._chunks = self.poll(topics.POLICY_CHUNK)
        self._console = self.poll(topics.CONSOLE)
        self._arm_command = self.advertise(topics.ARM_COMMAND)
        self._hand_command = self.advertise(topics.HAND_COMMAND)
        self._action = self.advertise(topics.EXECUTED_ACTION)
        self._mode = self.advertise(topics.MODE)
        self._request = self.advertise(topics.POLICY_REQUEST)
        self._steady_clock = SteadyClock()
        self._heard_ns: dict[str, int] = {}
        self._published_mode: tuple[Mode, int] | None = None
        self._ready = False
        self.serve(topics.SET_MODE_SERVICE, "dexpie_msgs/srv/SetMode", self._set_mode)
        self.start(self.parameters.rate_hz, niceness=-10, realtime=30)

    def step(self) -> None:
        """One tick."""
        now_ns, observed_ns = time.monotonic_ns(), self._steady_clock.now_ns()
        try:
            self._offer_state(now_ns)
        except ValueError:
            self.core.counters["malformed_states"] += 1
        console = self._console.newest()
        if console is not None:
            leaving = console.message.frame_id == topics.CONSOLE_BYE
            self.core.offer_console(now_ns / NS_PER_S, leaving)
        human = self._human.newest()
        if human is not None:
            try:
                self.core.offer_human(messages.human_action(human.message, now_ns / NS_PER_S))
            except ValueError:
                self.core.counters["malformed_actions"] += 1
        self._offer_chunks(now_ns)
        out = self.core.tick(now_ns / NS_PER_S)
        if out.command is not None:
            self._publish(out, observed_ns)
            if not self._ready:
                self._ready = True
                self.diagnostics.publish()

    def _offer_chunks(self, began_ns: int) -> None:
        """What has come; a command a few ms late is better than a tick in which the robot is held."""
        self._take_chunks()
        until_ns = began_ns + round(NS_PER_S * self.parameters.chunk_grace_s)
        self.core.counters["awaited_chunks"] += self.core.awaits_chunk
        while self.core.awaits_chunk and time.monotonic_ns() < until_ns:
            time.sleep(CHUNK_POLL_S)
            self._take_chunks()

    def _take_chunks(self) -> None:
        for taken in self._chunks.take():
            try:
                self.core.offer_chunk(messages.chunk(taken.message))
            except ValueError:
                self.core.counters["malformed_chunks"] += 1

    def _offer_state(self, now_ns: int) -> None:
        for source in (self._tcp, self._hand, self._status):
            if source.newest() is not None:
                self._heard_ns[source.spec.name] = now_ns
        tcp, hand, status = self._tcp.latest, self._hand.latest, self._status.latest
        if tcp is None or hand is None or status is None:
            return
        heard_ns = min(self._heard_ns[self._tcp.spec.name], self._heard_ns[self._hand.spec.name])
        self.core.offer_state(
            heard_ns / NS_PER_S,
            messages.pose_T(tcp.message.pose),
            hand.message.position,
            self._not_ready(status.message, hand.message),
        )

    def _not_ready(self, arm: Any, hand: Any) -> str:
        """Why arm or hand do not follow commands; empty where they do."""
        p = self.parameters
        for source, limit_s in (
            (self._status, p.stale_status_s),
            (self._tcp, p.lost_state_s),
            (self._hand, p.lost_state_s),
        ):
            if stale(self._heard_ns[source.spec.name], limit_s):
                return f"{source.spec.name} is silent for more than {limit_s:g} s"
        if arm.emergency_stop:
            return "arm: emergency stop"
        if arm.protective_stop:
            return "arm: protective stop"
        if not arm.ready:
            return f"arm: {arm.detail or 'not ready'}"
        return hand_fault(hand.error)

    def _publish(self, out: TickOutput, observed_ns: int) -> None:
        """Commands first, then what depends on them, then the record.

        observed_ns: beginning of the tick. A chunk is due so many ticks later, so its observation is of that
        time, and the work of the tick does not shorten the time that inference has.
        """
        stamp_ns = self._steady_clock.now_ns()
        due_ns = stamp_ns + round(NS_PER_S / self.parameters.rate_hz)
        self._arm_command.publish(messages.arm_command(make, out, stamp_ns, due_ns))
        self._hand_command.publish(messages.hand_command(make, out, stamp_ns))
        if out.request is not None:
            self._request.publish(messages.chunk_request(make, out.request, observed_ns, stamp_ns))
        self._publish_mode(out, stamp_ns)
        self._action.publish(messages.executed_action(make, out, stamp_ns))

    def _publish_mode(self, out: TickOutput, stamp_ns: int) -> None:
        if self._published_mode != (out.mode, out.epoch):
            self._published_mode = (out.mode, out.epoch)
            self._mode.publish(messages.mode(make, out, stamp_ns))

    def _set_mode(self, request: Any, response: Any) -> None:
        """The mode is announced at once, and a human's first command too: neither waits for the next tick."""
        core, now_s = self.core, time.monotonic_ns() / NS_PER_S
        try:
            target = Mode(int(request.mode))
        except ValueError:
            response.message = f"mode {request.mode} is not one of dexpie_msgs/Mode"
        else:
            reply = core.request_target_mode(target, now_s, request.reason)
            response.accepted, response.message = reply.accepted, reply.message
        response.mode = int(core.mode)
        if not response.accepted or core.last_command is None:
            return
        switch = TickOutput(
            core.tick_count, core.last_command, source=Source.HOLD, mode=core.mode, epoch=core.epoch,
            reason=core.reason,
        )  # fmt: skip
        self._publish_mode(switch, self._steady_clock.now_ns())
        if core.mode is Mode.HUMAN:
            self._publish(core.tick(now_s), self._steady_clock.now_ns())

    def report(self) -> Report:
        """OK once it commands; what is missing before."""
        missing = [s.spec.name for s in (self._tcp, self._hand, self._status) if s.latest is None]
        if missing:
            return Report(Level.WARN, f"waiting for {', '.join(missing)}")
        if not self._ready:
            return Report(Level.WARN, "waiting for the arm to be ready")
        values = {
            "mode": self.core.mode.name,
            "epoch": self.core.epoch,
            "tick": self.core.tick_count,
            "takeover_max_rotation_rad": self.parameters.takeover_max_rotation_rad,
            "takeover_max_hand": self.parameters.takeover_max_hand,
            **self.timing_values(),
            **self.core.counters,
            **self.core.schedule.counters,
        }
        if self.core.mode is Mode.FAULT:
            return Report(Level.ERROR, self.core.reason, values)
        if abs(self._steady_clock.step_s()) > CLOCK_STEP_S:
            step = f"the system's clock was set by {self._steady_clock.step_s():+.1f} s"
            return Report(Level.WARN, f"{step}: restart the graph so that all stamps agree", values)
        return Report(Level.OK, "commanding", values)

    def finish(self) -> None:
        """Last words: the counters."""
        counters = {**self.core.counters, **self.core.schedule.counters}
        counted = "".join(f", {name} {count}" for name, count in sorted(counters.items()) if count)
        print(
            f"[executor] {self.core.tick_count} ticks, {counters['starved_ticks']} starved{counted}",
            file=sys.stderr,
            flush=True,
        )


def main() -> int:
    """Entry point."""
    return run(ExecutorNode)


if __name__ == "__main__":
    sys.exit(main())
