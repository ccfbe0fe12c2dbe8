"""Carries the bytes: three listening ports, one thread, cycles on an absolute schedule."""

from __future__ import annotations

import queue
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from dexpie_core.plant import ArmState
from dexpie_hardware.emulators.plant_link import PlantLink
from dexpie_hardware.emulators.ur.clients import Client, DashboardConnection, RtdeConnection, ScriptConnection
from dexpie_hardware.emulators.ur.controller import Controller
from dexpie_hardware.emulators.ur.dashboard import Dashboard
from dexpie_hardware.emulators.ur.protocol import Level, ProtocolError, encode_text
from dexpie_hardware.emulators.ur.session import Claims, RtdeSession
from dexpie_hardware.emulators.ur.telemetry import Telemetry

CONTROL_PROGRAM: Final = "rtde_control"
CALL_TIMEOUT_S: Final = 4.0


class Server:
    """Runs a controller for its network clients until `stop`."""

    def __init__(self, host: str, controller: Controller, plant: PlantLink | None = None) -> None:
        self.controller = controller
        self.dashboard = Dashboard(controller)
        self.clients: list[Client] = []
        self.hung_until_s = 0.0  # the controller does nothing at all
        self.silent_until_s = 0.0  # it goes on, but nothing comes or goes over the network
        self.ignore_programs = False
        self.programs_received = 0
        self._plant = plant
        self._telemetry = Telemetry(controller)
        self._claims = Claims()
        self._stopping = False
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._network = selectors.DefaultSelector()
        self._wake_only = selectors.DefaultSelector()
        for selector in (self._network, self._wake_only):
            selector.register(self._wake_in, selectors.EVENT_READ, self._run_calls)
        self._listeners: list[socket.socket] = []
        self._listen(host, RtdeConnection.port, self._new_rtde)
        self._listen(host, ScriptConnection.port, lambda s: ScriptConnection(s, self._new_program))
        self._listen(host, DashboardConnection.port, lambda s: DashboardConnection(s, self.dashboard))

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopping:
            now = time.monotonic()
            if now < self.hung_until_s:
                self._serve(self._wake_only, self.hung_until_s - now)
                continue
            silent = now < self.silent_until_s
            self._serve(self._wake_only if silent else self._network, self.controller.next_cycle_s - now)
            self._cycle(silent)

    def stop(self) -> None:
        """Make `run` return; may be called from a signal handler."""
        self._stopping = True
        self._wake_out.send(b"x")

    def close(self) -> None:
        """Close all sockets."""
        for client in self.clients:
            client.close()
        for end in (*self._listeners, self._wake_in, self._wake_out):
            end.close()
        for selector in (self._network, self._wake_only):
            selector.close()

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function on the serving thread and return its result; for other threads."""
        future: Future[Any] = Future()
        self._calls.put((function, future))
        self._wake_out.send(b"x")
        return future.result(CALL_TIMEOUT_S)

    def drop(self, client: Client) -> None:
        """Close the connection of a client."""
        self.clients.remove(client)
        self._network.unregister(client.socket)
        client.close()

    def _serve(self, selector: selectors.BaseSelector, timeout_s: float) -> None:
        for key, _ in selector.select(min(max(0.0, timeout_s), 1.0)):
            key.data()

    def _cycle(self, silent: bool) -> None:
        now = time.monotonic()
        if now < self.controller.next_cycle_s:
            return
        self.controller.advance(now, self._measured())
        if silent:
            return
        messages = self.controller.take_messages()
        texts = b"".join(encode_text(Level.ERROR, "controller", text) for text in messages)
        for client in list(self.clients):
            if isinstance(client, RtdeConnection):
                try:
                    if texts:
                        client.send(texts)
                    client.send_newest(client.session.due())
                except OSError:
                    self.drop(client)

    def _measured(self) -> ArmState | None:
        if self._plant is None:
            return None
        state = self._plant.exchange(self.controller.plant_target())
        return state if isinstance(state, ArmState) else None

    def _run_calls(self) -> None:
        self._wake_in.recv(4096)
        while not self._calls.empty():
            function, future = self._calls.get()
            try:
                future.set_result(function())
            except (TypeError, ValueError, LookupError) as error:
                future.set_exception(error)

    def _listen(self, host: str, port: int, accepted: Callable[[socket.socket], Client]) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise OSError(f"{host}:{port}: {error.strerror}") from error
        listener.listen()
        self._listeners.append(listener)
        listener.setblocking(False)
        self._network.register(listener, selectors.EVENT_READ, lambda: self._accept(listener, accepted))

    def _accept(self, listener: socket.socket, accepted: Callable[[socket.socket], Client]) -> None:
        connection, _ = listener.accept()
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = accepted(connection)
        except OSError:  # the peer has gone again
            connection.close()
            return
        self.clients.append(client)
        self._network.register(connection, selectors.EVENT_READ, lambda: self._read(client))

    def _read(self, client: Client) -> None:
        if client not in self.clients:
            return  # dropped by an event before in the same batch
        try:
            open_still = client.read(time.monotonic())
        except (OSError, ProtocolError):
            open_still = False
        if not open_still:
            self.drop(client)

    def _new_rtde(self, connection: socket.socket) -> Client:
        return RtdeConnection(connection, RtdeSession(self.controller, self._telemetry, self._claims))

    def _new_program(self, name: str, text: bytes) -> None:
        self.programs_received += 1
        if self.ignore_programs or not self.controller.accepts_programs:
            return
        if name == CONTROL_PROGRAM:
            self.controller.upload()
        else:
            self.controller.stop_program(f"program {name} is not modelled")
