"""The human follower node: tracker and glove in, absolute TCP and hand targets out."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from dexpie_core import messages, topics
from dexpie_core.executor import HumanAction
from dexpie_core.follower import FollowerConfig, HumanFollower, Misalignment
from dexpie_core.modes import Mode
from dexpie_core.retargeting import RetargetConfig, hand_from_glove
from dexpie_core.se3 import Array
from dexpie_core.tremor import TremorConfig
from dexpie_ros.factory import make, message_class
from dexpie_ros.looped import Level, LoopNode, Report, stale
from dexpie_ros.node import declare, parameter, run
from dexpie_ros.qos import profile

NS_PER_S = 1_000_000_000
NO_EPOCH = (
    0  # the executor's epochs begin at 1: such an action is never executed, it only tells the misalignment
)
_OPEN_DEG = RetargetConfig().open_deg
_CLOSED_DEG = RetargetConfig().closed_deg


@dataclass(frozen=True)
class FollowerParameters:
    """Calibration of tracker and glove, and the rate of /teleop/action."""

    rate_hz: float = parameter(50.0, "rate of /teleop/action, Hz")
    stale_input_s: float = parameter(0.1, "age of tracker or glove after which nothing is published, s")
    hand_blend_s: float = parameter(0.4, "time in which the hand goes over to the glove after a takeover, s")
    tremor_filter: bool = parameter(True, "filter the tracker against tremor while the human drives")
    tremor_cutoff_hz: float = parameter(TremorConfig.cutoff_hz, "cutoff of the filter at rest, Hz")
    tremor_cutoff_hz_per_m_s: float = parameter(
        TremorConfig.cutoff_hz_per_m_s, "what a speed of 1 m/s adds to the cutoff, Hz"
    )
    tremor_cutoff_hz_per_rad_s: float = parameter(
        TremorConfig.cutoff_hz_per_rad_s, "what 1 rad/s adds to the cutoff of the rotation, Hz"
    )
    tracker_to_wrist_rotvec_rad: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.0), "rotation of the tracker's axes in the TCP frame, rotation vector, rad"
    )
    world_to_base_rotvec_rad: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.0), "rotation of the tracker's world in base, for the alignment aid only, rad"
    )
    glove_open_deg: tuple[float, ...] = parameter(
        _OPEN_DEG, "glove angles of the open hand, by hand channel, deg"
    )
    glove_closed_deg: tuple[float, ...] = parameter(_CLOSED_DEG, "glove angles of the closed hand, deg")
    glove_invert: tuple[bool, ...] = parameter((False,) * 6, "hand channels that run the other way")

    def follower(self) -> FollowerConfig:
        """Core configuration of the follower."""
        wx, wy, wz = self.tracker_to_wrist_rotvec_rad
        bx, by, bz = self.world_to_base_rotvec_rad
        return FollowerConfig((wx, wy, wz), (bx, by, bz), self.hand_blend_s, self._tremor())

    def _tremor(self) -> TremorConfig | None:
        config = TremorConfig(
            self.tremor_cutoff_hz, self.tremor_cutoff_hz_per_m_s, self.tremor_cutoff_hz_per_rad_s
        )
        return config if self.tremor_filter else None

    def retargeting(self) -> RetargetConfig:
        """Core configuration of the retargeting."""
        return RetargetConfig(self.glove_open_deg, self.glove_closed_deg, self.glove_invert)

    def __post_init__(self) -> None:
        self.follower()
        self.retargeting()


class FollowerNode(LoopNode):
    """Clutches when /executor/mode turns HUMAN; else it only tells how far operator and robot are apart."""

    def __init__(self) -> None:
        super().__init__("human_follower")
        self.parameters = declare(self, FollowerParameters)
        self.follower = HumanFollower(self.parameters.follower())
        self._retargeting = self.parameters.retargeting()
        self._tracker = self.poll(topics.TRACKER_POSE)
        self._glove = self.poll(topics.GLOVE)
        self._executed = self.poll(topics.EXECUTED_ACTION)
        self._publisher = self.advertise(topics.TELEOP_ACTION)
        self._mode: Any = None
        self._tracker_ns: int | None = None
        self._glove_ns: int | None = None
        self._clutched_epoch = NO_EPOCH
        self._published = 0
        self._bad_messages = 0
        mode = topics.MODE
        self.create_subscription(message_class(mode.type), mode.name, self._take_mode, profile(mode))
        self.start(self.parameters.rate_hz, niceness=-5, realtime=20)

    def _take_mode(self, mode: Any) -> None:
        """A switch to the human is answered at once: the executor's next tick has the operator's motion."""
        with self.lock:
            self._mode = mode
            if messages.mode_of(mode) is Mode.HUMAN:
                self.step()

    def step(self) -> None:
        """Publish one action, or nothing where tracker or glove are stale or cannot be."""
        now_ns = time.monotonic_ns()
        if self._tracker.newest() is not None:
            self._tracker_ns = now_ns
        if self._glove.newest() is not None:
            self._glove_ns = now_ns
        self._executed.newest()
        tracker, glove, limit_s = self._tracker.latest, self._glove.latest, self.parameters.stale_input_s
        if (
            tracker is None
            or glove is None
            or self._mode is None
            or stale(self._tracker_ns, limit_s)
            or stale(self._glove_ns, limit_s)
        ):
            return
        try:
            tracker_T = _finite(messages.pose_T(tracker.message.pose))
            hand = hand_from_glove(messages.glove_angles(glove.message), self._retargeting)
        except ValueError:
            self._bad_messages += 1
            return
        human = self._human(self._mode, now_ns / NS_PER_S, tracker_T, hand)
        self._publisher.publish(messages.action(make, human, messages.stamp_ns(tracker.message)))
        self._published += 1

    def _human(self, mode: Any, now_s: float, tracker_T: Array, hand: Array) -> HumanAction:
        commanded = self._commanded(mode)
        misalignment: Misalignment = self.follower.misalignment(tracker_T, hand, commanded)
        if messages.mode_of(mode) is not Mode.HUMAN:
            self.follower.release()
            self._clutched_epoch = NO_EPOCH
            return HumanAction(now_s, NO_EPOCH, commanded, misalignment)
        if self._clutched_epoch != int(mode.epoch):
            self.follower.clutch(now_s, tracker_T, commanded)
            self._clutched_epoch = int(mode.epoch)
        action = self.follower.action(now_s, tracker_T, hand)
        return HumanAction(now_s, self._clutched_epoch, action, misalignment)

    def _commanded(self, mode: Any) -> Array:
        """The last command: the newer of the executed action and the mode's reference."""
        executed = self._executed.latest
        if executed is None or int(executed.message.epoch) < int(mode.epoch):
            return messages.reference15(mode)
        return messages.action15(executed.message)

    def report(self) -> Report:
        """OK while the operator's devices are switched off as well; WARN when one of them falls silent."""
        values = {"published": self._published, "bad_messages": self._bad_messages, **self.timing_values()}
        if self._mode is None:
            return Report(Level.WARN, "waiting for /executor/mode", values)
        for name, heard_ns in (("tracker", self._tracker_ns), ("glove", self._glove_ns)):
            if heard_ns is None:
                return Report(Level.OK, f"no {name} so far", values)
            if stale(heard_ns, self.parameters.stale_input_s):
                return Report(Level.WARN, f"no fresh {name}", values)
        return Report(Level.OK, "clutched" if self.follower.clutched else "ready", values)


def _finite(T: Array) -> Array:
    if not np.all(np.isfinite(T)):
        raise ValueError("the tracker's pose is not finite")
    return T


def main() -> int:
    """Entry point."""
    return run(FollowerNode)


if __name__ == "__main__":
    sys.exit(main())
