"""The breakdown of two chunks by hand."""

import pytest

from dexpie.latency_breakdown import ChunkTimes, breakdown

MS = 1_000_000


def test_every_stage_and_the_whole_are_told_apart():
    chunks = [
        ChunkTimes(1000 * MS, 1001 * MS, 1031 * MS, 25 * MS, 1160 * MS),
        ChunkTimes(1800 * MS, 1800 * MS, 1900 * MS, 90 * MS, 1960 * MS),
    ]
    streams = {
        "camera front": [950 * MS, 985 * MS, 1017 * MS, 1790 * MS],
        "arm state": [998 * MS, 1805 * MS],
    }
    stages = {stage.name: stage.durations_ms for stage in breakdown(chunks, streams)}
    assert stages == {
        "camera front -> observation": (15.0, 10.0),
        "arm state -> observation": (2.0, -5.0),  # taken from after the observation
        "observation -> request": (1.0, 0.0),
        "request -> chunk, inference": (25.0, 90.0),
        "request -> chunk, the rest": (5.0, 10.0),
        "chunk -> first executed step": (129.0, 60.0),
        "oldest measurement -> first executed step": (175.0, 170.0),
    }
    parts = ("observation -> request", "request -> chunk, inference", "request -> chunk, the rest")
    whole = 15.0 + sum(stages[name][0] for name in parts) + stages["chunk -> first executed step"][0]
    assert whole == pytest.approx(stages["oldest measurement -> first executed step"][0])
