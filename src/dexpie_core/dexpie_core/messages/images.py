"""Messages of a camera. Stamps are integer nanoseconds; frames are the optical ones of REP 103."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core.messages.encode import Make, header


def optical_frame(camera: str) -> str:
    """Frame id of a camera's images."""
    return f"camera_{camera}_color_optical_frame"


def compressed_image(make: Make, jpeg: bytes, camera: str, stamp_ns: int) -> Any:
    """sensor_msgs/CompressedImage, JPEG."""
    return make(
        "sensor_msgs/msg/CompressedImage",
        header=header(make, stamp_ns, optical_frame(camera)),
        format="rgb8; jpeg compressed bgr8",
        data=np.frombuffer(jpeg, dtype=np.uint8),
    )


def raw_image(make: Make, pixels: bytes, width: int, height: int, camera: str, stamp_ns: int) -> Any:
    """sensor_msgs/Image of rgb8 pixels, row by row without gaps."""
    return make(
        "sensor_msgs/msg/Image",
        header=header(make, stamp_ns, optical_frame(camera)),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=pixels,
    )


def camera_info(
    make: Make,
    focal: tuple[float, float],
    centre: tuple[float, float],
    size: tuple[int, int],
    camera: str,
    stamp_ns: int,
    distortion: ArrayLike = (0.0,) * 5,
    model: str = "plumb_bob",
) -> Any:
    """sensor_msgs/CameraInfo: focal lengths, centre and size (width, height) in pixels of the picture."""
    (fx, fy), (cx, cy), (width, height) = focal, centre, size
    return make(
        "sensor_msgs/msg/CameraInfo",
        header=header(make, stamp_ns, optical_frame(camera)),
        height=height,
        width=width,
        distortion_model=model,
        d=np.asarray(distortion, dtype=np.float64),
        k=np.array([fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]),
        r=np.eye(3).reshape(9),
        p=np.array([fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]),
    )
