"""The whole model: room, arm, hand, cameras and the task's objects."""

import mujoco
import numpy as np

from dexpie_core import se3
from dexpie_core.se3 import Array
from dexpie_sim.config import SERVO_DAMPING_S, CellConfig
from dexpie_sim.model import arm, hand, room
from dexpie_sim.tasks.base import Task

HAND_MOUNT_M = 0.02
"""Thickness of the adapter between the tool flange and the hand."""
PALM_M = 0.10
"""Distance of the palm's middle at the finger roots from the hand's wrist flange."""
TCP_OFFSET: Array = se3.make(np.eye(3), [0.0, 0.0, HAND_MOUNT_M + PALM_M])
"""Flange -> TCP, the middle of the palm: z along the fingers, x out of the palm, y to the thumb side."""


def build_model(config: CellConfig, task: Task) -> mujoco.MjModel:
    """Compile the cell for one task. The MuJoCo world is the arm's `base` frame; the table top is z = 0."""
    spec = mujoco.MjSpec()
    spec.modelname = f"dexpie_{task.name}"
    spec.compiler.degree = False
    option = spec.option
    option.timestep = config.timestep_s
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 20.0
    option.noslip_iterations = 3
    # Measured along demonstrations: never more than 11 iterations; but with 20 line searches the forces of
    # one step in a hundred of the drawer task are wrong, by up to 40 N; with 50 none by more than 0.01 N.
    option.iterations, option.ls_iterations = 50, 50
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 960
    spec.visual.map.znear, spec.visual.map.zfar = 0.01, 10.0
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 0
    spec.visual.quality.numslices, spec.visual.quality.numstacks = 14, 6
    spec.stat.extent = 1.0
    spec.stat.center = (0.5, 0.0, 0.2)
    room.add_materials(spec)
    room.add_room(spec)
    room.add_front_camera(spec)
    flange = arm.add_arm(spec)
    # Hand frame: fingers along -z, palm to -x. Half a turn about y makes that the TCP's +z and +x.
    mount = flange.add_body(name="hand", pos=(0, 0, HAND_MOUNT_M), quat=(0, 0, 1, 0), gravcomp=1.0)
    drive = hand.HandDrive()
    hand.add_hand(mount, drive)
    room.add_wrist_camera(mount)
    tcp = flange.add_site(name="tcp", pos=TCP_OFFSET[:3, 3], size=(0.003, 0.003, 0.003))
    tcp.group = 5
    arm.add_arm_servos(spec, SERVO_DAMPING_S)
    hand.add_hand_servos(spec, drive)
    task.add_to(spec)
    return spec.compile()
