"""Pictures of the scene from its state vector, without the physics that made it."""

import copy
import os

os.environ.setdefault("MUJOCO_GL", "osmesa")

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from dexpie_core.se3 import Array
from dexpie_sim.looks import varied
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
        self._fixed = copy.copy(model)
        # The buffer that is cleared for every picture; by default it is as large as the largest picture.
        self._fixed.vis.global_.offwidth, self._fixed.vis.global_.offheight = width, height
        self._model = self._fixed
        self._looks_seed: int | None = None
        self._data = mujoco.MjData(self._fixed)
        self._gl: mujoco.GLContext | None = mujoco.GLContext(width, height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(self._fixed, mujoco.mjtFontScale.mjFONTSCALE_150)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._scene = mujoco.MjvScene(self._fixed, maxgeom=self._fixed.ngeom)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = (1, 1, 1, 0, 0, 0)
        for flag in (
            mujoco.mjtRndFlag.mjRND_SHADOW,
            mujoco.mjtRndFlag.mjRND_REFLECTION,
            mujoco.mjtRndFlag.mjRND_HAZE,
        ):
            self._scene.flags[flag] = 0
        self._cameras = {name: _fixed_camera(model.camera(name).id) for name in CAMERAS}

    def render(self, qpos: Array, camera: str, looks_seed: int | None = None) -> NDArray[np.uint8]:
        """Picture (height, width, 3) uint8 rgb from 'front' or 'wrist'.

        qpos: state vector, see `Cell.qpos`. looks_seed: see `Cell.looks_seed`.
        """
        self._set(qpos, looks_seed)
        return self._shoot(camera)

    def render_all(self, qpos: Array, looks_seed: int | None = None) -> dict[str, NDArray[np.uint8]]:
        """Pictures of every camera at one state; cheaper than one call each."""
        self._set(qpos, looks_seed)
        return {name: self._shoot(name) for name in CAMERAS}

    def close(self) -> None:
        """Free the OpenGL context; calling it again changes nothing."""
        if self._gl is not None:
            # Objects are freed by number in the current context, which may be another renderer's.
            self._gl.make_current()
            self._context.free()
            self._gl.free()
            self._gl = None

    def __del__(self) -> None:
        if getattr(self, "_gl", None) is not None:
            self.close()

    def _set(self, qpos: Array, looks_seed: int | None) -> None:
        if looks_seed != self._looks_seed:
            self._model = self._fixed if looks_seed is None else varied(self._fixed, looks_seed)
            self._looks_seed = looks_seed
        model, data = self._model, self._data
        expected = model.nq + 3 * model.nmocap
        if len(qpos) != expected:
            raise ValueError(f"scene state has {len(qpos)} numbers, this model has {expected}")
        data.qpos[:] = qpos[: model.nq]
        data.mocap_pos[:] = qpos[model.nq :].reshape(model.nmocap, 3)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)

    def _shoot(self, camera: str) -> NDArray[np.uint8]:
        if camera not in self._cameras:
            raise ValueError(f"camera {camera!r} does not exist; choose one of {', '.join(self._cameras)}")
        if self._gl is None:
            raise RuntimeError("the renderer is closed")
        self._gl.make_current()
        mujoco.mjv_updateScene(
            self._model,
            self._data,
            self._option,
            None,
            self._cameras[camera],
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        mujoco.mjr_render(self._rect, self._scene, self._context)
        upside_down = np.empty((self._rect.height, self._rect.width, 3), np.uint8)
        mujoco.mjr_readPixels(upside_down, None, self._rect, self._context)
        return np.ascontiguousarray(upside_down[::-1])


def _fixed_camera(camera_id: int) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, camera_id
    return camera
