"""Through the nodes: the virtual operator watches a rollout that stalls, aligns, and takes over."""

import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dexpie_core import messages, topics
from dexpie_core.chunk_schedule import Chunk
from dexpie_core.episode import EpisodeEnd, EpisodeStart
from dexpie_core.limits import MotionLimits, step_sizes
from dexpie_core.modes import Mode
from dexpie_ros.factory import make
from dexpie_ros.testing import NodeProcess, Peer, Repeating
from dexpie_sim.operator import DEFAULT_FOLLOWER

pytestmark = pytest.mark.processes

HORIZON = 24
NODES: dict[str, dict[str, object]] = {
    "dexpie_sim.cell_node": {"task": "bottle"},
    "dexpie_sim.operator_node": {},
    "dexpie_teleop.executor_node": {},
    "dexpie_teleop.follower_node": {
        "tracker_to_wrist_rotvec_rad": DEFAULT_FOLLOWER.tracker_to_wrist_rotvec_rad,
        "world_to_base_rotvec_rad": DEFAULT_FOLLOWER.world_to_base_rotvec_rad,
    },
}


class StandingPolicy:
    """Answers every request with a chunk that stays where the robot is."""

    def __init__(self, peer: Peer) -> None:
        self._requests = peer.listen(topics.POLICY_REQUEST)
        self._actions = peer.listen(topics.EXECUTED_ACTION)
        self._chunks = peer.advertise(topics.POLICY_CHUNK)

    def answer(self) -> None:
        self._actions.newest()
        request = self._requests.newest()
        if request is None or self._actions.latest is None:
            return
        asked = messages.prefix_request(request.message)
        last = messages.action15(self._actions.latest.message)
        ahead = np.repeat(last[None], HORIZON - len(asked.prefix), axis=0)
        chunk = Chunk(asked.epoch, asked.sequence, asked.tick, np.concatenate([asked.prefix, ahead]))
        reference = np.eye(4)
        self._chunks.publish(
            messages.action_chunk(make, chunk, reference, len(asked.prefix), 0.01, "standing", time.time_ns())
        )


def start_graph(peer: Peer, stack: ExitStack, logs: Path) -> None:
    """The nodes and a standing policy, until `stack` ends; returns when the operator's hand is followed."""
    wishes, policy = peer.listen(topics.TELEOP_ACTION), StandingPolicy(peer)
    for module, parameters in NODES.items():
        stack.enter_context(NodeProcess(module, logs / f"{module}.log", parameters))
    stack.enter_context(Repeating(50.0, policy.answer))
    peer.collect(wishes, lambda found: len(found) >= 5)


def autonomous(peer: Peer) -> bool:
    """Ask for the policy's turn; whether it is granted."""
    asked = {"mode": int(Mode.AUTONOMOUS), "reason": "test"}
    return bool(peer.call(topics.SET_MODE_SERVICE, "dexpie_msgs/srv/SetMode", **asked).accepted)


def mode_is(mode: Mode) -> Any:
    return lambda found: any(messages.mode_of(m) is mode for m in found)


def test_a_rollout_that_stalls_is_corrected(tmp_path: Path) -> None:
    with Peer() as peer, ExitStack() as stack:
        modes, actions = peer.listen(topics.MODE), peer.listen(topics.EXECUTED_ACTION)
        events = peer.advertise(topics.EPISODE_EVENT)
        start_graph(peer, stack, tmp_path)
        start = EpisodeStart("e1", "bottle", kind="rollout", policy_id="standing", operator="virtual", seed=3)
        events.publish(messages.episode_start(make, start, time.time_ns()))
        assert autonomous(peer)
        switched = peer.collect(modes, mode_is(Mode.HUMAN))
        executed = peer.collect(actions, lambda found: sum(m.source == 2 for m in found) >= 50)
    order = [messages.mode_of(m) for m in switched]
    first = order.index(Mode.RELEASING)
    assert order[first:] == [Mode.RELEASING, Mode.AUTONOMOUS, Mode.ALIGNING, Mode.HUMAN]
    rows = [messages.action15(m) for m in executed]
    limits = MotionLimits()
    for before, after in pairwise(rows):
        linear_m, angular_rad, hand = step_sizes(before, after)
        assert linear_m <= limits.linear_step_m + 1e-9
        assert angular_rad <= limits.angular_step_rad + 1e-9
        assert hand <= limits.hand_step + 1e-9
    assert np.linalg.norm(rows[-1][:3] - rows[0][:3]) > 0.05  # the operator has moved it


def test_an_attempt_that_gets_no_further_is_given_up(tmp_path: Path) -> None:
    with Peer() as peer, ExitStack() as stack:
        events = peer.listen(topics.EPISODE_EVENT)
        manager = NodeProcess("dexpie_teleop.episode_node", tmp_path / "episode_node.log", {"task": "bottle"})
        stack.enter_context(manager)
        start_graph(peer, stack, tmp_path)
        start = {"kind": "rollout", "policy_id": "standing", "seed": 3, "positions": "train"}
        assert peer.call(topics.EPISODE_START_SERVICE, "dexpie_msgs/srv/StartEpisode", **start).accepted
        assert autonomous(peer)
        told = peer.collect(events, lambda found: any(e.event == messages.EVENT_END for e in found))
    began, ended = told
    assert (ended.outcome, ended.reason) == ("failure", "given up, no progress for 8 s: reach")
    assert messages.stamp_ns(ended) - messages.stamp_ns(began) > 8 * 10**9


def test_it_remembers_when_the_attempt_failed(tmp_path: Path) -> None:
    """Its patience is at least 1.5 s; an attempt that failed after less is taken over at once."""
    with Peer() as peer, ExitStack() as stack:
        modes, actions = peer.listen(topics.MODE), peer.listen(topics.EXECUTED_ACTION)
        events = peer.advertise(topics.EPISODE_EVENT)
        start_graph(peer, stack, tmp_path)
        attempt = EpisodeStart("e1", "bottle", kind="rollout", policy_id="standing", seed=3)
        events.publish(messages.episode_start(make, attempt, time.time_ns()))
        actions.newest()  # those from before the episode
        peer.collect(actions, lambda found: len(found) >= 25)
        events.publish(messages.episode_end(make, attempt, EpisodeEnd("failure"), time.time_ns()))
        peer.collect(actions, lambda found: len(found) >= 25)
        again = EpisodeStart(
            "e2", "bottle", kind="rollout", policy_id="standing", operator="virtual", seed=3, pair_id="e1"
        )
        events.publish(messages.episode_start(make, again, time.time_ns()))
        actions.newest()
        assert autonomous(peer)
        driven = peer.collect(actions, mode_is(Mode.ALIGNING))
        peer.collect(modes, mode_is(Mode.HUMAN))
    assert sum(messages.mode_of(m) is Mode.AUTONOMOUS for m in driven) < 1.5 * 25
