"""The relays: what a simulated operator does on topics reaches the drivers as devices."""

import time
from pathlib import Path

import numpy as np
import pytest
from hw_operator_for_tests import ERROR, Driver, Emulator, Status, drain

from dexpie_core import messages, topics
from dexpie_core.retargeting import glove_from_hand
from dexpie_hardware.emulators import glove, tracker
from dexpie_hardware.emulators.tracker_motion import figure_eight
from dexpie_ros.factory import make
from dexpie_ros.testing import Peer, Repeating

pytestmark = pytest.mark.processes


def test_an_operator_on_topics_becomes_a_tracker_and_a_glove(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/stream"
    stream = {"backend": "stream", "stream_address": address}
    angles = glove_from_hand([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    with (
        Peer() as peer,
        Driver("dexpie_hardware.vive.tracker_node", tmp_path / "vive_tracker.log", stream),
        Driver("dexpie_hardware.manus.glove_node", tmp_path / "manus_glove.log"),
        Emulator("dexpie_hardware.emulators.tracker", tmp_path, "--to", address, "--relay"),
        Emulator("dexpie_hardware.emulators.glove", tmp_path, "--relay"),
    ):
        pose_relay, glove_relay = peer.advertise(tracker.RELAY), peer.advertise(glove.RELAY)
        tracker_status, glove_status = Status(peer, "vive_tracker"), Status(peer, "manus_glove")
        poses, gloves = peer.listen(topics.TRACKER_POSE), peer.listen(topics.GLOVE)
        sent: dict[int, np.ndarray] = {}

        def publish() -> None:
            T, stamp_ns = figure_eight(time.monotonic()), time.time_ns()
            sent[stamp_ns] = T
            pose_relay.publish(messages.pose_stamped(make, T, stamp_ns, messages.TRACKER_FRAME))
            glove_relay.publish(messages.glove_state(make, angles, stamp_ns))

        assert drain(poses) == drain(gloves) == []
        with Repeating(100.0, publish):
            pose = peer.collect(poses, lambda found: len(found) >= 20)[-1]
            state = peer.collect(gloves, lambda found: len(found) >= 20)[-1]
        nearest_ns = min(sent, key=lambda stamp_ns: abs(stamp_ns - messages.stamp_ns(pose)))
        assert abs(nearest_ns - messages.stamp_ns(pose)) < 50_000_000
        np.testing.assert_allclose(messages.pose_T(pose.pose), sent[nearest_ns], atol=0.02)
        heard = messages.glove_angles(state)
        assert {name: heard[name] for name in angles} == pytest.approx(angles, abs=1e-4)
        tracker_status.await_level(ERROR, "no new sample")
        glove_status.await_level(ERROR, "silent")
