"""Pictures of the scene from its state vector, without the physics that made it."""

import os

os.environ.setdefault("MUJOCO_GL", "osmesa")

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from dexpie_core.se3 import Array
from dexpie_sim.model.room import CAMERAS


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """JPEG of a picture (H, W, 3) uint8 rgb."""
    ok, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality)
    )
    if not ok:
        raise RuntimeError("JPEG encoding failed")
    return bytes(data)


class SceneRenderer:
    """Off-screen renderer of one size; no shadows, no multisampling. Use it from the thread that made it."""

    def __init__(self, model: mujoco.MjModel, width: int, height: int) -> None:
        self._model = model
        self._data = mujoco.MjData(model)
        self._renderer = mujoco.Renderer(model, height=height, width=width)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = (1, 1, 1, 0, 0, 0)
        flags = self._renderer.scene.flags
        for flag in (
            mujoco.mjtRndFlag.mjRND_SHADOW,
            mujoco.mjtRndFlag.mjRND_REFLECTION,
            mujoco.mjtRndFlag.mjRND_HAZE,
        ):
            flags[flag] = 0
        self._camera_ids = {name: model.camera(name).id for name in CAMERAS}

    def render(self, qpos: Array, camera: str) -> NDArray[np.uint8]:
        """Picture (height, width, 3) uint8 rgb of the state vector `Cell.qpos`, from 'front' or 'wrist'."""
        self._set(qpos)
        return self._shoot(camera)

    def render_all(self, qpos: Array) -> dict[str, NDArray[np.uint8]]:
        """Pictures of every camera at one state; cheaper than one call each."""
        self._set(qpos)
        return {name: self._shoot(name) for name in CAMERAS}

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()

    def _set(self, qpos: Array) -> None:
        model, data = self._model, self._data
        expected = model.nq + 3 * model.nmocap
        if len(qpos) != expected:
            raise ValueError(f"scene state has {len(qpos)} numbers, this model has {expected}")
        data.qpos[:] = qpos[: model.nq]
        data.mocap_pos[:] = qpos[model.nq :].reshape(model.nmocap, 3)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)

    def _shoot(self, camera: str) -> NDArray[np.uint8]:
        if camera not in self._camera_ids:
            raise ValueError(f"camera {camera!r} does not exist; choose one of {', '.join(self._camera_ids)}")
        self._renderer.update_scene(self._data, self._camera_ids[camera], self._option)
        return self._renderer.render()
