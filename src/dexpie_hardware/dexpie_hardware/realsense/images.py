"""A camera's messages: raw picture, JPEG, intrinsics, all three with the frame's stamp."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from dexpie_core import messages, topics
from dexpie_hardware.realsense.counting import FramePicker
from dexpie_hardware.realsense.frames import Intrinsics, RawFrame
from dexpie_ros.factory import make
from dexpie_ros.looped import LoopNode

FISHEYE_MODELS = ("kannala_brandt4", "ftheta")


def camera_info(intrinsics: Intrinsics, camera: str, stamp_ns: int) -> Any:
    """sensor_msgs/CameraInfo; every model but a fisheye's goes as plumb_bob, as realsense-ros does it."""
    i = intrinsics
    model = "equidistant" if i.model in FISHEYE_MODELS else "plumb_bob"
    return messages.camera_info(
        make, (i.fx, i.fy), (i.cx, i.cy), (i.width, i.height), camera, stamp_ns, i.coefficients, model
    )


def encode_jpeg(frame: RawFrame, intrinsics: Intrinsics, quality: int) -> bytes:
    """JPEG of a frame; quality 1 to 100."""
    rgb = np.frombuffer(frame.pixels, np.uint8).reshape(intrinsics.height, intrinsics.width, 3)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError(f"frame {frame.number} could not be encoded as JPEG")
    return jpeg.tobytes()


class ImagePublisher:
    """Publishes frames of one camera; makes only what somebody has subscribed to."""

    def __init__(self, node: LoopNode, camera: str, quality: int, picker: FramePicker) -> None:
        self._camera = camera
        self._quality = quality
        self._picker = picker
        self._raw = node.advertise(topics.raw_image(camera))
        self._jpeg = node.advertise(topics.compressed_image(camera))
        self._info = node.advertise(topics.camera_info(camera))
        self.raw_images = 0
        self.jpegs = 0

    def publish(self, frame: RawFrame, intrinsics: Intrinsics, stamp_ns: int) -> None:
        """Raw whenever it is wanted, JPEG where the recording's schedule takes it, intrinsics with either."""
        raw = self._raw.get_subscription_count() > 0
        picked = self._picker.picks(stamp_ns)
        if not raw and not picked:
            return
        camera, size = self._camera, (intrinsics.width, intrinsics.height)
        if raw:
            self._raw.publish(messages.raw_image(make, frame.pixels, *size, camera, stamp_ns))
            self.raw_images += 1
        if picked and self._jpeg.get_subscription_count():
            jpeg = encode_jpeg(frame, intrinsics, self._quality)
            self._jpeg.publish(messages.compressed_image(make, jpeg, camera, stamp_ns))
            self.jpegs += 1
        if self._info.get_subscription_count():
            self._info.publish(camera_info(intrinsics, camera, stamp_ns))
