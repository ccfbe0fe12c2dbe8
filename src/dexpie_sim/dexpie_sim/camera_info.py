"""sensor_msgs/CameraInfo of the rendered cameras."""

from typing import Any

import mujoco
import numpy as np

from dexpie_core import messages
from dexpie_core.messages import Make


def intrinsics(
    model: mujoco.MjModel, camera: str, width: int, height: int
) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy in pixels of a picture of this size; a square picture has fx != fy, being squeezed."""
    camera_id = model.camera(camera).id
    focal = model.cam_intrinsic[camera_id][:2]
    sensor = model.cam_sensorsize[camera_id]
    fx, fy = focal[0] / sensor[0] * width, focal[1] / sensor[1] * height
    return float(fx), float(fy), width / 2.0, height / 2.0


def camera_info(
    make: Make, model: mujoco.MjModel, camera: str, width: int, height: int, stamp_ns: int
) -> Any:
    """Pinhole model without distortion."""
    fx, fy, cx, cy = intrinsics(model, camera, width, height)
    return make(
        "sensor_msgs/msg/CameraInfo",
        header=messages.header(make, stamp_ns, messages.optical_frame(camera)),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array([fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]),
        r=np.eye(3).reshape(9),
        p=np.array([fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]),
    )
