"""The episode manager node: announces episodes, and records each into one bag."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rclpy.serialization import serialize_message

from dexpie_bags import (
    EpisodeBagWriter,
    WriteError,
    free_bytes,
    move_to_trash,
    recover_partials,
    typestore,
)
from dexpie_core import messages, topics
from dexpie_core.episode import EpisodeEnd, EpisodeStart, Outcome
from dexpie_core.errors import DexpieError, UsageError
from dexpie_ros.factory import make
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, parameter, run
from dexpie_ros.polling import PolledSubscription
from dexpie_ros.qos import recording_profile
from dexpie_teleop.recorder_clock import RecordingClock
from dexpie_teleop.recorder_episode import RecordedEpisode
from dexpie_teleop.recorder_streams import StreamMonitor

POLL_RATE_HZ = 20.0  # the queues of recording_profile hold two seconds
STRAGGLERS_S = 0.3  # a picture taken before the end may arrive after it
_SAME_MOMENT_NS = 1_000_000
_MIB = 2**20


@dataclass(frozen=True)
class EpisodeParameters:
    """Where and what to record."""

    task: str = parameter("", "task of the episodes whose start does not name one")
    record_dir: str = parameter("", "folder that the bags are written into; empty: nothing is recorded")
    min_free_mib: int = parameter(512, "free space below which no episode starts [MiB]")
    reserve_mib: int = parameter(64, "free space below which a running episode is ended [MiB]")

    def __post_init__(self) -> None:
        if not 0 < self.reserve_mib <= self.min_free_mib:
            raise ValueError(
                f"reserve_mib {self.reserve_mib} must be above 0 and at most min_free_mib {self.min_free_mib}"
            )


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
        self._streams = {s.spec.name: StreamMonitor(s.spec) for s in self._recorded}
        self._events = self.advertise(topics.EPISODE_EVENT)
        self._episode: RecordedEpisode | None = None
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
        """Write what has arrived; a disk that refuses it ends the episode, and keeps the bag."""
        try:
            self._drain(self._episode)
        except WriteError as error:
            self._problem = str(error)
            self.get_logger().error(self._problem)
            try:
                self._end("discard", f"the disk refused the recording: {error}")
            except DexpieError as worse:
                self._problem = str(worse)
                self.get_logger().error(self._problem)

    def _drain(self, episode: RecordedEpisode | None) -> None:
        if episode is not None:
            episode.clock.observe(*_clocks())
        for subscription in self._recorded:
            spec = subscription.spec
            for taken in subscription.take():
                if episode is None:
                    self._streams[spec.name].pass_by(taken.publisher, taken.sequence)
                else:
                    received_ns = taken.received_ns or time.time_ns()
                    episode.take(spec, taken.message, received_ns, taken.publisher, taken.sequence)
        if episode is not None:
            episode.flush_if_due()

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
                positions=request.positions,
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
        self._drain(None)  # what came before the episode is not part of it
        self._look_for_publishers()
        writer = None
        if self._folder is not None:
            writer = EpisodeBagWriter(
                self._folder / start.episode_id,
                min_free_bytes=self.parameters.min_free_mib * _MIB,
                reserve_bytes=self.parameters.reserve_mib * _MIB,
            )
        episode = RecordedEpisode(start, writer, RecordingClock(*_clocks()), self._streams)
        event = messages.episode_start(make, start, episode.start_ns)
        try:
            episode.event(serialize_message(event))
            for subscription in self._recorded:
                if subscription.spec.qos == "latched" and subscription.latest is not None:
                    episode.write(subscription.spec, episode.start_ns, subscription.latest.message)
            episode.flush()
        except WriteError:
            episode.abandon()
            raise
        self._episode, self._problem = episode, ""
        self._events.publish(event)

    def _look_for_publishers(self) -> None:
        for subscription in self._recorded:
            self._streams[subscription.spec.name].published = subscription.publishers > 0

    def _end_episode(self, request: Any, response: Any) -> None:
        if self._episode is None:
            response.message = "no episode is running"
            return
        try:
            EpisodeEnd(request.outcome)  # a wrong one is refused before anything is written
            path = self._end(request.outcome, request.reason)
        except (ValueError, DexpieError, OSError) as error:
            response.message = str(error)
            return
        if request.outcome == "discard" and path is not None:
            try:
                path = move_to_trash(path)
                response.message = f"kept in {path}"
            except OSError as error:
                response.message = f"kept in {path}, it cannot be moved to the trash: {error.strerror}"
        response.accepted, response.bag_path = True, str(path or "")

    def _end(self, outcome: Outcome, reason: str, *, ros_is_up: bool = True) -> Path | None:
        """Close the running episode; its bag is durable when this returns. Whatever fails, it is over."""
        episode, self._episode = self._episode, None
        if episode is None:
            return None
        # Closing writes what is refused here, with the room that was kept for it, and raises if it cannot.
        with contextlib.suppress(WriteError):
            if ros_is_up:
                self._drain(episode)
        end = EpisodeEnd(outcome, reason, episode.gaps())
        event = messages.episode_end(make, episode.start, end, episode.clock.now_ns)
        if ros_is_up:
            self._events.publish(event)
        with contextlib.suppress(WriteError):
            episode.event(serialize_message(event))
            episode.flush()
            if ros_is_up:
                self._take_stragglers(episode)
        path = episode.finish()
        self._finished += path is not None
        self._tell(path, episode, end)
        return path

    def _take_stragglers(self, episode: RecordedEpisode) -> None:
        end_ns = episode.clock.now_ns
        deadline_s = time.monotonic() + STRAGGLERS_S
        while not episode.complete(end_ns) and time.monotonic() < deadline_s:
            time.sleep(1.0 / POLL_RATE_HZ)
            self._drain(episode)

    def _tell(self, path: Path | None, episode: RecordedEpisode, end: EpisodeEnd) -> None:
        if path is None:
            return
        lines = [f"{path}: {end.outcome}, {episode.length_s:.1f} s, {episode.messages} messages"]
        lines += [f"{path.name} has a gap: {gap}" for gap in end.gaps]
        for line in lines:
            print(f"[episode_manager] {line}", file=sys.stderr, flush=True)

    def report(self) -> Report:
        """OK when it could record now and nothing is missing."""
        values: dict[str, object] = {"episodes": self._finished, **self.timing_values()}
        no_room = self._look_at_disk(values)
        episode = self._episode
        if episode is None:
            problem = self._problem or no_room
            return Report(Level.ERROR if problem else Level.OK, problem or "ready", values)
        self._look_for_publishers()
        episode.clock.observe(*_clocks())
        values |= {"episode": episode.start.episode_id, "messages": episode.messages, **episode.counts()}
        troubles = episode.troubles()
        message = "recording" if not troubles else f"recording; {'; '.join(troubles)}"
        return Report(Level.WARN if troubles else Level.OK, message, values)

    def _look_at_disk(self, values: dict[str, object]) -> str:
        """Adds what is free; returns why no episode can start, if none can."""
        if self._folder is None:
            return ""
        free_mib = free_bytes(self._folder) / _MIB
        values["free_mib"] = round(free_mib)
        if free_mib >= self.parameters.min_free_mib:
            return ""
        return f"{self._folder}: {free_mib:.0f} MiB free, an episode needs {self.parameters.min_free_mib} MiB"

    def finish(self) -> None:
        """An open episode is ended with its reason; its bag is whole and stays where it is."""
        if self._episode is None:
            return
        try:
            self._drain(self._episode)
        except Exception as error:  # ROS is gone already: what was taken before is in the bag
            self.get_logger().debug(f"last messages not taken: {error}")
        self._end("discard", "the graph was stopped", ros_is_up=False)


def _clocks() -> tuple[int, int]:
    """Wall clock and monotonic clock, read at one moment, ns."""
    while True:
        before_ns, wall_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if after_ns - before_ns < _SAME_MOMENT_NS:
            return wall_ns, after_ns


def main() -> int:
    """Entry point."""
    return run(EpisodeNode)


if __name__ == "__main__":
    sys.exit(main())
