"""The recorder on a machine whose wall clock is set back by an hour once the file of this name exists."""

import sys
import time
from pathlib import Path

HOUR_NS = 3600 * 10**9
real_time_ns = time.time_ns
parameter = next(argument for argument in sys.argv if argument.startswith("record_dir:="))
flag = Path(parameter.removeprefix("record_dir:=").strip("'")).parent / "clock_is_set_back"


def stepped_time_ns() -> int:
    return real_time_ns() - HOUR_NS * flag.exists()


if __name__ == "__main__":
    time.time_ns = stepped_time_ns
    from dexpie_teleop.episode_node import main

    sys.exit(main())
