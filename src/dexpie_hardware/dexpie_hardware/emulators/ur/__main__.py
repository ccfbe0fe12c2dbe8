"""Runs an emulated UR controller: `ur_emulator --host ADDRESS --control SOCKET`."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np

from dexpie_core.plant import ArmTarget
from dexpie_core.se3 import Array
from dexpie_hardware.emulators.control import ControlServer
from dexpie_hardware.emulators.plant_link import PlantLink
from dexpie_hardware.emulators.realtime import be_like_hardware
from dexpie_hardware.emulators.ur.controller import Controller, Settings
from dexpie_hardware.emulators.ur.faults import Faults
from dexpie_hardware.emulators.ur.server import Server
from dexpie_hardware.emulators.ur.variables import MODELS

PLANT_PERIOD_S: Final = 0.05


def _joints(text: str) -> tuple[float, ...]:
    q = tuple(float(part) for part in text.split(","))
    if len(q) != 6:
        raise argparse.ArgumentTypeError(f"{text!r} must be six joint angles in rad")
    return q


def _socket(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder of {text!r} does not exist")
    return path


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="ur_emulator",
        description="A UR controller: RTDE on port 30004, programs on 30003, dashboard on 29999.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--model", choices=sorted(MODELS), default="cb3", help="controller generation")
    add("--control", type=_socket, required=True, help="Unix socket of the control channel")
    add("--plant", type=_socket, help="Unix socket of the physics that moves the joints")
    add("--wait-for-plant", action="store_true", help="take no clients before the physics has answered")
    add("--initial-q", type=_joints, default=defaults.initial_q, metavar="Q1,...,Q6", help="rad")
    add("--paused-when-stopped", action="store_true", help="a protective stop pauses the program")
    add("--lag", type=float, metavar="S", help="lag of the servo in s (default: the lookahead time sent)")
    add("--unlock-after", type=float, default=defaults.unlock_after_s, metavar="S", help="s before an unlock")
    add("--protective-force", type=float, default=defaults.protective_force_n, metavar="N", help="limit in N")
    add("--program-start", type=float, default=defaults.program_start_s, metavar="S", help="s until it plays")
    add("--power-change", type=float, default=defaults.power_change_s, metavar="S", help="s to power up")
    return parser


def main() -> int:
    """Entry point."""
    options = _parser().parse_args()
    settings = Settings(
        initial_q=options.initial_q,
        lag_s=options.lag,
        paused_when_stopped=options.paused_when_stopped,
        unlock_after_s=options.unlock_after,
        protective_force_n=options.protective_force,
        program_start_s=options.program_start,
        power_change_s=options.power_change,
        plant=options.plant is not None,
    )
    try:
        return _serve(options, settings)
    except KeyboardInterrupt:  # while waiting for the physics
        return 0
    except OSError as error:
        print(f"ur_emulator: {error}", file=sys.stderr)
        return 1


def _await(plant: PlantLink, q_rad: Array) -> None:
    """A controller that its driver finds booting is started by /arm/recover only: appear when it is up."""
    while plant.exchange(ArmTarget(0, q_rad)) is None:
        time.sleep(PLANT_PERIOD_S)


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    plant = None if options.plant is None else PlantLink(options.plant)
    if plant is not None and options.wait_for_plant:
        _await(plant, np.array(settings.initial_q))
    controller = Controller(MODELS[options.model], settings, time.monotonic())
    server = Server(options.host, controller, plant)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    with ControlServer(options.control, Faults(server).commands()):
        be_like_hardware()
        print(f"ready {options.host}", flush=True)
        server.run()
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
