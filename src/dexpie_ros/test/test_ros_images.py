"""Two cameras' raw images get through: the Fast DDS profile carries what the default transports lose."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.realtime

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")

PROCESS = Path(__file__).with_name("image_process_for_tests.py")
RATE_HZ = 60.0
COUNT = 240  # four seconds of each camera


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(PROCESS), *arguments], stdout=subprocess.PIPE, text=True)


def delivered() -> float:
    """Fraction of the images sent by two publisher processes that reached a subscriber process."""
    subscriber = start("subscribe", "front", "wrist")
    processes = [subscriber]
    try:
        assert subscriber.stdout.readline().strip() == "ready"
        publishers = [start("publish", camera, str(COUNT), str(RATE_HZ)) for camera in ("front", "wrist")]
        processes += publishers
        sent = sum(int(p.communicate(timeout=90)[0]) for p in publishers)
        subscriber.send_signal(signal.SIGINT)
        return int(subscriber.communicate(timeout=30)[0]) / sent
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def test_two_cameras_at_60_hz_lose_at_most_one_image_in_a_hundred():
    # A busy build machine can starve the subscriber; a transport that loses images loses them every time.
    fractions = []
    for _ in range(3):
        fractions.append(delivered())
        if fractions[-1] >= 0.99:
            return
    pytest.fail(f"delivered {fractions}")
