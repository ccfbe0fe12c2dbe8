"""A node process for test_ros_node.py: ticks, reports, and dies in the way that is asked for."""

import sys
from dataclasses import dataclass

from rclpy.node import Node

from dexpie_core.errors import UsageError
from dexpie_ros.diagnostics import Diagnostics, Level, Report
from dexpie_ros.node import declare, parameter, run


@dataclass(frozen=True)
class Config:
    """Parameters of the test node."""

    rate_hz: float = parameter(50.0, "how often it ticks, Hz")
    die: str = parameter("", "how it dies: construct, callback, usage, close")
    gains: tuple[float, ...] = parameter((1.0, 2.0), "three of a kind, dimensionless")


class Ticker(Node):
    def __init__(self) -> None:
        super().__init__("ticker")
        self.config = declare(self, Config)
        self.ticks = 0
        if self.config.die == "construct":
            raise RuntimeError("no device")
        if self.config.die == "usage":
            raise UsageError("parameter die: usage is not allowed; leave it out")
        self.timer = self.create_timer(1.0 / self.config.rate_hz, self.tick)
        self.diagnostics = Diagnostics(self, lambda: Report(Level.WARN, "warm", {"ticks": self.ticks}))

    def tick(self) -> None:
        self.ticks += 1
        if self.ticks == 5:
            print("ready", self.config.gains, flush=True)
            if self.config.die == "callback":
                raise RuntimeError("arm lost")

    def close(self) -> None:
        if self.config.die == "close":
            raise RuntimeError("disk full")
        print("closed", flush=True)


if __name__ == "__main__":
    sys.exit(run(Ticker))
