"""Writing an episode."""

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import Result
from rosbags.rosbag2 import StoragePlugin, Writer

from dexpie_bags import EpisodeBagWriter, make, serialize, typestore
from dexpie_core import messages, topics

MESSAGES = 1500
JPEG_BYTES = 60_000


def bag_writing() -> Result:
    """Camera-sized messages into our durable MCAP writer, against a sqlite3 bag of rosbags."""
    spec = topics.compressed_image("front")
    jpeg = np.random.default_rng(0).bytes(JPEG_BYTES)
    data = serialize(messages.compressed_image(make, jpeg, "front", 10**18))

    def ours(folder: Path) -> None:
        writer = EpisodeBagWriter(folder / "ours")
        writer.add_topic(spec)
        for i in range(MESSAGES):
            writer.write(spec.name, 10**18 + i * 20_000_000, data)
        writer.finish()

    def theirs(folder: Path) -> None:
        with Writer(folder / "theirs", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
            connection = writer.add_connection(spec.name, spec.type, typestore=typestore())
            for i in range(MESSAGES):
                writer.write(connection, 10**18 + i * 20_000_000, data)

    rates = np.array([[_rate(ours, len(data)), _rate(theirs, len(data))] for _ in range(3)])
    mine, other = np.median(rates, axis=0)
    return Result(
        "bag_writing",
        "MB/s",
        float(mine),
        "rosbags sqlite3",
        float(other),
        float(mine / other),
        "60 kB images, fsynced",
    )


def _rate(write, size: int) -> float:
    folder = Path(tempfile.mkdtemp(prefix="dexpie-bench-"))
    try:
        start = time.perf_counter()
        write(folder)
        return MESSAGES * size / (time.perf_counter() - start) / 1e6
    finally:
        shutil.rmtree(folder)
