"""The simulated cameras: draws the cell's state and publishes JPEG, and raw images where somebody listens."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dexpie_core import messages, topics
from dexpie_core.errors import UsageError
from dexpie_ros.factory import make
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, parameter, run
from dexpie_sim.camera_info import camera_info
from dexpie_sim.camera_noise import Pictures, PixelNoise
from dexpie_sim.camera_view import NS_PER_S, CameraView
from dexpie_sim.config import CellConfig
from dexpie_sim.render import SceneRenderer, encode_jpeg
from dexpie_sim.scene import build_model
from dexpie_sim.tasks import make_task

POLL_RATE_HZ = 100.0


@dataclass(frozen=True)
class CameraParameters:
    """What is drawn, how large and how often."""

    task: str = parameter("bottle", "task whose scene is drawn")
    rate_hz: float = parameter(25.0, "images a second of each camera, at most, Hz")
    width_px: int = parameter(320, "image width, px")
    height_px: int = parameter(240, "image height, px")
    jpeg_quality: int = parameter(90, "JPEG quality, 1 to 100")

    def __post_init__(self) -> None:
        if self.rate_hz <= 0 or self.width_px < 16 or self.height_px < 16:
            raise ValueError("rate_hz must be positive, width_px and height_px at least 16")
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality {self.jpeg_quality} is not in 1..100")


class CameraNode(LoopNode):
    """Looks for the newest state a hundred times a second, so that an image follows its state at once."""

    def __init__(self) -> None:
        super().__init__("sim_cameras")
        self.parameters = declare(self, CameraParameters)
        cv2.setNumThreads(1)
        try:
            self._model = build_model(CellConfig(task=self.parameters.task), make_task(self.parameters.task))
        except ValueError as error:
            raise UsageError(str(error)) from error
        self._renderer: SceneRenderer | None = None
        self._noise: PixelNoise | None = None
        self._qpos = self.poll(topics.SIM_QPOS)
        self._compressed = {c: self.advertise(topics.compressed_image(c)) for c in topics.CAMERAS}
        self._raw = {c: self.advertise(topics.raw_image(c)) for c in topics.CAMERAS}
        self._info = {c: self.advertise(topics.camera_info(c)) for c in topics.CAMERAS}
        self._shortest_ns = round(0.75 * NS_PER_S / self.parameters.rate_hz)
        self._last_ns = 0
        self._images = 0
        self._age_s = 0.0
        self.start(POLL_RATE_HZ, realtime=1)

    def prepare(self) -> None:
        """The renderer belongs to the thread that draws."""
        self._renderer = SceneRenderer(self._model, self.parameters.width_px, self.parameters.height_px)

    def step(self) -> None:
        """Draw the newest state if it is new and due; what came in between is dropped."""
        taken = self._qpos.newest()
        if taken is None or self._renderer is None:
            return
        view = CameraView.decode(taken.message.data)
        if 0 <= view.stamp_ns - self._last_ns < self._shortest_ns:
            return
        self._last_ns = view.stamp_ns
        pictures = self._renderer.render_all(view.qpos, view.looks_seed)
        for camera, image in self._noisy(pictures, view).items():
            self._publish(camera, image, view.stamp_ns)
        self._images += 1
        self._age_s = (time.time_ns() - view.stamp_ns) / NS_PER_S

    def _noisy(self, pictures: Pictures, view: CameraView) -> Pictures:
        if self._noise is None or self._noise.counts != view.noise:
            self._noise = PixelNoise(view.noise, self.parameters.width_px, self.parameters.height_px)
        return self._noise.add(pictures, view.stamp_ns)

    def _publish(self, camera: str, image: NDArray[np.uint8], stamp_ns: int) -> None:
        jpeg = encode_jpeg(image, self.parameters.jpeg_quality)
        self._compressed[camera].publish(messages.compressed_image(make, jpeg, camera, stamp_ns))
        height, width = image.shape[:2]
        if self._info[camera].get_subscription_count():
            self._info[camera].publish(camera_info(make, self._model, camera, width, height, stamp_ns))
        if self._raw[camera].get_subscription_count():
            self._raw[camera].publish(
                messages.raw_image(make, image.tobytes(), width, height, camera, stamp_ns)
            )

    def report(self) -> Report:
        """OK once images go out."""
        values: dict[str, object] = {
            "images": self._images,
            "age_ms": self._age_s * 1e3,
            **self.timing_values(),
        }
        if not self._images:
            return Report(Level.WARN, "waiting for /sim/qpos", values)
        return Report(Level.OK, "drawing", values)


def main() -> int:
    """Entry point."""
    return run(CameraNode)


if __name__ == "__main__":
    sys.exit(main())
