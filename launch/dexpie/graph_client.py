"""A client of a running graph: calls its services, hears scene, mode and episode; sequential for its user."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from dexpie_core.errors import DexpieError
from dexpie_core.messages import EVENT_END, mode_of
from dexpie_core.modes import Mode
from dexpie_core.topics import (
    ARM_RECOVER_SERVICE,
    EPISODE_END_SERVICE,
    EPISODE_EVENT,
    EPISODE_START_SERVICE,
    MODE,
    SCENE_STATE,
    SET_MODE_SERVICE,
    SIM_RESET_SERVICE,
    TopicSpec,
)
from dexpie_msgs.msg import EpisodeEvent, SceneState
from dexpie_msgs.msg import Mode as ModeMessage
from dexpie_msgs.srv import EndEpisode, ResetScene, SetMode, StartEpisode
from dexpie_ros.qos import profile

CALL_TIMEOUT_S = 15.0
SERVICES = {
    SIM_RESET_SERVICE: ResetScene,
    EPISODE_START_SERVICE: StartEpisode,
    EPISODE_END_SERVICE: EndEpisode,
    SET_MODE_SERVICE: SetMode,
    ARM_RECOVER_SERVICE: Trigger,
}
MODE_LIMIT_S = 5.0
MODE_PAUSE_S = 0.2


class Refused(DexpieError):
    """A service of the graph said no."""


class GraphClient:
    """Its executor spins in a thread; what that thread writes is guarded by `changed`."""

    def __init__(self, name: str) -> None:
        self.node = rclpy.create_node(name)
        self.changed = threading.Condition()
        self.scene: SceneState | None = None  # newest; the reader sets it back to None
        self.fault = ""
        self.mode = Mode.IDLE
        self.ended: EpisodeEvent | None = None  # END of the newest episode
        self._clients: dict[str, Client[Any, Any]] = {
            name: self.node.create_client(kind, name) for name, kind in SERVICES.items()
        }
        self._listen(SceneState, SCENE_STATE, self._on_scene)
        self._listen(ModeMessage, MODE, self._on_mode)
        self._listen(EpisodeEvent, EPISODE_EVENT, self._on_event)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)

    def start(self) -> None:
        """Begin to listen, once all that is offered is there."""
        self._thread.start()

    def close(self) -> None:
        """Stop spinning and leave the graph."""
        self._executor.shutdown()
        self._thread.join(1.0)
        self.node.destroy_node()

    def _listen(self, kind: type[Any], spec: TopicSpec, take: Callable[[Any], None]) -> None:
        def taken(message: Any) -> None:
            with self.changed:
                take(message)
                self.changed.notify_all()

        self.node.create_subscription(kind, spec.name, taken, profile(spec))

    def _on_scene(self, message: SceneState) -> None:
        self.scene = message

    def _on_mode(self, message: ModeMessage) -> None:
        self.mode = mode_of(message)
        self.fault = (message.reason or "no reason given") if self.mode is Mode.FAULT else ""

    def _on_event(self, message: EpisodeEvent) -> None:
        self.ended = message if message.event == EVENT_END else None

    def call(self, name: str, **fields: object) -> Any:
        """Call a service; a refusal or silence is a DexpieError that names it."""
        client = self._clients[name]
        if not client.wait_for_service(CALL_TIMEOUT_S):
            raise DexpieError(f"{name}: nobody offers it after {CALL_TIMEOUT_S:g} s")
        answered = threading.Event()
        future = client.call_async(SERVICES[name].Request(**fields))
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(CALL_TIMEOUT_S):
            raise DexpieError(f"{name}: no answer within {CALL_TIMEOUT_S:g} s")
        reply: Any = future.result()
        if not getattr(reply, "accepted", True):
            raise Refused(f"{name}: refused: {reply.message}")
        return reply

    def set_mode(self, mode: Mode) -> None:
        """Ask for a mode once."""
        self.call(SET_MODE_SERVICE, mode=int(mode), reason="session")

    def insist_on_mode(self, mode: Mode, limit_s: float = MODE_LIMIT_S) -> None:
        """Ask until the mode is granted, releasing an arm that has stopped itself; for simulated cells."""
        until_s = time.monotonic() + limit_s
        while True:
            try:
                self.set_mode(mode)
                return
            except Refused:
                if time.monotonic() > until_s:
                    raise
            self.call(ARM_RECOVER_SERVICE)
            time.sleep(MODE_PAUSE_S)  # the arm's next status must reach the executor

    def wait_for(self, condition: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Await a condition on what was heard, looked at again at every message."""
        with self.changed:
            return self.changed.wait_for(condition, timeout_s)
