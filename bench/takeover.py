"""Key to human: how long after the operator's key the human's commands go to the arm, through the ROS graph.

Executor and follower run as processes; this process plays an arm that stays, a policy that answers in 40 ms,
the operator's devices, and the key: a call of /executor/set_mode, at a random moment of the control period.
"""

import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import Result

from dexpie_core import messages, se3, topics
from dexpie_core.action_space import RATE_HZ, pack
from dexpie_core.chunk_schedule import Chunk, ScheduleConfig
from dexpie_core.modes import Mode
from dexpie_core.retargeting import glove_from_hand
from dexpie_ros.factory import make, message_class
from dexpie_ros.looped import be_nice
from dexpie_ros.realtime import be_realtime
from dexpie_ros.testing import NodeProcess, Peer, Repeating, await_true

TAKEOVERS = 100
TICK_S = 1.0 / RATE_HZ
SOURCE_HUMAN = 2
SET_MODE = "dexpie_msgs/srv/SetMode"
HOME = se3.make(se3.rotation_from_rotvec([0.0, np.pi / 2, 0.0]), [0.4, 0.1, 0.3])
HAND = np.full(6, 0.9)
SWAY_M, SWAY_HZ = 0.02, 1.0  # the operator's wrist never rests, so that its motion is seen in a command
MOVED_M = 1e-5
NICENESS, REALTIME = -5, 5  # as the nodes have that this process stands for


def takeover_latency() -> Result:
    """p99 of key press to first human command, against a takeover that waits for the chunk's end."""
    with tempfile.TemporaryDirectory() as folder, Peer() as peer:
        executor = NodeProcess("dexpie_teleop.executor_node", Path(folder) / "executor.log")
        follower = NodeProcess("dexpie_teleop.follower_node", Path(folder) / "follower.log")
        with executor, follower:
            graph = _Graph(peer)
            be_nice(NICENESS)
            be_realtime(REALTIME, threading.main_thread().native_id)
            with Repeating(100.0, graph.play):
                switches = [graph.take_over() for _ in range(TAKEOVERS)]
    first_ms, moved_ms, boundary_ms = (
        1e3 * np.array([getattr(s, name) for s in switches]) for name in ("first_s", "moved_s", "boundary_s")
    )
    details = (
        f"{TAKEOVERS} takeovers, one tick is {1e3 * TICK_S:.0f} ms; p50/p99 of the first human command "
        f"{_words(first_ms)}, of the first that has moved with the wrist {_words(moved_ms)}, "
        f"of the chunk's end {_words(boundary_ms)}"
    )
    ours, theirs = float(np.percentile(first_ms, 99)), float(np.percentile(boundary_ms, 99))
    return Result("takeover_latency", "ms", ours, "at the next chunk", theirs, theirs / ours, details)


def _words(values_ms: np.ndarray) -> str:
    return "/".join(f"{v:.1f}" for v in np.percentile(values_ms, (50, 99))) + " ms"


@dataclass(frozen=True)
class _Switch:
    """Seconds from the key to the first human command, to one that has moved, to the end of the chunk."""

    first_s: float
    moved_s: float
    boundary_s: float


class _Graph:
    """What executor and follower hear and say."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._rng = np.random.default_rng(1)
        self._tcp = peer.advertise(topics.TCP_POSE)
        self._hand = peer.advertise(topics.HAND_STATE)
        self._status = peer.advertise(topics.ARM_STATUS)
        self._tracker = peer.advertise(topics.TRACKER_POSE)
        self._glove = peer.advertise(topics.GLOVE)
        self._chunk = peer.advertise(topics.POLICY_CHUNK)
        self._requests = peer.listen(topics.POLICY_REQUEST)
        self._actions = peer.listen(topics.EXECUTED_ACTION)
        self._commands = peer.listen(topics.ARM_COMMAND)
        self._keys = peer.node.create_client(message_class(SET_MODE), topics.SET_MODE_SERVICE)
        self._played = False
        self._due: list[tuple[float, Chunk]] = []

    def play(self) -> None:
        """Arm, hand, devices and policy, once."""
        if not self._played:
            self._played = True
            be_realtime(REALTIME, threading.get_native_id())
        stamp_ns, now_s = time.time_ns(), time.monotonic()
        sway = [SWAY_M * np.sin(2 * np.pi * SWAY_HZ * now_s), 0.0, 0.0]
        tracker_T = HOME @ se3.make(np.eye(3), sway)
        frame = messages.TRACKER_FRAME
        self._tracker.publish(messages.pose_stamped(make, tracker_T, stamp_ns, frame))
        self._glove.publish(messages.glove_state(make, glove_from_hand(HAND), stamp_ns))
        self._tcp.publish(messages.pose_stamped(make, HOME, stamp_ns))
        self._hand.publish(messages.hand_state(make, HAND, np.zeros(6), stamp_ns))
        self._status.publish(messages.arm_status(make, stamp_ns, ready=True))
        self._infer(now_s, stamp_ns)

    def _infer(self, now_s: float, stamp_ns: int) -> None:
        for taken in self._requests.take():
            request = messages.prefix_request(taken.message)
            targets = np.tile(pack(HOME, HAND), (ScheduleConfig.horizon, 1))
            chunk = Chunk(request.epoch, request.sequence, request.tick, targets)
            self._due.append((now_s + TICK_S, chunk))
        for _, chunk in [entry for entry in self._due if entry[0] <= now_s]:
            n = ScheduleConfig.max_delay
            self._chunk.publish(messages.action_chunk(make, chunk, HOME, n, TICK_S, "bench", stamp_ns))
        self._due = [entry for entry in self._due if entry[0] > now_s]

    def take_over(self) -> _Switch:
        """Let the policy drive, press the key at a random moment, see what comes, hand back."""
        await_true(self._policy_drives, "the policy's turn")
        self._peer.collect(self._actions, lambda found: any(m.chunk_step >= 5 for m in found))
        time.sleep(float(self._rng.uniform(0.0, ScheduleConfig.execution_horizon * TICK_S)))
        self._actions.newest()
        before = self._peer.collect(self._actions, bool)[-1]
        time.sleep(float(self._rng.uniform(0.0, TICK_S)))
        self._commands.newest()
        pressed_ns = time.time_ns()
        self._keys.call_async(message_class(SET_MODE).Request(mode=int(Mode.HUMAN), reason="bench"))
        return self._measure(before, pressed_ns)

    def _policy_drives(self) -> bool:
        reply = self._peer.call(topics.SET_MODE_SERVICE, SET_MODE, mode=int(Mode.AUTONOMOUS), reason="bench")
        return bool(reply.accepted)

    def _measure(self, before: Any, pressed_ns: int) -> _Switch:
        """Times are those at which the executor sent its commands."""
        human: set[int] = set()
        commands: list[Any] = []

        def sent() -> list[Any]:
            human.update(
                int(t.message.tick) for t in self._actions.take() if t.message.source == SOURCE_HUMAN
            )
            commands.extend(taken.message for taken in self._commands.take())
            return [m for m in commands if int(m.tick) in human]

        await_true(lambda: len(sent()) > 1 and _way_m(sent()) > MOVED_M, "a human command that moves")
        first, *later = sent()
        moved = next(m for m in later if _way_m([first, m]) > MOVED_M)
        left = ScheduleConfig().last_index - int(before.chunk_step)
        boundary_s = (messages.stamp_ns(before) - pressed_ns) * 1e-9 + left * TICK_S
        first_s, moved_s = ((messages.stamp_ns(m) - pressed_ns) * 1e-9 for m in (first, moved))
        return _Switch(first_s, moved_s, boundary_s)


def _way_m(commands: list[Any]) -> float:
    """How far the last command is from the first one."""
    a, b = (messages.pose_T(m.pose)[:3, 3] for m in (commands[0], commands[-1]))
    return float(np.linalg.norm(b - a))
