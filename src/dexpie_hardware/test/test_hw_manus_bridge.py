"""The glove driver on a bridge over ZeroMQ, with the names of another SDK."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import zmq
from hw_operator_for_tests import ERROR, OK, Driver, Emulator, Status

from dexpie_core import topics
from dexpie_core.retargeting import CHANNEL_SIGNALS
from dexpie_hardware.emulators.glove import ANATOMICAL
from dexpie_hardware.glove_reading import GloveReading, encode
from dexpie_hardware.manus.monitor import ANATOMICAL_ALIASES
from dexpie_ros.testing import Peer, Repeating

pytestmark = pytest.mark.processes

NODE = "dexpie_hardware.manus.glove_node"
EMULATOR = "dexpie_hardware.emulators.glove"
HOST = f"127.{1 + os.getpid() % 250}.{os.getpid() // 250 % 250}.9"


def free_address() -> str:
    with zmq.Context() as context, context.socket(zmq.PUB) as probe:
        return f"tcp://{HOST}:{probe.bind_to_random_port(f'tcp://{HOST}')}"


def test_a_bridge_is_heard_and_heard_again_when_it_comes_back(tmp_path: Path) -> None:
    address = free_address()
    angles = {ANATOMICAL.get(name, name): 10.0 for name in CHANNEL_SIGNALS}
    said = encode(GloveReading("Left", "0", tuple(angles.items())))
    parameters = {"source": "zmq", "zmq_address": address, "side": "left", "aliases": ANATOMICAL_ALIASES}
    with Peer() as peer, Driver(NODE, tmp_path / "manus_glove.log", parameters) as driver:
        status, glove = Status(peer, "manus_glove"), peer.listen(topics.GLOVE)
        with Emulator(EMULATOR, tmp_path, "--no-ros", "--zmq", address) as emulator:
            emulator.tell("names", anatomical=True)
            found = peer.collect(glove, lambda found: len(found) >= 30)
            assert {message.side for message in found} == {"left"}
            assert set(CHANNEL_SIGNALS) <= set(found[-1].names)
            status.await_level(OK, "live")
        status.await_level(ERROR, "silent")
        glove.newest()
        with zmq.Context() as context, context.socket(zmq.PUB) as bridge:
            bridge.bind(address)
            with Repeating(120.0, lambda: bridge.send(said)):
                peer.collect(glove, lambda found: len(found) >= 10)
                status.await_level(OK, "live")
        assert driver.stop() == 0
