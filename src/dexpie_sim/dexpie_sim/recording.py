"""Writes a lockstep episode as the same bag that the graph's recorder writes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dexpie_bags import EpisodeBagWriter, make, serialize
from dexpie_core import messages, topics
from dexpie_core.episode import EpisodeEnd, EpisodeStart
from dexpie_sim.camera_info import camera_info
from dexpie_sim.cell import CellState
from dexpie_sim.render import encode_jpeg

if TYPE_CHECKING:
    from dexpie_sim.lockstep import LockstepCell, Tick

_STATUS_PERIOD_TICKS = 25


class EpisodeRecorder:
    """Takes ticks, writes messages. The bag appears under its name when `finish` returns."""

    def __init__(self, folder: Path, start: EpisodeStart, cell: "LockstepCell", cameras: bool) -> None:
        self._cell, self._start, self._cameras = cell, start, cameras
        self._writer = EpisodeBagWriter(folder)
        for spec in topics.RECORDED:
            if cameras or not spec.name.startswith("/camera/"):
                self._writer.add_topic(spec)
        self._write(topics.EPISODE_EVENT, messages.episode_start(make, start, cell.stamp_ns), cell.stamp_ns)

    def tick(self, tick: "Tick") -> None:
        """Everything of one tick."""
        stamp = tick.stamp_ns
        self._state(tick.state, stamp)
        scene = tick.scene
        self._write(
            topics.SCENE_STATE,
            messages.scene_state(
                make,
                scene.names,
                scene.values,
                scene.success,
                scene.failure,
                scene.reason,
                scene.stage,
                stamp,
            ),
            stamp,
        )
        if self._cell.tick_index % _STATUS_PERIOD_TICKS == 0 or tick.protective_stop:
            status = messages.arm_status(make, stamp, not tick.protective_stop, tick.protective_stop)
            self._write(topics.ARM_STATUS, status, stamp)
        if self._cameras:
            self._pictures(stamp)
        self._teleoperation(tick)
        self._policy(tick)
        if tick.output.mode_changed:
            self._write(topics.MODE, messages.mode(make, tick.output, stamp), stamp)
        self._write(topics.EXECUTED_ACTION, messages.executed_action(make, tick.output, stamp), stamp)

    def halfway(self) -> None:
        """Device states in the middle of a tick: they are published at 50 Hz."""
        cell = self._cell
        self._state(cell.cell.observe(), cell.stamp_ns + round(cell.period_s * 5e8))

    def finish(self, stamp_ns: int, end: EpisodeEnd) -> Path:
        """Close the episode and its bag."""
        self._write(topics.EPISODE_EVENT, messages.episode_end(make, self._start, end, stamp_ns), stamp_ns)
        return self._writer.finish()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._writer.discard()

    def _state(self, state: CellState, stamp: int) -> None:
        self._write(topics.JOINT_STATES, messages.joint_state(make, state.arm_q, state.arm_qd, stamp), stamp)
        self._write(topics.TCP_POSE, messages.pose_stamped(make, state.tcp_T, stamp), stamp)
        self._write(
            topics.HAND_STATE, messages.hand_state(make, state.hand, state.hand_force_n, stamp), stamp
        )

    def _pictures(self, stamp: int) -> None:
        cell = self._cell
        for camera, image in cell.images().items():
            jpeg = encode_jpeg(image, cell.config.jpeg_quality)
            self._write(
                topics.compressed_image(camera), messages.compressed_image(make, jpeg, camera, stamp), stamp
            )
            info = camera_info(make, cell.cell.model, camera, image.shape[1], image.shape[0], stamp)
            self._write(topics.camera_info(camera), info, stamp)

    def _teleoperation(self, tick: "Tick") -> None:
        stamp = tick.stamp_ns
        if tick.signals is not None:
            tracker = messages.pose_stamped(make, tick.signals.tracker_T, stamp, messages.TRACKER_FRAME)
            self._write(topics.TRACKER_POSE, tracker, stamp)
            self._write(topics.GLOVE, messages.glove_state(make, tick.signals.glove, stamp), stamp)
        if tick.human is not None:
            self._write(topics.TELEOP_ACTION, messages.action(make, tick.human, stamp), stamp)

    def _policy(self, tick: "Tick") -> None:
        stamp, cell = tick.stamp_ns, self._cell
        for chunk, observation in tick.chunks:
            delay_s = stamp * 1e-9 - cell.start_ns * 1e-9 - observation.stamp_s
            message = messages.action_chunk(
                make,
                chunk,
                observation.tcp_T,
                cell.executor.schedule.config.prefix_length,
                delay_s,
                self._start.policy_id,
                stamp,
            )
            self._write(topics.POLICY_CHUNK, message, stamp)
        if tick.output.request is not None:
            message = messages.chunk_request(make, tick.output.request, stamp, stamp)
            self._write(topics.POLICY_REQUEST, message, stamp)

    def _write(self, topic: topics.TopicSpec, message: Any, stamp: int) -> None:
        self._writer.write(topic.name, stamp, serialize(message))
