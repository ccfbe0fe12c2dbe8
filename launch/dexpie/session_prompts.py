"""What a person is asked to do before an episode; pure."""

from __future__ import annotations

from dexpie_core.collection import PlannedEpisode


def prompt_for(
    planned: PlannedEpisode, task: str, simulated: bool, demonstration: bool, problem: str = ""
) -> str:
    """One sentence without its full stop. problem: why the robot cannot start yet."""
    if problem:
        return f"the robot cannot start: {problem}; recover it"
    start = f"the start of task {task}" if planned.stage == "initial" else f"stage {planned.stage}"
    if simulated:
        scene = f"the scene is at {start}, seed {planned.seed}"
    elif planned.is_correction:
        scene = f"bring robot and objects back to where {planned.pair_id} began ({start})"
    else:
        scene = f"bring robot and objects to {start}, the objects at a new place"
    if demonstration:
        return f"{scene}; you will show the task"
    what = "take over before it fails" if planned.is_correction else "watch, and judge it"
    return f"{scene}; the policy will drive: {what}"
