"""Asynchronous against synchronous inference through the ROS graph, with latency that is injected.

Executor and inference node run as processes; the policy replays a demonstration of the virtual operator for
ever, so that what is executed can be compared with it step by step. This process plays arm and hand, which
follow every command after two periods of 20 ms. DEXPIE_BENCH_MINUTES sets the length of the first run;
the one with spikes and the synchronous one last 3 and 2 minutes at most.
"""

import json
import os
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import Result
from motion_quality import (
    Stream,
    draw,
    jitter_p99_ms,
    largest_steps,
    pauses_a_minute,
    repeats,
    spectral_distance_db,
)

from dexpie_core import messages, se3, topics
from dexpie_core.action_space import POSE_DIM, RATE_HZ, pack, unpack
from dexpie_core.limits import step_sizes
from dexpie_core.modes import Mode
from dexpie_ros.factory import make
from dexpie_ros.testing import NodeProcess, Peer, Repeating, await_true

MINUTES = float(os.environ.get("DEXPIE_BENCH_MINUTES", "1"))
FIGURE = Path("build/async_sync.png")
LATENCY_S = (0.0, 0.160)  # from the observation on
SPIKE_S, SPIKE_EVERY_S = 0.4, 20.0
RETURN_STEP_M, RETURN_STEP_RAD, RETURN_STEP_HAND = 0.008, 0.025, 0.05
SOURCE_HOLD = 0


def asynchronous() -> Result:
    """Pauses a minute of the commanded motion, async against sync; steps, starved ticks and spectra too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        motion = closed(demonstration(folder))
        steady = run_graph(folder, motion, _Setting("async"), MINUTES)
        spiky = run_graph(folder, motion, _Setting("spikes", spike_every_s=SPIKE_EVERY_S), min(MINUTES, 3.0))
        waiting = run_graph(folder, motion, _Setting("sync", synchronous=True), min(MINUTES, 2.0))
    shown = np.tile(motion, (1 + len(steady.commands) // len(motion), 1))
    FIGURE.parent.mkdir(exist_ok=True)
    draw({"demonstrations": shown, "asynchronous": steady.commands, "synchronous": waiting.commands}, FIGURE)
    far = [spectral_distance_db(s.commands, shown) for s in (steady, waiting)]
    details = (
        f"demonstration {pauses_a_minute(shown):.1f}; velocity spectrum differs from it by {far[0]:.1f} dB "
        f"(sync {far[1]:.1f}); {_words('latency 0-160 ms', steady, motion)}; "
        f"{_words('400 ms every 20 s', spiky, motion)}; figure {FIGURE}"
    )
    ours, theirs = pauses_a_minute(steady.commands), pauses_a_minute(waiting.commands)
    return Result("asynchronous", "pauses/min", ours, "synchronous", theirs, None, details)


def _words(name: str, stream: Stream, motion: np.ndarray) -> str:
    steps, original = (largest_steps(c) for c in (stream.commands, np.concatenate([motion, motion[:1]])))
    return (
        f"{name}: {stream.minutes:.1f} min, {int(stream.starved.sum())} starved of {len(stream.starved)} "
        f"ticks, largest step {_step_words(steps)} (demonstration {_step_words(original)}), "
        f"off the motion by {repeats(stream, motion):.1e}, "
        f"jitter p99 {jitter_p99_ms(stream.stamps_ns):.1f} ms"
    )


def _step_words(steps: tuple[float, float, float]) -> str:
    m, rad, hand = steps
    return f"{1e3 * m:.1f} mm {rad:.3f} rad {hand:.3f}"


def demonstration(folder: Path) -> np.ndarray:
    """Commands (N, 15) of one demonstration of the virtual operator."""
    from dexpie.lockstep import LockstepOptions, run_lockstep
    from dexpie_bags.reader import BagReader

    (result,) = run_lockstep(LockstepOptions(task="bottle", record=str(folder / "bags")), [3], 1)
    assert result.outcome == "success", result
    (bag,) = [p.parent for p in (folder / "bags").glob("*/metadata.yaml")]
    with BagReader(bag) as reader:
        actions = [r.message for r in reader.messages([topics.EXECUTED_ACTION.name])]
    return np.stack([messages.action15(a) for a in actions])


def closed(actions: np.ndarray) -> np.ndarray:
    """The motion with a smooth way back to its start."""
    first, last = actions[0], actions[-1]
    m, rad, hand = step_sizes(last, first)
    ticks = 10 + int(np.ceil(1.9 * max(m / RETURN_STEP_M, rad / RETURN_STEP_RAD, hand / RETURN_STEP_HAND)))
    t = np.arange(1, ticks) / ticks
    (T_a, hand_a), (T_b, hand_b) = unpack(last), unpack(first)
    shares = 10 * t**3 - 15 * t**4 + 6 * t**5  # minimum jerk
    way = [pack(se3.interpolate(T_a, T_b, float(s)), hand_a + s * (hand_b - hand_a)) for s in shares]
    return np.concatenate([actions, way])


@dataclass(frozen=True)
class _Setting:
    name: str
    synchronous: bool = False
    spike_every_s: float = 0.0


def run_graph(folder: Path, motion: np.ndarray, setting: _Setting, minutes: float) -> Stream:
    """What the executor sent while the policy drove for so long."""
    np.save(folder / "motion.npy", motion)
    file = folder / f"{setting.name}.json"
    told = {"motion": str(folder / "motion.npy"), "latency_s": LATENCY_S, "seed": 1}
    file.write_text(json.dumps({**told, "spike_s": SPIKE_S, "spike_every_s": setting.spike_every_s}))
    sync = {"synchronous": setting.synchronous}
    node = Path(__file__).with_name("replay_policy_node.py")
    with (
        Peer() as peer,
        NodeProcess("dexpie_teleop.executor_node", folder / f"executor_{setting.name}.log", sync),
        NodeProcess(node, folder / f"policy_{setting.name}.log", {"policy": file, **sync}),
    ):
        robot = _Robot(peer, motion[0])
        diagnostics = peer.listen(topics.DIAGNOSTICS)
        with Repeating(50.0, robot.play):
            peer.collect(diagnostics, _policy_is_ready)
            await_true(lambda: _policy_drives(peer), "the policy's turn")
            return robot.record(round(minutes * 60 * RATE_HZ))


def _policy_is_ready(found: list[Any]) -> bool:
    return any(s.name == "policy_inference" and s.level == b"\0" for m in found for s in m.status)


def _policy_drives(peer: Peer) -> bool:
    set_mode = "dexpie_msgs/srv/SetMode"
    reply = peer.call(topics.SET_MODE_SERVICE, set_mode, mode=int(Mode.AUTONOMOUS), reason="bench")
    return bool(reply.accepted)


class _Robot:
    """Arm and hand that follow, and ears for what was executed."""

    def __init__(self, peer: Peer, start: np.ndarray) -> None:
        self._joints = peer.advertise(topics.JOINT_STATES)
        self._tcp = peer.advertise(topics.TCP_POSE)
        self._hand = peer.advertise(topics.HAND_STATE)
        self._status = peer.advertise(topics.ARM_STATUS)
        self._actions = peer.listen(topics.EXECUTED_ACTION)
        self._heard: list[Any] = []
        self._follow: deque[np.ndarray] = deque([start] * 3, maxlen=3)

    def play(self) -> None:
        """Publish the state, once; what was executed is where the robot goes."""
        self._heard.extend(taken.message for taken in self._actions.take())
        self._follow.append(messages.action15(self._heard[-1]) if self._heard else self._follow[-1])
        stamp_ns, action = time.time_ns(), self._follow[0]
        self._joints.publish(messages.joint_state(make, np.zeros(6), np.zeros(6), stamp_ns))
        T = se3.matrix_from_pose9(action[:POSE_DIM])
        self._tcp.publish(messages.pose_stamped(make, T, stamp_ns))
        self._hand.publish(messages.hand_state(make, action[POSE_DIM:], np.zeros(6), stamp_ns))
        self._status.publish(messages.arm_status(make, stamp_ns, ready=True))

    def record(self, ticks: int) -> Stream:
        """So many ticks from the first one that a chunk decided."""

        def driven() -> list[Any]:
            heard = list(self._heard)
            first = next((i for i, m in enumerate(heard) if m.chunk_step >= 0), len(heard))
            return heard[first:]

        while len(driven()) < ticks:
            time.sleep(1.0)
        found = driven()[:ticks]
        if any(m.mode != Mode.AUTONOMOUS for m in found):  # a standing robot has no steps to find fault with
            raise RuntimeError("the policy did not drive all the time; is the machine too busy?")
        return Stream(
            np.array([messages.stamp_ns(m) for m in found]),
            np.stack([messages.action15(m) for m in found]),
            np.array([bool(m.starved) for m in found]),
            np.array([m.source == SOURCE_HOLD for m in found]),
        )
