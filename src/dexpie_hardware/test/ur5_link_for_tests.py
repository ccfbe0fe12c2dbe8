"""A process with a genuine link to the controller at argv[1], which tries to stream unfit numbers.

ur_rtde locks the interpreter while it connects, so that no test may hold a link in its own process.
"""

import contextlib
import math
import sys
import time

from dexpie_hardware.ur5.link import Link
from dexpie_hardware.ur5.parameters import Ur5Parameters

UNFIT = ([0.1] * 5, [0.1] * 7, [], [math.nan] + [0.1] * 5, [0.1] * 5 + [math.inf])


def main() -> None:
    """Says 'running'; after a line how many attempts were refused; after another streams one fit pose."""
    link = Link(Ur5Parameters(host=sys.argv[1]))
    link.start_program()
    while not link.program_running():
        time.sleep(0.01)
    print("running", flush=True)
    sys.stdin.readline()
    refused = 0
    for numbers in UNFIT:
        for servo in (link.servo_pose, link.servo_joints):
            with contextlib.suppress(ValueError):
                servo(numbers)
                continue
            refused += 1
    print(refused, flush=True)
    sys.stdin.readline()
    link.servo_pose(link.read().tcp)
    link.shut_down()


if __name__ == "__main__":
    main()
