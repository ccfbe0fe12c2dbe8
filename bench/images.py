"""Raw camera images from two processes to a third."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from measure import Result

PROCESS = Path(__file__).parents[1] / "src/dexpie_ros/test/image_process_for_tests.py"
COUNT, RATE_HZ = 240, 60.0


def image_transport() -> Result:
    """Share of two 640x480 rgb8 streams at 60 Hz that arrives: our Fast DDS profile against the default."""
    ours = _delivered(dict(os.environ))
    plain = {k: v for k, v in os.environ.items() if k != "FASTDDS_DEFAULT_PROFILES_FILE"}
    theirs = _delivered(plain)
    ratio = ours / theirs if theirs else None
    details = "two cameras, 4 s each"
    return Result("image_transport", "%", ours * 100, "Fast DDS default", theirs * 100, ratio, details)


def _delivered(environment: dict[str, str]) -> float:
    environment["ROS_DOMAIN_ID"] = str(random.randint(1, 100))

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(PROCESS), *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    subscriber = start("subscribe", "front", "wrist")
    subscriber.stdout.readline()
    publishers = [start("publish", camera, str(COUNT), str(RATE_HZ)) for camera in ("front", "wrist")]
    sent = sum(int(p.communicate(timeout=90)[0]) for p in publishers)
    subscriber.send_signal(signal.SIGINT)
    return int(subscriber.communicate(timeout=30)[0]) / sent
