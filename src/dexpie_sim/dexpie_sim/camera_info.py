"""sensor_msgs/CameraInfo of the rendered cameras."""

from typing import Any

import mujoco

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
    return messages.camera_info(make, (fx, fy), (cx, cy), (width, height), camera, stamp_ns)
