"""Records episodes on a running graph: resets the scene, starts, watches, ends; a process of its own."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import rclpy
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from dexpie.episode_watch import EpisodeWatch, Verdict
from dexpie.session_records import EpisodeRecord, SessionOptions, write_results
from dexpie_core.errors import DexpieError
from dexpie_core.modes import Mode
from dexpie_core.topics import (
    ARM_RECOVER_SERVICE,
    EPISODE_END_SERVICE,
    EPISODE_START_SERVICE,
    MODE,
    SCENE_STATE,
    SET_MODE_SERVICE,
    SIM_RESET_SERVICE,
)
from dexpie_msgs.msg import Mode as ModeMessage
from dexpie_msgs.msg import SceneState
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


class Session:
    """A client of the graph's services; its executor spins in a thread, the session itself is sequential."""

    def __init__(self, options: SessionOptions) -> None:
        self.options = options
        self._node = rclpy.create_node("session")
        self._changed = threading.Condition()
        self._scenes: deque[SceneState] = deque(maxlen=1)
        self._fault = ""
        self._clients: dict[str, Client[Any, Any]] = {
            name: self._node.create_client(kind, name) for name, kind in SERVICES.items()
        }
        self._node.create_subscription(SceneState, SCENE_STATE.name, self._on_scene, profile(SCENE_STATE))
        self._node.create_subscription(ModeMessage, MODE.name, self._on_mode, profile(MODE))
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop spinning and leave the graph."""
        self._executor.shutdown()
        self._thread.join(1.0)
        self._node.destroy_node()

    def _on_scene(self, message: SceneState) -> None:
        with self._changed:
            self._scenes.append(message)
            self._changed.notify_all()

    def _on_mode(self, message: ModeMessage) -> None:
        with self._changed:
            self._fault = (message.reason or "no reason given") if message.mode == int(Mode.FAULT) else ""
            self._changed.notify_all()

    def _call(self, name: str, **fields: object) -> Any:
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

    def _request_mode(self, mode: Mode, limit_s: float = MODE_LIMIT_S) -> None:
        """Ask until the mode is granted; an arm that has stopped itself is released first."""
        until_s = time.monotonic() + limit_s
        while True:
            try:
                self._call(SET_MODE_SERVICE, mode=int(mode), reason="session")
                return
            except Refused:
                if time.monotonic() > until_s:
                    raise
            self._call(ARM_RECOVER_SERVICE)
            time.sleep(MODE_PAUSE_S)  # the arm's next status must reach the executor

    def _put_back(self, seed: int) -> None:
        """Executor idle, scene and robot in their start state."""
        with contextlib.suppress(
            Refused
        ):  # a robot pressed against something cannot become idle before the reset
            self._request_mode(Mode.IDLE, limit_s=1.0)
        self._call(SIM_RESET_SERVICE, task=self.options.task, stage=self.options.stage, seed=seed)
        self._request_mode(Mode.IDLE)

    def run_episode(self, seed: int) -> EpisodeRecord:
        """One episode, from the reset of the scene to the finished bag."""
        o = self.options
        self._put_back(seed)
        self._call(
            EPISODE_START_SERVICE, episode_id="", task=o.task, stage=o.stage, kind=o.kind,
            policy_id=o.policy_id, operator_name="" if o.kind == "rollout" else o.operator, seed=seed,
            pair_id="",
        )  # fmt: skip
        print(f"seed {seed}: recording", flush=True)
        started_s = time.monotonic()
        if o.kind == "rollout":
            self._request_mode(Mode.AUTONOMOUS)
        verdict = self._watch(EpisodeWatch(started_s, o.limit_s))
        duration_s = time.monotonic() - started_s
        ended = self._call(EPISODE_END_SERVICE, outcome=verdict.outcome, reason=verdict.reason)
        with contextlib.suppress(Refused):
            self._call(SET_MODE_SERVICE, mode=int(Mode.IDLE), reason="session: the episode has ended")
        return EpisodeRecord(seed, o.kind, verdict.outcome, verdict.reason, duration_s, ended.bag_path)

    def _next_scene(self) -> SceneState | None:
        """Await the next scene state for a while."""
        with self._changed:
            self._scenes.clear()
            self._changed.wait_for(lambda: bool(self._scenes), timeout=0.5)
            return self._scenes[-1] if self._scenes else None

    def _watch(self, watch: EpisodeWatch) -> Verdict:
        while True:
            scene = self._next_scene()
            now_s = time.monotonic()
            if scene is not None:
                verdict = watch.heard(now_s, scene.success, scene.failure, scene.reason)
                if verdict:
                    return verdict
            if self._fault:
                return Verdict("failure", f"fault: {self._fault}")
            if verdict := watch.passed(now_s):
                return verdict


def run_session(options: SessionOptions) -> None:
    """Record every seed's episode, telling each as it ends."""
    session = Session(options)
    records: list[EpisodeRecord] = []
    try:
        for index, seed in enumerate(options.seeds, start=1):
            record = session.run_episode(seed)
            records.append(record)
            write_results(records, Path(options.results))
            told = f"{record.outcome}{f' ({record.reason})' if record.reason else ''}"
            print(
                f"episode {index}/{len(options.seeds)} seed {seed}: {told}, {record.duration_s:.1f} s",
                flush=True,
            )
    finally:
        session.close()


def main() -> None:
    """Entry point: `python -m dexpie.session JSON`."""
    fields = json.loads(sys.argv[1])
    options = SessionOptions(**{**fields, "seeds": tuple(fields["seeds"])})
    rclpy.init(args=[])
    try:
        run_session(options)
    except DexpieError as error:
        sys.exit(f"session: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
