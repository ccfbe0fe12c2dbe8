"""The executor node on a machine whose clock somebody sets: by so many ns as $CLOCK_STEP_FILE says."""

import os
import sys
import time
from pathlib import Path

from dexpie_teleop.executor_node import main

STEP_FILE = Path(os.environ["CLOCK_STEP_FILE"])
true_time_ns = time.time_ns

time.time_ns = lambda: true_time_ns() + int(STEP_FILE.read_text())
time.time = lambda: time.time_ns() * 1e-9

if __name__ == "__main__":
    sys.exit(main())
