"""How smoothly control changed hands in an episode, from the commands that the executor sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Handovers:
    """Steps of the commanded TCP position from tick to tick, mm; switches: how often who drives changed."""

    switches: int
    largest_at_switch_mm: float
    largest_elsewhere_mm: float
    human_s: float


def handovers(bag: Path) -> Handovers:
    """Of one episode's bag."""
    from dexpie_bags import BagReader
    from dexpie_core import messages
    from dexpie_core.executor import Source
    from dexpie_core.topics import EXECUTED_ACTION

    stamps_ns: list[int] = []
    sources: list[int] = []
    positions: list[tuple[float, float, float]] = []
    with BagReader(bag) as reader:
        for record in reader.messages((EXECUTED_ACTION.name,)):
            message = record.message
            stamps_ns.append(messages.stamp_ns(message))
            sources.append(int(message.source))
            positions.append((message.pose.position.x, message.pose.position.y, message.pose.position.z))
    source = np.array(sources)
    steps_mm = 1e3 * np.linalg.norm(np.diff(np.array(positions), axis=0), axis=1)
    switched = np.diff(source) != 0
    human = source[1:] == Source.HUMAN
    return Handovers(
        switches=int(switched.sum()),
        largest_at_switch_mm=float(steps_mm[switched].max(initial=0.0)),
        largest_elsewhere_mm=float(steps_mm[~switched].max(initial=0.0)),
        human_s=float(1e-9 * np.diff(stamps_ns)[human].sum()),
    )
