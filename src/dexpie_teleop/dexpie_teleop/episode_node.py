"""The episode manager node: announces episodes, and records each into one bag."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rclpy.serialization import serialize_message

from dexpie_bags import DiskFullError, EpisodeBagWriter, recover_partials, typestore
from dexpie_core import messages, topics
from dexpie_core.episode import EpisodeEnd, EpisodeStart
from dexpie_core.errors import DexpieError, UsageError
from dexpie_core.topics import TopicSpec
from dexpie_ros.factory import make
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, parameter, run
from dexpie_ros.polling import PolledSubscription
from dexpie_ros.qos import recording_profile

POLL_RATE_HZ = 20.0  # the queues of recording_profile hold two seconds


@dataclass(frozen=True)
class EpisodeParameters:
    """Where and what to record."""

    task: str = parameter("", "task of the episodes whose start does not name one")
    record_dir: str = parameter("", "folder that the bags are written into; empty: nothing is recorded")


@dataclass
class _Episode:
    """The running episode."""

    start: EpisodeStart
    writer: EpisodeBagWriter | None
    begun_ns: int


class EpisodeNode(LoopNode):
    """Takes every recorded topic undecoded and writes it on its own thread; START and END go in directly."""

    def __init__(self) -> None:
        super().__init__("episode_manager")
        self.parameters = declare(self, EpisodeParameters)
        self._folder = self._record_folder()
        self._recorded = [
            PolledSubscription(self, spec, raw=True, qos=recording_profile(spec))
            for spec in topics.RECORDED
            if self._folder is not None and spec.name != topics.EPISODE_EVENT.name
        ]
        self._events = self.advertise(topics.EPISODE_EVENT)
        self._episode: _Episode | None = None
        self._last_id = ""
        self._problem = ""
        self._finished = 0
        service = "dexpie_msgs/srv/"
        self.serve(topics.EPISODE_START_SERVICE, service + "StartEpisode", self._start_episode)
        self.serve(topics.EPISODE_END_SERVICE, service + "EndEpisode", self._end_episode)
        self.start(POLL_RATE_HZ, niceness=5)

    def _record_folder(self) -> Path | None:
        if not self.parameters.record_dir:
            return None
        typestore()  # read now, not when the first episode begins
        folder = Path(self.parameters.record_dir)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"record_dir {folder}: {error.strerror}") from error
        for recovered in recover_partials(folder):
            what = f"recovered as {recovered.bag}" if recovered.bag else "held nothing and was removed"
            self.get_logger().warning(f"{recovered.partial}: left by a killed recorder, {what}")
        return folder

    def step(self) -> None:
        """Write what has arrived; a full disk ends the episode."""
        try:
            self._drain()
        except DiskFullError as error:
            self._problem = str(error)
            self.get_logger().error(self._problem)
            self._end(EpisodeEnd("discard", "disk is full"))

    def _drain(self) -> None:
        writer = self._episode.writer if self._episode is not None else None
        for subscription in self._recorded:
            for taken in subscription.take():
                if writer is not None:
                    self._write(writer, subscription.spec, taken.received_ns or time.time_ns(), taken.message)
        if writer is not None:
            writer.flush_if_due(time.time_ns())

    @staticmethod
    def _write(writer: EpisodeBagWriter, spec: TopicSpec, stamp_ns: int, cdr: bytes) -> None:
        if spec.name not in writer.topics:
            writer.add_topic(spec)
        writer.write(spec.name, stamp_ns, cdr)

    def _start_episode(self, request: Any, response: Any) -> None:
        if self._episode is not None:
            response.message = f"episode {self._episode.start.episode_id} is running: end it first"
            return
        try:
            start = EpisodeStart(
                episode_id=request.episode_id or self._new_id(request.task or self.parameters.task),
                task=request.task or self.parameters.task,
                stage=request.stage or "initial",
                kind=request.kind or "demonstration",
                policy_id=request.policy_id,
                operator=request.operator_name,
                seed=int(request.seed),
                pair_id=request.pair_id,
            )
            self._begin(start)
        except (ValueError, DexpieError, OSError) as error:
            response.message = str(error)
            return
        response.accepted, response.episode_id = True, start.episode_id

    def _new_id(self, task: str) -> str:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        base = f"{task or 'episode'}-{now}"
        number, name = 1, base
        while name == self._last_id or (self._folder is not None and (self._folder / name).exists()):
            number += 1
            name = f"{base}-{number}"
        self._last_id = name
        return name

    def _begin(self, start: EpisodeStart) -> None:
        self._drain()  # what came before the episode is not part of it
        writer = EpisodeBagWriter(self._folder / start.episode_id) if self._folder is not None else None
        now_ns = time.time_ns()
        event = messages.episode_start(make, start, now_ns)
        self._episode = _Episode(start, writer, now_ns)
        self._problem = ""
        if writer is not None:
            self._write(writer, topics.EPISODE_EVENT, now_ns, serialize_message(event))
            for subscription in self._recorded:
                if subscription.spec.qos == "latched" and subscription.latest is not None:
                    self._write(writer, subscription.spec, now_ns, subscription.latest.message)
        self._events.publish(event)

    def _end_episode(self, request: Any, response: Any) -> None:
        if self._episode is None:
            response.message = "no episode is running"
            return
        try:
            end = EpisodeEnd(request.outcome, request.reason)
            self._drain()
            path = self._end(end)
        except (ValueError, DexpieError, OSError) as error:
            response.message = str(error)
            return
        response.accepted, response.bag_path = True, str(path or "")

    def _end(self, end: EpisodeEnd, announce: bool = True) -> Path | None:
        """Close the running episode; its bag is durable when this returns."""
        episode, self._episode = self._episode, None
        if episode is None:
            return None
        now_ns = time.time_ns()
        event = messages.episode_end(make, episode.start, end, now_ns)
        if announce:
            self._events.publish(event)
        if episode.writer is None:
            return None
        self._write(episode.writer, topics.EPISODE_EVENT, now_ns, serialize_message(event))
        path = episode.writer.finish()
        self._finished += 1
        length_s = (now_ns - episode.begun_ns) * 1e-9
        total = sum(episode.writer.counts.values())
        print(
            f"[episode_manager] {path}: {end.outcome}, {length_s:.1f} s, {total} messages",
            file=sys.stderr,
            flush=True,
        )
        return path

    def report(self) -> Report:
        """OK when it could record now."""
        episode = self._episode
        values: dict[str, object] = {"episodes": self._finished, **self.timing_values()}
        if episode is not None:
            values["episode"] = episode.start.episode_id
            values["messages"] = sum(episode.writer.counts.values()) if episode.writer else 0
        if self._problem:
            return Report(Level.ERROR, self._problem, values)
        return Report(Level.OK, "ready" if episode is None else "recording", values)

    def finish(self) -> None:
        """An open episode is discarded, with its reason; its bag is whole."""
        if self._episode is None:
            return
        try:
            self._drain()
        except Exception as error:  # ROS is gone already: what was taken before is in the bag
            self.get_logger().debug(f"last messages not taken: {error}")
        self._end(EpisodeEnd("discard", "the graph was stopped"), announce=False)


def main() -> int:
    """Entry point."""
    return run(EpisodeNode)


if __name__ == "__main__":
    sys.exit(main())
