"""The example of docs/hardware.md, 'add your own': the file itself, with the executor on the other side."""

import time
from pathlib import Path

import numpy as np
import pytest

from dexpie_core import messages, topics
from dexpie_core.modes import Mode
from dexpie_ros.factory import make
from dexpie_ros.testing import NodeProcess, Peer, Repeating

pytestmark = pytest.mark.processes

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "own_hand.py"
HOME = np.eye(4)
HOME[:3, 3] = (0.4, 0.1, 0.3)


def test_the_executor_works_with_a_hand_of_ones_own(tmp_path: Path) -> None:
    with (
        NodeProcess(EXAMPLE, tmp_path / "hand.log") as hand,
        NodeProcess("dexpie_teleop.executor_node", tmp_path / "executor.log"),
        Peer() as peer,
    ):
        tcp, status = peer.advertise(topics.TCP_POSE), peer.advertise(topics.ARM_STATUS)
        states, modes = peer.listen(topics.HAND_STATE), peer.listen(topics.MODE)

        def arm() -> None:
            tcp.publish(messages.pose_stamped(make, HOME, time.time_ns()))
            status.publish(messages.arm_status(make, time.time_ns(), ready=True))

        with Repeating(50.0, arm):
            mode = peer.collect(modes, lambda found: len(found) >= 1)[-1]
            assert messages.mode_of(mode) is Mode.IDLE
            np.testing.assert_allclose(messages.reference15(mode)[9:], 1.0)
            found = peer.collect(states, lambda found: len(found) >= 10)
            assert not any(np.any(m.error) for m in found)
        assert hand.stop() == 0


def test_the_hand_moves_when_commanded_and_refuses_nonsense(tmp_path: Path) -> None:
    with NodeProcess(EXAMPLE, tmp_path / "hand.log") as hand, Peer() as peer:
        commands, states = peer.advertise(topics.HAND_COMMAND), peer.listen(topics.HAND_STATE)
        header = messages.header(make, 0)

        def send(position: list[float]) -> None:
            commands.publish(make(topics.HAND_COMMAND.type, header=header, position=position))

        with Repeating(25.0, lambda: send([0.3] * 6)):
            peer.collect(states, lambda found: bool(found) and bool(np.allclose(found[-1].position, 0.3)))
        with Repeating(25.0, lambda: send([float("nan")] * 6)):
            found = peer.collect(states, lambda found: len(found) >= 20)
        np.testing.assert_allclose(found[-1].position, 0.3)
        assert hand.stop() == 0


GONE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("own_hand", sys.argv.pop(1))
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)

class Gone(example.MyHand):
    def read(self):
        raise OSError("no such device")

example.MyHand = Gone
sys.exit(example.run(example.OwnHandDriver))
"""


def test_a_hand_that_is_gone_is_told_with_the_bit_that_stops_the_robot(tmp_path: Path) -> None:
    script = tmp_path / "gone.py"
    script.write_text(GONE.replace("sys.argv.pop(1)", repr(str(EXAMPLE))))
    with NodeProcess(script, tmp_path / "hand.log"), Peer() as peer:
        states, reports = peer.listen(topics.HAND_STATE), peer.listen(topics.DIAGNOSTICS)
        message = peer.collect(states, lambda found: len(found) >= 1)[0]
        assert list(message.error) == [16] * 6
        report = peer.collect(reports, lambda found: len(found) >= 1)[0].status[0]
        assert (report.level, report.message) == (b"\x02", "no such device")
