"""Table, floor, lights, materials and the two cameras."""

from typing import Any, Final

import mujoco
import numpy as np

ENV_CONTYPE: Final = 1
TABLE_FRICTION: Final = (0.8, 0.01, 0.001)
TABLE_CENTRE_M: Final = (0.45, 0.0)
TABLE_HALF_M: Final = (0.62, 0.65)
FRONT_CAMERA: Final = "front"
WRIST_CAMERA: Final = "wrist"
CAMERAS: Final = (FRONT_CAMERA, WRIST_CAMERA)
# Vertical field of view of the colour sensors' 4:3 crop (RealSense D415, D435 data sheets, rounded).
_FRONT_FOVY_DEG: Final = 41.0
_WRIST_FOVY_DEG: Final = 60.0
_MATERIALS: Final = {
    "arm_shell": ((0.20, 0.21, 0.23), 0.35, 0.4),
    "arm_cap": ((0.33, 0.55, 0.74), 0.3, 0.4),
    "hand_shell": ((0.11, 0.11, 0.12), 0.4, 0.5),
    "hand_metal": ((0.62, 0.64, 0.67), 0.6, 0.6),
    "hand_pad": ((0.34, 0.35, 0.37), 0.1, 0.2),
    "frame_metal": ((0.55, 0.57, 0.60), 0.3, 0.4),
    "platform": ((0.88, 0.89, 0.90), 0.1, 0.2),
    "platform_top": ((0.20, 0.42, 0.70), 0.1, 0.2),
}


def add_materials(spec: mujoco.MjSpec) -> None:
    """Named materials and textures used by the arm, the hand and the room."""
    for name, (rgb, specular, shininess) in _MATERIALS.items():
        material = spec.add_material(name=name, rgba=(*rgb, 1.0))
        material.specular, material.shininess = specular, shininess
    _texture(spec, "sky", mujoco.mjtTexture.mjTEXTURE_SKYBOX, mujoco.mjtBuiltin.mjBUILTIN_GRADIENT)
    wood = _texture(spec, "wood", mujoco.mjtTexture.mjTEXTURE_2D, mujoco.mjtBuiltin.mjBUILTIN_FLAT)
    wood.width, wood.height, wood.nchannel = _WOOD_SIZE, _WOOD_SIZE, 3
    wood.builtin = mujoco.mjtBuiltin.mjBUILTIN_NONE
    wood.data = _wood_pixels().tobytes()
    material = spec.add_material(name="table_top")
    textures = list(material.textures)
    textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "wood"
    material.textures = textures
    material.specular, material.shininess = 0.1, 0.2


def add_room(spec: mujoco.MjSpec) -> None:
    """Table (top at z = 0), floor, wall and lights. The table's collision plane is unbounded."""
    world = spec.worldbody
    plane = world.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(*TABLE_HALF_M, 0.05))
    plane.pos = (*TABLE_CENTRE_M, 0.0)
    plane.material = "table_top"
    plane.contype, plane.conaffinity = ENV_CONTYPE, 0
    plane.friction = TABLE_FRICTION
    _visual_box(world, (*TABLE_CENTRE_M, -0.022), (*TABLE_HALF_M, 0.02), (0.50, 0.38, 0.26))
    _visual_box(world, (0.4, 0.0, -0.86), (3.0, 3.0, 0.02), (0.70, 0.71, 0.72))
    _visual_box(world, (-0.95, 0.0, 0.4), (0.02, 3.0, 1.6), (0.84, 0.86, 0.87))
    _visual_box(world, (-0.92, -0.75, 0.35), (0.015, 0.55, 0.42), (0.93, 0.94, 0.94))
    for x in (-0.1, 1.0):
        for y in (-0.58, 0.58):
            _visual_box(world, (x, y, -0.45), (0.03, 0.03, 0.41), (0.35, 0.36, 0.38))
    _light(world, (0.6, -1.2, 2.2), (-0.1, 0.5, -1.0), 0.55)
    _light(world, (1.4, 1.0, 1.8), (-0.5, -0.4, -1.0), 0.30)
    spec.visual.headlight.ambient = (0.38, 0.38, 0.38)
    spec.visual.headlight.diffuse = (0.22, 0.22, 0.22)
    spec.visual.headlight.specular = (0.05, 0.05, 0.05)


def add_front_camera(spec: mujoco.MjSpec) -> None:
    """Static camera opposite the arm, looking at the workspace (pose in `base`)."""
    _camera(
        spec.worldbody,
        FRONT_CAMERA,
        eye=(1.29, 0.0, 0.715),
        target=(0.45, 0.0, 0.12),
        up=(0, 0, 1),
        fovy=_FRONT_FOVY_DEG,
    )


def add_wrist_camera(hand_mount: Any) -> None:
    """Camera on a bracket on the thumb side of the wrist, looking along the fingers (hand frame)."""
    eye = (-0.080, 0.135, -0.030)
    _camera(
        hand_mount, WRIST_CAMERA, eye=eye, target=(-0.052, -0.005, -0.150), up=(0, 1, 0), fovy=_WRIST_FOVY_DEG
    )
    box = hand_mount.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=(eye[0], eye[1] + 0.002, eye[2] + 0.016))
    box.size = (0.045, 0.0125, 0.012)
    box.material, box.mass = "frame_metal", 0.07
    box.contype = box.conaffinity = 0
    bracket = hand_mount.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, pos=(-0.040, 0.085, -0.006), size=(0.045, 0.055, 0.004)
    )
    bracket.material, bracket.mass = "frame_metal", 0.05
    bracket.contype = bracket.conaffinity = 0


def _camera(
    parent: Any,
    name: str,
    eye: tuple[float, float, float],
    target: tuple[float, float, float],
    up: tuple[float, float, float],
    fovy: float,
) -> None:
    z = np.subtract(eye, target)
    z = z / np.linalg.norm(z)
    x = np.cross(up, z)
    x = x / np.linalg.norm(x)
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.stack([x, np.cross(z, x), z], axis=1).flatten())
    camera = parent.add_camera(name=name, pos=eye, quat=quat)
    # Intrinsics of a 4:3 sensor: a square image is the 640x480 picture squeezed, as datasets hold it.
    height_m = 0.003
    camera.sensor_size = (height_m * 4 / 3, height_m)
    focal = height_m / 2 / np.tan(np.radians(fovy) / 2)
    camera.focal_length = (focal, focal)
    camera.resolution = (640, 480)


def _light(
    world: Any, pos: tuple[float, float, float], direction: tuple[float, float, float], diffuse: float
) -> None:
    light = world.add_light(pos=pos, dir=direction, type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
    light.diffuse = (diffuse, diffuse, diffuse)
    light.specular = (0.2, 0.2, 0.2)
    light.castshadow = False


def _visual_box(
    world: Any, pos: tuple[float, ...], half: tuple[float, ...], rgb: tuple[float, float, float]
) -> None:
    geom = world.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=half, rgba=(*rgb, 1.0))
    geom.contype = geom.conaffinity = 0


def _texture(spec: mujoco.MjSpec, name: str, kind: Any, builtin: Any) -> Any:
    texture = spec.add_texture(name=name, type=kind, builtin=builtin, width=64, height=64)
    texture.rgb1, texture.rgb2 = (0.90, 0.92, 0.94), (0.72, 0.75, 0.78)
    return texture


_WOOD_SIZE: Final = 256


def _wood_pixels() -> np.ndarray:
    """Planks with grain, (256, 256, 3) uint8: fixed seed, no picture file."""
    rng = np.random.default_rng(7)
    planks = 8
    rows = np.arange(_WOOD_SIZE)
    plank = rows * planks // _WOOD_SIZE
    tone = rng.uniform(-0.06, 0.06, planks)[plank]
    grain = np.cumsum(rng.normal(0.0, 0.02, _WOOD_SIZE))
    grain = (grain - np.convolve(grain, np.ones(31) / 31, mode="same")) * 0.5
    along = (
        0.015
        * np.sin(np.linspace(0.0, 9.0, _WOOD_SIZE))[None, :]
        * rng.uniform(0.3, 1.0, planks)[plank][:, None]
    )
    seam = np.where((rows * planks) % _WOOD_SIZE < planks, -0.16, 0.0)
    shade = 1.0 + (tone + grain + seam)[:, None] + along + rng.normal(0.0, 0.008, (_WOOD_SIZE, _WOOD_SIZE))
    colour = np.array([0.80, 0.66, 0.49])
    return (np.clip(shade[..., None] * colour, 0.0, 1.0) * 255).astype(np.uint8)
