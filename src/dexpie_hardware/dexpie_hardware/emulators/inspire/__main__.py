"""`inspire_emulator --link PATH`: a hand that serial programs open at PATH; prints "ready PATH"."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from pathlib import Path

from dexpie_hardware.emulators.control import ControlServer
from dexpie_hardware.emulators.inspire.commands import HandCommands
from dexpie_hardware.emulators.inspire.line import LineConfig
from dexpie_hardware.emulators.inspire.model import HandModel
from dexpie_hardware.emulators.inspire.server import HandServer
from dexpie_hardware.emulators.plant_link import PlantLink
from dexpie_hardware.emulators.realtime import be_like_hardware


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="An Inspire RH56DFX hand on a pseudo-terminal.")
    parser.add_argument("--link", type=Path, required=True, help="symbolic link to make for the terminal")
    parser.add_argument("--control", type=Path, help="Unix socket for emulator_control")
    parser.add_argument("--plant", type=Path, help="socket of the physics that moves the fingers")
    parser.add_argument("--hand-id", type=int, default=1, help="id on the line, 1..254 (default 1)")
    parser.add_argument(
        "--travel-s", type=float, default=0.8, help="full travel of a finger at speed 1000, s (default 0.8)"
    )
    parser.add_argument(
        "--turnaround-ms",
        type=float,
        default=LineConfig.turnaround_s * 1e3,
        help="from a request's last byte to its answer's first, ms (default 3.6)",
    )
    parser.add_argument(
        "--one-block-reads",
        action="store_true",
        help="do not answer reads that cover more than one register block",
    )
    return parser


def main() -> int:
    """Exit status: 0 after a signal, 1 where the terminal or a socket cannot be made, 2 for wrong use."""
    parser = _parser()
    options = parser.parse_args()
    if not 1 <= options.hand_id <= 254 or options.travel_s <= 0 or options.turnaround_ms < 0:
        parser.error("--hand-id must be in 1..254, --travel-s positive, --turnaround-ms not negative")
    model = HandModel(options.hand_id, options.travel_s, joined=options.plant is not None)
    model.answers_across_gaps = not options.one_block_reads
    with contextlib.ExitStack() as stack:
        try:
            plant = None if options.plant is None else PlantLink(options.plant)
            line_config = LineConfig(turnaround_s=options.turnaround_ms * 1e-3)
            server = HandServer(options.link, model, line_config, plant)
            if options.control is not None:
                stack.enter_context(ControlServer(options.control, HandCommands(server).by_name()))
        except OSError as error:
            print(f"inspire_emulator: {error}", file=sys.stderr)
            return 1
        signal.signal(signal.SIGTERM, server.stop)
        signal.signal(signal.SIGINT, server.stop)
        print(f"ready {options.link}", flush=True)
        be_like_hardware()
        server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
