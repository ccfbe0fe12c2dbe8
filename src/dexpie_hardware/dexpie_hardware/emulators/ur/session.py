"""One RTDE client: its set-up, its recipes, what it is sent. Pure."""

from __future__ import annotations

import struct
from collections import Counter
from itertools import chain
from typing import Final

from dexpie_hardware.emulators.ur.controller import Controller
from dexpie_hardware.emulators.ur.protocol import (
    VERSION,
    Level,
    Package,
    ProtocolError,
    Recipe,
    encode,
    encode_text,
    parse_names,
    parse_output_setup,
    take_packages,
)
from dexpie_hardware.emulators.ur.telemetry import Telemetry
from dexpie_hardware.emulators.ur.variables import INPUTS

NOT_FOUND: Final = "NOT_FOUND"
IN_USE: Final = "IN_USE"
MAX_RECIPES: Final = 255


class Claims:
    """Which client writes which input variable: each has one owner."""

    def __init__(self) -> None:
        self._owners: dict[str, object] = {}

    def taken(self, name: str, client: object) -> bool:
        """Whether another client owns the variable."""
        return self._owners.get(name, client) is not client

    def claim(self, names: list[str], client: object) -> None:
        """Make a client the owner."""
        self._owners.update(dict.fromkeys(names, client))

    def release(self, client: object) -> None:
        """Forget a client."""
        self._owners = {name: owner for name, owner in self._owners.items() if owner is not client}


class RtdeSession:
    """Takes the bytes of a client and gives back what is to be sent."""

    def __init__(self, controller: Controller, telemetry: Telemetry, claims: Claims) -> None:
        self._controller = controller
        self._telemetry = telemetry
        self._claims = claims
        self._buffer = bytearray()
        self._inputs: dict[int, Recipe] = {}
        self._output: Recipe | None = None
        self._frequency_hz = 0.0
        self._first_cycle: int | None = None
        self._sent = -1
        self.started = False
        self.received: Counter[str] = Counter()

    def receive(self, data: bytes, now: float) -> bytes:
        """Handle bytes of the client; the answer. ProtocolError where the connection has to be closed."""
        self._buffer += data
        return b"".join([self._handle(kind, payload, now) for kind, payload in take_packages(self._buffer)])

    def due(self) -> bytes:
        """The data package of this cycle, empty where the client's frequency does not ask for one."""
        if not self.started or self._output is None:
            return b""
        if self._first_cycle is None:
            self._first_cycle = self._controller.cycle
        since_s = (self._controller.cycle - self._first_cycle) * self._controller.cycle_s
        number = int(since_s * self._frequency_hz + 1e-6)
        if number == self._sent:
            return b""
        self._sent = number
        return self._output.encode(list(chain.from_iterable(getter() for getter in self._getters)))

    def close(self) -> None:
        """Give back the claimed registers."""
        self._claims.release(self)

    def _handle(self, kind: int, payload: bytes, now: float) -> bytes:
        self.received[chr(kind)] += 1
        match kind:
            case Package.DATA:
                return self._data(payload, now)
            case Package.VERSION:
                accepted = payload == struct.pack(">H", VERSION)
                return encode(Package.VERSION, bytes([accepted]))
            case Package.CONTROL_VERSION:
                return encode(Package.CONTROL_VERSION, struct.pack(">4I", *self._controller.model.version))
            case Package.SETUP_OUTPUTS:
                return self._setup_outputs(payload)
            case Package.SETUP_INPUTS:
                return self._setup_inputs(payload)
            case Package.START:
                self.started = self._output is not None
                self._first_cycle, self._sent = None, -1
                return encode(Package.START, bytes([self.started]))
            case Package.PAUSE:
                self.started = False
                return encode(Package.PAUSE, b"\x01")
        return encode_text(Level.ERROR, "RTDE", f"unknown package type {kind}")

    def _setup_outputs(self, payload: bytes) -> bytes:
        frequency_hz, names = parse_output_setup(payload)
        types = [self._telemetry.types.get(name) for name in names]
        highest_hz = self._controller.model.cycle_hz
        self._frequency_hz = frequency_hz if 0.0 < frequency_hz < highest_hz else highest_hz
        known = [wire_type for wire_type in types if wire_type is not None]
        self._output = None
        if names and len(known) == len(names):
            self._output = Recipe(1, names, known)
            self._getters = [self._telemetry.getter(name) for name in names]
        words = [NOT_FOUND if wire_type is None else wire_type.name for wire_type in types]
        return encode(Package.SETUP_OUTPUTS, bytes([self._output is not None]) + ",".join(words).encode())

    def _setup_inputs(self, payload: bytes) -> bytes:
        names = parse_names(payload)
        words = [self._input_word(name) for name in names]
        recipe_id = 0
        if names and not {NOT_FOUND, IN_USE} & set(words) and len(self._inputs) < MAX_RECIPES:
            recipe_id = len(self._inputs) + 1
            self._inputs[recipe_id] = Recipe(recipe_id, names, [INPUTS[name] for name in names])
            self._claims.claim(names, self)
        return encode(Package.SETUP_INPUTS, bytes([recipe_id]) + ",".join(words).encode())

    def _input_word(self, name: str) -> str:
        if name not in INPUTS:
            return NOT_FOUND
        return IN_USE if self._claims.taken(name, self) else INPUTS[name].name

    def _data(self, payload: bytes, now: float) -> bytes:
        recipe = self._inputs.get(payload[0]) if payload else None
        if recipe is None:
            return encode_text(Level.ERROR, "RTDE", "data package of a recipe that was not set up")
        try:
            self._controller.write_inputs(recipe.decode(payload), now)
        except ProtocolError as error:
            return encode_text(Level.ERROR, "RTDE", str(error))
        return b""
