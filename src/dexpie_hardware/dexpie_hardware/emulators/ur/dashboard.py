"""The dashboard: one line of text asks or orders, one line answers. Pure.

Texts: Universal Robots' dashboard pages and client library.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from dexpie_hardware.emulators.ur.controller import Controller
from dexpie_hardware.emulators.ur.program import RuntimeState
from dexpie_hardware.emulators.ur.safety import SafetyEvent

GREETING = "Connected: Universal Robots Dashboard Server"
GOODBYE = "Disconnected"
TOO_EARLY = (
    "Cannot unlock protective stop until 5s after occurrence. "
    "Always inspect cause of protective stop before unlocking"
)


class Dashboard:
    """Answers the lines of all clients."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._loaded = ""
        self.popup = ""
        self.log: deque[str] = deque(maxlen=100)
        self._exact: dict[str, Callable[[], str]] = {
            "play": self._play,
            "pause": self._pause,
            "stop": self._stop,
            "unlock protective stop": self._unlock,
            "close popup": self._close_popup,
            "close safety popup": lambda: "closing safety popup",
            "power on": lambda: self._do(self._controller.power_on, "Powering on"),
            "power off": lambda: self._do(self._controller.power_off, "Powering off"),
            "brake release": lambda: self._do(self._controller.brake_release, "Brake releasing"),
            "restart safety": self._restart_safety,
            "running": lambda: f"Program running: {str(self._running).lower()}",
            "robotmode": lambda: f"Robotmode: {self._controller.power.mode.name}",
            "safetymode": lambda: f"Safetymode: {self._controller.safety_mode.name}",
            "safetystatus": lambda: f"Safetystatus: {self._controller.safety_mode.name}",
            "programstate": self._program_state,
            "polyscopeversion": lambda: self._controller.model.polyscope,
            "get robot model": lambda: self._controller.model.robot_model,
            "get loaded program": self._loaded_program,
            "isprogramsaved": lambda: f"true {self._loaded}".strip(),
            "shutdown": lambda: self._do(self._controller.power_off, "Shutting down"),
            "quit": lambda: GOODBYE,
        }
        if controller.model.e_series:
            self._exact["get serial number"] = lambda: self._controller.model.serial_number
            self._exact["is in remote control"] = lambda: str(self._controller.remote_control).lower()

    def answer(self, line: str) -> str:
        """The answer to one line."""
        self.log.append(line)
        text = line.strip()
        handler = self._exact.get(text.lower())
        if handler is not None:
            return handler()
        word, _, rest = text.partition(" ")
        match word.lower():
            case "load":
                self._loaded = rest
                return f"Loading program: {rest}"
            case "popup":
                self.popup = rest
                return "showing popup"
            case "addtolog":
                return "Added log message"
            case "setuserrole":
                return f"Setting user role: {rest}"
        return f"could not understand: '{text}'"

    @property
    def _running(self) -> bool:
        return self._controller.program.state == RuntimeState.PLAYING

    def _do(self, action: Callable[[], None], text: str) -> str:
        action()
        return text

    def _play(self) -> str:
        return "Starting program" if self._controller.play() else "Failed to execute: play"

    def _pause(self) -> str:
        return "Pausing program" if self._controller.pause() else "Failed to execute: pause"

    def _stop(self) -> str:
        self._controller.stop_program()
        return "Stopped"

    def _unlock(self) -> str:
        return "Protective stop releasing" if self._controller.unlock() else TOO_EARLY

    def _close_popup(self) -> str:
        self.popup = ""
        return "closing popup"

    def _restart_safety(self) -> str:
        self._controller.safety_event(SafetyEvent.RESTART)
        return "Restarting safety"

    def _program_state(self) -> str:
        state = self._controller.program.state
        word = state.name if state in (RuntimeState.PLAYING, RuntimeState.PAUSED) else "STOPPED"
        return f"{word} {self._loaded or 'unnamed'}"

    def _loaded_program(self) -> str:
        return f"Loaded program: {self._loaded}" if self._loaded else "No program loaded"
