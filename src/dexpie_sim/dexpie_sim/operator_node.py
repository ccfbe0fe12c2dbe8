"""The virtual operator as devices: a tracker and a glove that move, and key presses as service calls."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from dexpie_core import messages, topics
from dexpie_core.errors import UsageError
from dexpie_core.modes import Mode, ModeEvent
from dexpie_core.se3 import Array
from dexpie_ros.factory import make, message_class
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, parameter, run
from dexpie_sim.cell import CellState
from dexpie_sim.operator import VirtualOperator
from dexpie_sim.progress.bottleneck import Bottleneck
from dexpie_sim.tasks.base import SceneReading

VIRTUAL = "virtual"
"""Its name in the events of the episodes that it has a part in."""
MODE_AFTER = {
    ModeEvent.TAKEOVER: Mode.HUMAN,
    ModeEvent.STOP: Mode.IDLE,
    ModeEvent.ALIGN: Mode.ALIGNING,
    ModeEvent.CANCEL: Mode.AUTONOMOUS,
    ModeEvent.RELEASE: Mode.AUTONOMOUS,
}


@dataclass(frozen=True)
class OperatorParameters:
    """Who operates, and how fast the devices talk."""

    task: str = parameter("bottle", "task that the operator demonstrates")
    seed: int = parameter(0, "seed of the operator's habits before the first episode")
    rate_hz: float = parameter(120.0, "rate of the glove, Hz")
    tracker_rate_hz: float = parameter(90.0, "rate of the tracker, at most rate_hz, Hz")


class OperatorNode(LoopNode):
    """Acts between START and END of an episode that is its own; else it rests its hands, devices on.

    It demonstrates, and it corrects the rollouts whose START names it as the operator ("virtual"). Those
    that name nobody it watches: what gets no further it ends as a failure, and it remembers how long the
    attempts went on that it saw fail.
    """

    def __init__(self) -> None:
        super().__init__("virtual_operator")
        self.parameters = declare(self, OperatorParameters)
        try:
            self._operator = VirtualOperator(task=self.parameters.task)
        except ValueError as error:
            raise UsageError(str(error)) from error
        self._tcp = self.poll(topics.TCP_POSE)
        self._hand = self.poll(topics.HAND_STATE)
        self._scene = self.poll(topics.SCENE_STATE)
        self._mode = self.poll(topics.MODE)
        self._action = self.poll(topics.EXECUTED_ACTION)
        self._events = self.poll(topics.EPISODE_EVENT)
        self._tracker = self.advertise(topics.TRACKER_POSE)
        self._glove = self.advertise(topics.GLOVE)
        self._keys = self.create_client(message_class("dexpie_msgs/srv/SetMode"), topics.SET_MODE_SERVICE)
        self._ends = self.create_client(
            message_class("dexpie_msgs/srv/EndEpisode"), topics.EPISODE_END_SERVICE
        )
        self._judge: Bottleneck | None = None  # of the attempt that is under way
        self._begun = self._active = self._watching = False
        self._started = ("", 0.0)  # the episode that is under way, and since when
        self._failed_after_s: dict[str, float] = {}  # by episode
        self._phase = "waiting"
        self._tracker_share = 0.0
        self._refusals = 0
        self.start(self.parameters.rate_hz, realtime=5)

    def step(self) -> None:
        """Look, move, press keys."""
        for stream in (self._tcp, self._hand, self._scene, self._mode, self._action):
            stream.newest()
        now_s = time.monotonic()
        event = self._events.newest()
        if self._tcp.latest is None or self._hand.latest is None:
            return
        if event is not None:
            self._take_event(event.message, now_s)
        if self._scene.latest is None or self._mode.latest is None:
            return
        if not self._begun:
            self._begin(self.parameters.seed, now_s, watching=False)
        mode = self._mode.latest.message
        reading, state = self._reading(), self._state(now_s)
        signals = self._operator.step(now_s, reading, state, self._acting_mode(mode), self._command(mode))
        self._publish(signals.tracker_T, signals.glove)
        self._phase = signals.phase
        self._judge_attempt(now_s, messages.mode_of(mode), reading, state)
        if self._active:
            for key in signals.events:
                self._press(key)

    def _take_event(self, event: Any, now_s: float) -> None:
        """An episode of its own begins, or anything ends."""
        started = int(event.event) == messages.EVENT_START
        if started:
            self._started = (event.episode_id, now_s)
        elif event.outcome == "failure" and self._started[0] == event.episode_id:
            self._failed_after_s[event.episode_id] = now_s - self._started[1]
        attempt = started and event.kind == "rollout" and not event.operator_name
        self._judge = Bottleneck(self.parameters.task) if attempt else None
        watching = event.kind == "rollout" and event.operator_name == VIRTUAL
        self._active = started and (watching or event.kind == "demonstration")
        if self._active:
            known_s = self._failed_after_s.get(event.pair_id, 0.0)
            self._begin(int(event.seed), now_s, watching, known_s)

    def _judge_attempt(self, now_s: float, mode: Mode, reading: SceneReading, state: CellState) -> None:
        """Give up an attempt that gets no further while the policy drives."""
        if self._judge is None:
            return
        if mode is not Mode.AUTONOMOUS:
            self._judge.begin(now_s)
            return
        reason = self._judge.see(now_s, reading, state.tcp_T, state.hand)
        if reason:
            self._judge = None
            request = message_class("dexpie_msgs/srv/EndEpisode").Request(outcome="failure", reason=reason)
            self._ends.call_async(request).add_done_callback(self._take_reply)

    def _begin(self, seed: int, now_s: float, watching: bool, failed_after_s: float = 0.0) -> None:
        self._operator.begin(seed, self._state(now_s), now_s, watching, failed_after_s)
        self._begun, self._watching = True, watching

    def _acting_mode(self, mode: Any) -> Mode:
        """The mode; between episodes one in which it has nothing to do."""
        return messages.mode_of(mode) if self._active else Mode.RELEASING

    def _command(self, mode: Any) -> Array:
        """Where the takeover began; before it, the newest command, as the alignment aid shows it."""
        if self._action.latest is None or messages.mode_of(mode) is Mode.HUMAN:
            return messages.reference15(mode)
        return messages.action15(self._action.latest.message)

    def _state(self, now_s: float) -> CellState:
        """What a person sees of the robot: TCP and fingers, no joint angles."""
        assert self._tcp.latest is not None and self._hand.latest is not None
        unseen = np.zeros(6)
        hand = np.asarray(self._hand.latest.message.position, dtype=np.float64)
        return CellState(now_s, unseen, unseen, messages.pose_T(self._tcp.latest.message.pose), hand, unseen)

    def _reading(self) -> SceneReading:
        assert self._scene.latest is not None
        m = self._scene.latest.message
        return SceneReading(tuple(m.names), np.asarray(m.values), m.success, m.failure, m.reason, m.stage)

    def _publish(self, tracker_T: Array, glove: dict[str, float]) -> None:
        stamp_ns = time.time_ns()
        self._glove.publish(messages.glove_state(make, glove, stamp_ns))
        self._tracker_share += self.parameters.tracker_rate_hz / self.parameters.rate_hz
        if self._tracker_share >= 1.0:
            self._tracker_share -= 1.0
            frame = messages.TRACKER_FRAME
            self._tracker.publish(messages.pose_stamped(make, tracker_T, stamp_ns, frame))

    def _press(self, key: ModeEvent) -> None:
        if key not in MODE_AFTER:
            raise ValueError(f"the virtual operator pressed {key.value}, which has no mode")
        request = message_class("dexpie_msgs/srv/SetMode").Request()
        request.mode, request.reason = int(MODE_AFTER[key]), "virtual operator"
        self._keys.call_async(request).add_done_callback(self._take_reply)

    def _take_reply(self, future: Any) -> None:
        reply = future.result()
        if reply is not None and not reply.accepted:
            self._refusals += 1
            self.get_logger().warning(f"refused: {reply.message}")

    def report(self) -> Report:
        """OK once tracker and glove are on."""
        values = {"phase": self._phase, "refusals": self._refusals, **self.timing_values()}
        if not self._begun:
            return Report(Level.WARN, "waiting for arm, hand, scene and mode", values)
        doing = "watching" if self._watching else "demonstrating"
        return Report(Level.OK, doing if self._active else "resting", values)


def main() -> int:
    """Entry point."""
    return run(OperatorNode)


if __name__ == "__main__":
    sys.exit(main())
