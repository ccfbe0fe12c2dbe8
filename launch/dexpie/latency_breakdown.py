"""Where the time goes from a camera to the first executed step, by the stamps in a bag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dexpie.table import table

NS_PER_MS = 1e6


@dataclass(frozen=True)
class ChunkTimes:
    """Of one executed chunk, ns since the epoch: the observation, its request, the answer, the first step."""

    observed_ns: int
    requested_ns: int
    answered_ns: int
    inference_ns: int
    executed_ns: int


@dataclass(frozen=True)
class Stage:
    """How long one stage took in every chunk, ms."""

    name: str
    durations_ms: tuple[float, ...]


def breakdown(chunks: Sequence[ChunkTimes], streams_ns: Mapping[str, Sequence[int]]) -> list[Stage]:
    """Stages in their order, and the whole. streams_ns: sorted stamps of each observed stream, cameras first.

    An observation takes the nearest message of each stream; its age is negative where it came after.
    """
    import numpy as np

    def stage(name: str, durations_ns: Sequence[int]) -> Stage:
        return Stage(name, tuple(float(d) / NS_PER_MS for d in durations_ns))

    stages, oldest = [], [0] * len(chunks)
    for name, stamps in streams_ns.items():
        known = np.asarray(stamps, dtype=np.int64)
        ages = [c.observed_ns - int(known[np.argmin(np.abs(known - c.observed_ns))]) for c in chunks]
        oldest = [max(a, b) for a, b in zip(oldest, ages, strict=True)]
        stages.append(stage(f"{name} -> observation", ages))
    stages += [
        stage("observation -> request", [c.requested_ns - c.observed_ns for c in chunks]),
        stage("request -> chunk, inference", [c.inference_ns for c in chunks]),
        stage("request -> chunk, the rest", [_rest_ns(c) for c in chunks]),
        stage("chunk -> first executed step", [c.executed_ns - c.answered_ns for c in chunks]),
        stage(
            "oldest measurement -> first executed step",
            [c.executed_ns - c.observed_ns + age for c, age in zip(chunks, oldest, strict=True)],
        ),
    ]
    return stages


def _rest_ns(times: ChunkTimes) -> int:
    return times.answered_ns - times.requested_ns - times.inference_ns


def latency_text(bag: Path) -> str:
    """The table of a bag in which a policy drove, empty for another one."""
    import numpy as np

    chunks, streams_ns = read_times(bag)
    if not chunks:
        return ""
    rows = [
        (s.name, *(f"{v:.1f}" for v in np.percentile(s.durations_ms, (50, 99, 100))))
        for s in breakdown(chunks, streams_ns)
    ]
    return table([f"latency of {len(chunks)} chunks", "p50 ms", "p99 ms", "max ms"], rows)


def read_times(bag: Path) -> tuple[list[ChunkTimes], dict[str, list[int]]]:
    """Times of the chunks that were executed, and the stamps of what the policy may have looked at.

    What of a bag cannot be read is left out.
    """
    from dexpie_bags.reader import BagReader
    from dexpie_core import messages, topics

    observed = {topics.compressed_image(camera).name: f"camera {camera}" for camera in topics.CAMERAS}
    observed[topics.TCP_POSE.name] = "arm state"
    used = (topics.POLICY_REQUEST.name, topics.POLICY_CHUNK.name, topics.EXECUTED_ACTION.name)
    streams_ns: dict[str, list[int]] = {}
    requests: dict[int, tuple[int, int]] = {}
    answers: dict[int, tuple[int, int]] = {}
    executed: dict[int, int] = {}
    with BagReader(bag, torn=True) as reader:
        if topics.POLICY_CHUNK.name not in reader.topics:
            return [], {}
        for record in reader.messages([name for name in (*used, *observed) if name in reader.topics]):
            message, stamp_ns = record.message, messages.stamp_ns(record.message)
            if record.topic in observed:
                streams_ns.setdefault(observed[record.topic], []).append(stamp_ns)
            elif record.topic == topics.POLICY_REQUEST.name:
                requests[int(message.sequence)] = (messages.time_ns(message.observation_time), stamp_ns)
            elif record.topic == topics.POLICY_CHUNK.name and message.poses:
                answers[int(message.sequence)] = (stamp_ns, round(1e9 * message.inference_s))
            elif record.topic == topics.EXECUTED_ACTION.name and message.chunk_step >= 0:
                executed.setdefault(int(message.chunk_sequence), stamp_ns)
    whole = sorted(requests.keys() & answers.keys() & executed.keys())
    chunks = [ChunkTimes(*requests[k], *answers[k], executed[k]) for k in whole]
    streams_ns = {name: sorted(streams_ns[name]) for name in observed.values() if name in streams_ns}
    return chunks, streams_ns
