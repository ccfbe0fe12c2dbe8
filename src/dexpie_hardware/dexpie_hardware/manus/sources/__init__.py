"""Ways to hear the gloves: the maker's ROS topics, or a bridge over ZeroMQ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from dexpie_hardware.glove_reading import GloveReading


class Source(Protocol):
    """What the driver needs of a source."""

    def poll(self, now_s: float) -> list[GloveReading]:
        """What has arrived since the last call, oldest first; never waits."""
        ...

    def notes(self) -> Mapping[str, object]:
        """What /diagnostics tells of it."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
