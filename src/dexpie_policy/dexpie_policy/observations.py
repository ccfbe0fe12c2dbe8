"""Assembles a policy's observation by time from the newest messages of each stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node

from dexpie_core import messages, topics
from dexpie_core.observation import Observation
from dexpie_core.topics import TopicSpec
from dexpie_ros.polling import PolledSubscription
from dexpie_training import images

NS_PER_S = 1_000_000_000
KEPT = 64


class StaleObservation(ValueError):
    """A stream has nothing near enough to the time that was asked for."""


class ObservationBuffer:
    """Keeps the newest messages of what the policy looks at, and takes the nearest of each to one time."""

    def __init__(
        self,
        node: Node,
        state_names: Sequence[str],
        cameras: Sequence[str],
        tolerance_s: float,
        image_tolerance_s: float,
    ) -> None:
        self._state_names = tuple(state_names)
        self._cameras = tuple(cameras)
        specs = [topics.JOINT_STATES, topics.TCP_POSE, topics.HAND_STATE]
        specs += [topics.SCENE_STATE] if self._state_names else []
        images = [topics.compressed_image(camera) for camera in self._cameras]
        self._tolerance_ns = {spec.name: round(tolerance_s * NS_PER_S) for spec in specs}
        self._tolerance_ns |= {spec.name: round(image_tolerance_s * NS_PER_S) for spec in images}
        specs += images
        self.worst_error_s = 0.0
        """Largest distance of a measurement from the time of the newest observation."""
        self._streams = {spec.name: PolledSubscription(node, spec) for spec in specs}
        self._kept: dict[str, deque[tuple[int, Any]]] = {name: deque(maxlen=KEPT) for name in self._streams}

    def take(self) -> None:
        """Store what has arrived."""
        for name, stream in self._streams.items():
            for taken in stream.take():
                self._kept[name].append((messages.stamp_ns(taken.message), taken.message))

    def close(self) -> None:
        """Unsubscribe."""
        for stream in self._streams.values():
            stream.close()

    @property
    def silent(self) -> list[str]:
        """Topics of which nothing has been heard."""
        return [name for name, kept in self._kept.items() if not kept]

    def newest(self) -> Observation:
        """The observation at the time of the newest TCP pose; StaleObservation as in `at`."""
        kept = self._kept[topics.TCP_POSE.name]
        return self.at(kept[-1][0] if kept else 0)

    def at(self, stamp_ns: int) -> Observation:
        """The observation at a time; StaleObservation names the stream that has none near enough."""
        self.worst_error_s = 0.0
        tcp = self._nearest(topics.TCP_POSE, stamp_ns)
        return Observation(
            stamp_s=stamp_ns / NS_PER_S,
            arm_q=messages.joint_positions(self._nearest(topics.JOINT_STATES, stamp_ns)),
            tcp_T=messages.pose_T(tcp.pose),
            hand=np.asarray(self._nearest(topics.HAND_STATE, stamp_ns).position, dtype=np.float64),
            scene=self._scene(stamp_ns) if self._state_names else None,
            images={camera: self._image(camera, stamp_ns) for camera in self._cameras},
        )

    def _nearest(self, spec: TopicSpec, stamp_ns: int) -> Any:
        kept = self._kept[spec.name]
        if not kept:
            raise StaleObservation(f"nothing on {spec.name}")
        nearest_ns, message = min(kept, key=lambda entry: abs(entry[0] - stamp_ns))
        if abs(nearest_ns - stamp_ns) > self._tolerance_ns[spec.name]:
            raise StaleObservation(
                f"{spec.name} is {(stamp_ns - nearest_ns) / NS_PER_S:.3f} s from the observation"
            )
        self.worst_error_s = max(self.worst_error_s, abs(nearest_ns - stamp_ns) / NS_PER_S)
        return message

    def _scene(self, stamp_ns: int) -> NDArray[np.float64]:
        scene = self._nearest(topics.SCENE_STATE, stamp_ns)
        values = dict(zip(scene.names, scene.values, strict=True))
        missing = [name for name in self._state_names if name not in values]
        if missing:
            raise StaleObservation(f"{topics.SCENE_STATE.name} lacks {', '.join(missing)}")
        return np.array([values[name] for name in self._state_names])

    def _image(self, camera: str, stamp_ns: int) -> NDArray[np.uint8]:
        """As the conversion keeps it, to the byte."""
        message = self._nearest(topics.compressed_image(camera), stamp_ns)
        try:
            return images.from_jpeg(np.frombuffer(message.data, np.uint8)).pixels
        except ValueError as error:
            raise StaleObservation(f"image of camera {camera}: {error}") from None
