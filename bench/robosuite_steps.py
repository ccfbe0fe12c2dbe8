"""Reads counts from standard input, takes that many steps of robosuite, and answers with steps a second.

Run by `lockstep.py` with the Python that has robosuite. Argument: `state` or `images`.
"""

import json
import sys
import time

import mujoco
import numpy as np
import robosuite
from robosuite import macros
from robosuite.controllers import load_composite_controller_config

macros.SIMULATION_TIMESTEP = 0.004
REACH_STEPS, CLOSE_STEPS, LIFT_STEPS = 80, 40, 80
GAIN_1_M = 20.0  # full speed (5 cm a step) from 5 cm on


def make(images: bool):
    """Lift with the UR5e and its right Inspire hand at 25 Hz; two views of 224x224, or none."""
    return robosuite.make(
        "Lift",
        robots="UR5e",
        gripper_types="InspireRightHand",
        controller_configs=load_composite_controller_config(robot="UR5e"),
        control_freq=25,
        has_renderer=False,
        has_offscreen_renderer=images,
        use_camera_obs=images,
        camera_names=["frontview", "robot0_eye_in_hand"],
        camera_heights=224,
        camera_widths=224,
        ignore_done=True,
    )


def reach_close_lift(environment):
    """Steps for ever: to the cube with the hand open, close the hand, lift; then from the start again."""
    dimension = environment.action_spec[0].size
    while True:
        observation = environment.reset()
        for step in range(REACH_STEPS + CLOSE_STEPS + LIFT_STEPS):
            action = np.zeros(dimension)
            if step < REACH_STEPS:
                action[:3] = np.clip(
                    GAIN_1_M * (observation["cube_pos"] - observation["robot0_eef_pos"]), -1, 1
                )
            elif step >= REACH_STEPS + CLOSE_STEPS:
                action[2] = 0.2
            action[6:] = -1.0 if step < REACH_STEPS else 1.0
            observation = environment.step(action)[0]
            yield


def main() -> None:
    """One JSON line an answer: [versions, steps a second of processor time]."""
    steps = reach_close_lift(make(sys.argv[1] == "images"))
    versions = f"{robosuite.__version__}, MuJoCo {mujoco.__version__}"
    for line in sys.stdin:
        start = time.process_time()
        for _ in range(int(line)):
            next(steps)
        print(json.dumps([versions, int(line) / (time.process_time() - start)]), flush=True)


if __name__ == "__main__":
    main()
