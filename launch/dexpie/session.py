"""Records the episodes of a collection on a running graph, one after the other; a process of its own."""

from __future__ import annotations

import contextlib
import math
import sys
import time

import rclpy

from dexpie.collection import as_collected
from dexpie.episode_tables import coverage_text
from dexpie.episode_watch import EpisodeWatch, Verdict
from dexpie.graph_client import GraphClient, Refused
from dexpie.operator_access import OperatorAccess
from dexpie.session_desk import SessionDesk
from dexpie.session_prompts import prompt_for
from dexpie.session_records import SessionOptions
from dexpie.takeover import TakeoverKeys
from dexpie_core.collection import CORRECTION_TIMES, CollectedEpisode, Phase, PlannedEpisode
from dexpie_core.errors import DexpieError
from dexpie_core.modes import Mode
from dexpie_core.topics import EPISODE_END_SERVICE, EPISODE_START_SERVICE, SIM_RESET_SERVICE
from dexpie_msgs.msg import SceneState

LOOK_EVERY_S = 0.5
END_HEARD_S = 2.0
DISCARDS_IN_A_ROW = 3  # without a person who discards, something is wrong with the cell


class Session:
    """Walks the protocol: resets the scene or has a person do it, starts, watches, ends."""

    def __init__(self, options: SessionOptions) -> None:
        self.options = options
        collection = options.collection
        self.desk = SessionDesk(collection.plan, as_collected(collection.episodes()))
        self._client = GraphClient("session")
        self._access = OperatorAccess(self._client, self.desk, options.task)
        self._client.start()

    def close(self) -> None:
        """Leave the graph."""
        self._client.close()

    def run(self) -> None:
        """Record until the plan is fulfilled or the operator has stopped; tell each episode as it ends."""
        discards = 0
        while planned := self._plan_next():
            episode = self._run_episode(planned)
            if episode is None:
                continue
            discards = discards + 1 if episode.outcome == "discard" else 0
            if discards == DISCARDS_IN_A_ROW and not self.options.by_person:
                raise DexpieError(
                    f"{discards} episodes in a row could not be recorded; the reasons are above"
                )
        if self.desk.stopped:
            print(f"stopped by the operator after {self.desk.count} episodes; the same command goes on")

    def _plan_next(self) -> PlannedEpisode | None:
        with self._client.changed:
            planned = self.desk.plan_next()
        self._access.publish()
        return planned

    def _enter(self, phase: Phase, prompt: str = "") -> None:
        with self._client.changed:
            self.desk.enter(phase, prompt)
        self._access.publish()

    def _run_episode(self, planned: PlannedEpisode) -> CollectedEpisode | None:
        """From the reset of the scene to the finished bag; None where the operator wants none of it."""
        o = self.options
        if o.simulated:
            self._reset_scene(planned)
        if o.by_person:
            self._await_person(planned)
        if self.desk.stopped or self.desk.left:
            return None
        name = self._start(planned)
        print(f"{_told(planned)}: recording", flush=True)
        self._enter(Phase.CORRECTION if planned.is_correction else Phase.ATTEMPT)
        started_s = time.monotonic()
        limit_s = (o.limit_s or math.inf) * (CORRECTION_TIMES if planned.is_correction else 1.0)
        verdict = self._let_go() or self._watch(name, EpisodeWatch(started_s, limit_s))
        duration_s = time.monotonic() - started_s
        verdict = self._end(name, verdict)
        with contextlib.suppress(Refused):
            self._client.set_mode(Mode.IDLE)
        episode = CollectedEpisode(name, planned.stage, planned.seed, verdict.outcome, planned.pair_id)
        with self._client.changed:
            self.desk.add(episode)
        reason = f" ({verdict.reason})" if verdict.reason else ""
        print(
            f"episode {self.desk.count}/{o.episodes} {_told(planned)}: {verdict.outcome}{reason}, "
            f"{duration_s:.1f} s; {coverage_text(self.desk.coverage)}",
            flush=True,
        )
        return episode

    def _reset_scene(self, planned: PlannedEpisode) -> None:
        """Executor idle, scene and robot in their start state."""
        with contextlib.suppress(Refused):  # a robot pressed against something is freed by the reset only
            self._client.insist_on_mode(Mode.IDLE, limit_s=1.0)
        self._client.call(SIM_RESET_SERVICE, task=self.options.task, stage=planned.stage, seed=planned.seed)
        self._client.insist_on_mode(Mode.IDLE)

    def _await_person(self, planned: PlannedEpisode) -> None:
        """Until the person has prepared the scene, has stopped or wants another stage."""
        o, desk, problem = self.options, self.desk, ""
        while True:
            prompt = prompt_for(planned, o.task, o.simulated, o.kind == "demonstration", problem)
            self._enter(Phase.WAITING, prompt)
            print(f"waiting for you: {prompt}, then continue", flush=True)
            self._client.wait_for(lambda: desk.continued or desk.stopped or desk.left)
            problem = self._client.fault
            if desk.stopped or desk.left or not problem:
                return

    def _start(self, planned: PlannedEpisode) -> str:
        """Start recording; the identity of the episode."""
        o = self.options
        operated = o.kind == "demonstration" or planned.is_correction or o.takeover
        reply = self._client.call(
            EPISODE_START_SERVICE, episode_id="", task=o.task, stage=planned.stage, kind=o.kind,
            policy_id=o.policy_id, operator_name=o.operator if operated else "", seed=planned.seed,
            pair_id=planned.pair_id, positions=o.positions,
        )  # fmt: skip
        return str(reply.episode_id)

    def _let_go(self) -> Verdict | None:
        """Let the policy drive; with a person, the verdict where the executor refuses."""
        if self.options.kind != "rollout":
            return None
        if not self.options.by_person:
            self._client.insist_on_mode(Mode.AUTONOMOUS)
            return None
        try:
            self._client.set_mode(Mode.AUTONOMOUS)
        except Refused as refusal:
            return Verdict("discard", str(refusal))
        return None

    def _watch(self, name: str, watch: EpisodeWatch) -> Verdict | None:
        """The verdict of the scene or of time; None: somebody else has ended the episode."""
        client = self._client
        client.scene = None
        keys = TakeoverKeys(watch.started_s) if self.options.takeover else None
        while True:
            client.wait_for(lambda: client.scene is not None or self._ended(name), LOOK_EVERY_S)
            with client.changed:
                scene, client.scene = client.scene, None
            if self._ended(name):
                return None
            if keys is not None and (wanted := keys.due(time.monotonic(), client.mode)) is not None:
                with contextlib.suppress(Refused):
                    client.set_mode(wanted)
            verdict = self._judge(watch, scene, time.monotonic())
            if verdict:
                return verdict

    def _judge(self, watch: EpisodeWatch, scene: SceneState | None, now_s: float) -> Verdict | None:
        """A person judges by ending the episode; else the scene does, then a fault, then time."""
        if self.options.by_person:
            return watch.over(now_s)
        verdict = None
        if scene is not None:
            verdict = watch.heard(now_s, scene.success, scene.failure, scene.reason)
        if verdict is None and self._client.fault:
            verdict = Verdict("failure", f"fault: {self._client.fault}")
        return verdict or watch.passed(now_s)

    def _ended(self, name: str) -> bool:
        ended = self._client.ended
        return ended is not None and ended.episode_id == name

    def _end(self, name: str, verdict: Verdict | None) -> Verdict:
        """The bag is whole when this returns. What somebody else has decided meanwhile is what counts."""
        if verdict is not None:
            try:
                self._client.call(EPISODE_END_SERVICE, outcome=verdict.outcome, reason=verdict.reason)
                return verdict
            except Refused:
                if not self._client.wait_for(lambda: self._ended(name), END_HEARD_S):
                    raise
        event = self._client.ended
        assert event is not None
        return Verdict(event.outcome, event.reason)


def _told(planned: PlannedEpisode) -> str:
    correction = " correction" if planned.is_correction else ""
    return f"stage {planned.stage} seed {planned.seed}{correction}"


def main() -> None:
    """Entry point: `python -m dexpie.session JSON`."""
    options = SessionOptions.from_json(sys.argv[1])
    rclpy.init(args=[])
    try:
        session = Session(options)
        try:
            session.run()
        finally:
            session.close()
    except DexpieError as error:
        sys.exit(f"session: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
