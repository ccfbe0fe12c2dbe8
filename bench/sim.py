"""How fast simulated time passes."""

import time

from measure import Result

from dexpie_sim.lockstep import EpisodeRequest, LockstepCell, run_episode


def lockstep_speed() -> Result:
    """Simulated seconds a second on one core, whole loop without pictures; the graph runs at 1."""
    cell = LockstepCell()
    run_episode(cell, EpisodeRequest(seed=0))
    start = time.perf_counter()
    simulated = sum(run_episode(cell, EpisodeRequest(seed=seed)).duration_s for seed in range(1, 6))
    rate = simulated / (time.perf_counter() - start)
    details = "virtual operator, bottle, 5 episodes"
    return Result("lockstep_speed", "s/s", rate, "ROS graph", 1.0, rate, details)
