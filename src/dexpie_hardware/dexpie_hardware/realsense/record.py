"""Makes a .db3 recording of the test pattern with librealsense's own recorder, to try out source `file`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from dexpie_core.errors import DexpieError
from dexpie_hardware.realsense import library
from dexpie_hardware.realsense.frames import Domain
from dexpie_hardware.realsense.pattern import Pattern
from dexpie_hardware.realsense.software import SoftwareCamera


def record(rs: Any, path: Path, frames: int, rate_hz: int = 60, width: int = 640, height: int = 480) -> None:
    """Record frames numbered from 1 at the pace of their rate; the file appears when it is whole."""
    partial = path.with_name(f".{path.stem}.partial.db3")
    partial.unlink(missing_ok=True)  # of one that was killed
    try:
        _record(rs, partial, frames, rate_hz, width, height)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _record(rs: Any, path: Path, frames: int, rate_hz: int, width: int, height: int) -> None:
    camera = SoftwareCamera(rs, width, height, rate_hz)
    pattern = Pattern(width, height)
    recorder = rs.recorder(str(path), camera.device)
    sensor = recorder.query_sensors()[0]
    sensor.open(camera.profile)
    sensor.start(rs.frame_queue(1))
    begin_s, begin_ms = time.monotonic(), 1e3 * time.time()
    for number in range(1, frames + 1):
        time.sleep(max(0.0, begin_s + number / rate_hz - time.monotonic()))
        camera.send(pattern.draw(number), number, begin_ms + 1e3 * number / rate_hz, Domain.GLOBAL_TIME)
    sensor.stop()
    sensor.close()
    del sensor, recorder  # what is left is written when the recorder goes


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="file to write, .db3")
    parser.add_argument("--frames", type=int, default=600, help="number of frames (default 600)")
    parser.add_argument("--rate-hz", type=int, default=60, help="frames a second (default 60)")
    parser.add_argument("--width-px", type=int, default=640, help="width, px (default 640)")
    parser.add_argument("--height-px", type=int, default=480, help="height, px (default 480)")
    options = parser.parse_args()
    if options.out.suffix != ".db3":
        parser.error(f"out: {options.out} must end with .db3")
    if options.frames < 1 or options.rate_hz < 1:
        parser.error("--frames and --rate-hz must be 1 or more")
    try:
        record(
            library.load(), options.out, options.frames, options.rate_hz, options.width_px, options.height_px
        )
    except (DexpieError, RuntimeError, ValueError, OSError) as error:
        print(f"record: {options.out}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
