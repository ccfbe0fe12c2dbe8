"""The controller: safety, power, program and arm, advanced by explicit `now`. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dexpie_core import ur5
from dexpie_core.plant import ArmState, ArmTarget
from dexpie_core.se3 import Array
from dexpie_hardware.emulators.ur.arm import Arm, Load
from dexpie_hardware.emulators.ur.motion import Brake
from dexpie_hardware.emulators.ur.outputs import Outputs
from dexpie_hardware.emulators.ur.poses import ScriptError
from dexpie_hardware.emulators.ur.program import Program, ProgramEvent, RuntimeState, Watchdog
from dexpie_hardware.emulators.ur.registers import Registers
from dexpie_hardware.emulators.ur.safety import (
    SAFETY_TABLE,
    WITHOUT_POWER,
    Power,
    PowerEvent,
    RobotMode,
    SafetyEvent,
    SafetyMode,
)
from dexpie_hardware.emulators.ur.script import SERVO_CODES, ControlScript
from dexpie_hardware.emulators.ur.variables import RobotModel

# A stop brings the arm to rest in this time.
BRAKING_S: Final = 0.1
MAX_CATCH_UP_CYCLES: Final = 50
OVERSPEED: Final = 1.2
PLANT_SILENT_S: Final = 0.5
SERVO_LOG_ENTRIES: Final = 20_000


@dataclass(frozen=True)
class Settings:
    """What differs between robots, and the waits that tests shorten."""

    initial_q: tuple[float, ...] = (0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0)
    lag_s: float | None = None  # of the servo; None: the lookahead time of the command
    paused_when_stopped: bool = False  # whether a protective stop pauses the program
    unlock_after_s: float = 5.0
    protective_force_n: float = 150.0
    program_start_s: float = 0.1
    power_change_s: float = 0.2
    plant: bool = False  # joints are moved by physics outside


class Controller:
    """All that the robot is; servers only carry its bytes. Its program works on it as a ScriptRobot."""

    def __init__(self, model: RobotModel, settings: Settings, now: float) -> None:
        self.model = model
        self.settings = settings
        self.cycle_s = model.cycle_s
        self.arm = Arm(np.array(settings.initial_q))
        self.inputs = Registers("input")
        self.outputs = Registers("output")
        self.switched = Outputs()
        self.safety_mode = SafetyMode.NORMAL
        self.power = Power(
            RobotMode.BOOTING if settings.plant else RobotMode.RUNNING, settings.power_change_s
        )
        self.program = Program(settings.program_start_s)
        self.remote_control = True
        self.commands_received = 0
        self.cycle = 0
        self.skipped_cycles = 0
        self.servo_log: deque[tuple[float, ...]] = deque(maxlen=SERVO_LOG_ENTRIES)
        self.script_log: deque[tuple[float, int, str]] = deque(maxlen=500)
        self.message_log: deque[str] = deque(maxlen=50)
        self._messages: list[str] = []
        self._now = self._started_s = now
        self._go = 1.0  # 1: moves freely, 0: is braked
        self._stopped_at_s = 0.0
        self._resets = 0
        self._plant_known = False
        self._unanswered = 0  # cycles without a state of the physics, each of which sent a target

    @property
    def timestamp_s(self) -> float:
        """Time since the controller was started, in whole cycles."""
        return self.cycle * self.cycle_s

    @property
    def next_cycle_s(self) -> float:
        """When the next cycle is due."""
        return self._started_s + (self.cycle + 1) * self.cycle_s

    @property
    def accepts_programs(self) -> bool:
        """Whether programs sent over the network are run: PolyScope 5 does so in remote control only."""
        return self.remote_control or not self.model.e_series

    @property
    def operational(self) -> bool:
        """Whether the arm may move."""
        return self.safety_mode == SafetyMode.NORMAL and self.power.mode == RobotMode.RUNNING

    def advance(self, now: float, measured: ArmState | None = None) -> bool:
        """Run what is due: one cycle of the program, all cycles of the joints. False: nothing is due."""
        due = int((now - self._started_s) * self.model.cycle_hz + 1e-6) - self.cycle
        if due <= 0:
            return False
        self._now = now
        self.cycle += due
        self.skipped_cycles += due - 1
        if self.settings.plant:
            self._take_measured(measured)
        self.power.tick(now)
        self._start_program()
        try:
            if not self.program.cycle(now):
                self.stop_program()
            self._move(min(due, MAX_CATCH_UP_CYCLES))
        except ScriptError as error:
            self.stop_program(str(error))
        self._settle()
        self._supervise()
        return True

    def _take_measured(self, state: ArmState | None) -> None:
        if state is None:
            self._unanswered += 1
            if self._plant_known and self._unanswered * self.cycle_s > PLANT_SILENT_S:
                self.safety_event(SafetyEvent.FAULT, "the physics is silent")
            return
        self._unanswered = 0
        if not self._plant_known or state.resets != self._resets:
            self.carry(state.q_rad)
        self._plant_known = True
        self._resets = state.resets
        self.arm.measure(state.q_rad, state.qd_rad_s, state.contact_force_n)
        self.power.apply(PowerEvent.BOOTED)

    def _start_program(self) -> None:
        if not self.program.start_due(self._now):
            return
        if not self.operational:
            self.tell("program not started: the robot is not ready")
            return
        # TCP and payload of the program before are gone: those of the installation hold.
        self.arm.load = Load()
        self.program.start(ControlScript(self))

    def _move(self, cycles: int) -> None:
        free = self.operational and self.program.moving_allowed
        change = (1.0 if free else -1.0) * self.cycle_s / BRAKING_S
        for _ in range(cycles):
            self._go = min(1.0, max(0.0, self._go + change))
            self.arm.step(
                self.cycle_s, self._go * self.switched.speed_slider, follows=not self.settings.plant
            )

    def _settle(self) -> None:
        stands = self._go == 0.0
        if self.program.state == RuntimeState.STOPPING and (stands or self.arm.motion.finished):
            self.arm.stand()
            self.program.apply(ProgramEvent.SETTLED)
        elif stands or self.program.state == RuntimeState.RESUMING:
            self.program.apply(ProgramEvent.SETTLED)
        if stands and self.safety_mode in WITHOUT_POWER:
            self.power.apply(PowerEvent.POWER_OFF)

    def _supervise(self) -> None:
        if not self.operational:
            return
        speed = float(np.max(np.abs(self.arm.qd)))
        if self.arm.contact_force_n > self.settings.protective_force_n:
            self.protective_stop(f"contact force {self.arm.contact_force_n:.0f} N")
        elif self.arm.at_limit:
            self.protective_stop("joint limit")
        elif speed > OVERSPEED * ur5.MAX_JOINT_SPEED_RAD_S:
            self.protective_stop(f"joint speed {speed:.2f} rad/s")

    # what happens to the robot

    def carry(self, q: Array) -> None:
        """The joints were moved from outside: the program ends, what is measured is the new reference."""
        self.stop_program("the arm was moved")
        self.arm.carry(q)

    def plant_target(self) -> ArmTarget:
        """What the motors are to do."""
        return ArmTarget(self._resets, self.arm.q_ref)

    def safety_event(self, event: SafetyEvent, cause: str = "") -> None:
        """Apply an event of the safety system, if it changes anything."""
        mode = SAFETY_TABLE[self.safety_mode].get(event)
        if mode is None:
            return
        self.safety_mode = mode
        if mode in WITHOUT_POWER:
            self.stop_program()
        elif mode == SafetyMode.PROTECTIVE_STOP:
            self._stopped_at_s = self._now
        if mode == SafetyMode.SAFEGUARD_STOP or (
            mode == SafetyMode.PROTECTIVE_STOP and self.settings.paused_when_stopped
        ):
            self.program.apply(ProgramEvent.PAUSE)
        if cause:
            self.tell(cause)

    def protective_stop(self, cause: str) -> None:
        """Stop the arm until it is unlocked."""
        self.safety_event(SafetyEvent.PROTECTIVE_STOP, f"protective stop: {cause}")

    def unlock(self) -> bool:
        """Unlock a protective stop; False where it is too young for that."""
        if self._now - self._stopped_at_s < self.settings.unlock_after_s:
            return False
        self.safety_event(SafetyEvent.UNLOCK)
        return True

    def power_on(self) -> None:
        """Begin to power up, unless a stop forbids it."""
        if self.safety_mode not in WITHOUT_POWER:
            self.power.switch_on(self._now)

    def power_off(self) -> None:
        """Take the power away at once; the program ends."""
        self.stop_program()
        self.arm.stand()
        self._go = 0.0
        self.power.apply(PowerEvent.POWER_OFF)

    def brake_release(self) -> None:
        """Begin to release the brakes."""
        self.power.release_brakes(self._now)

    def upload(self) -> None:
        """A control program was sent: it takes the place of the one that runs."""
        self.stop_program()
        self.program.upload(self._now)

    def stop_program(self, cause: str = "") -> None:
        """End the program and bring the arm to rest."""
        if self.program.stop():
            self.arm.motion = Brake(self.arm.qd_ref, BRAKING_S)
            if cause:
                self.tell(f"program stopped: {cause}")

    def play(self) -> bool:
        """Go on with a paused program; False where there is none or the arm may not move."""
        return self.operational and self.program.apply(ProgramEvent.RESUME)

    def pause(self) -> bool:
        """Pause the program; False where none plays."""
        return self.program.apply(ProgramEvent.PAUSE)

    def write_inputs(self, values: Mapping[str, Any], now: float) -> None:
        """Take the values of a data package."""
        for name, value in values.items():
            if (place := self.inputs.places.get(name)) is not None:
                place[0][place[1]] = value
        if "input_int_register_0" in values:
            self.commands_received += 1
            if (code := self.inputs.ints[0]) in SERVO_CODES:
                self.servo_log.append((now - self._started_s, code, *self.inputs.doubles[:6]))
            if self.program.watchdog is not None:
                self.program.watchdog.fed_s = now
        self.switched.write(values)

    def take_messages(self) -> list[str]:
        """The error texts since the last call."""
        taken, self._messages = self._messages, []
        return taken

    # what the program can do (ScriptRobot)

    def servo_lag_s(self, lookahead_s: float) -> float:
        """Lag of the servo for a command's lookahead time."""
        return lookahead_s if self.settings.lag_s is None else self.settings.lag_s

    def watch(self, min_frequency_hz: float) -> None:
        """Stop the program when register 0 is not written this often; 0 ends the watch."""
        self.program.watchdog = Watchdog(min_frequency_hz, self._now) if min_frequency_hz > 0.0 else None

    def tell(self, message: str) -> None:
        """A text message for all clients."""
        self._messages.append(message)
        self.message_log.append(message)

    def record(self, code: int, name: str) -> None:
        """Keep what the program was asked to do."""
        self.script_log.append((self.timestamp_s, code, name))
