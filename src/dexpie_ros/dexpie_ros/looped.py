"""Base of the nodes that do their work at a rate of their own, on an absolute schedule.

The work runs on its own thread and asks for messages (dexpie_ros.polling); services and diagnostics
are served by the thread that spins. Both take `lock`. An error in the
work ends the node as one in a callback does.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.publisher import Publisher

from dexpie_core.topics import TopicSpec
from dexpie_ros.diagnostics import Diagnostics, Level, Report
from dexpie_ros.factory import message_class
from dexpie_ros.loop import RateLoop
from dexpie_ros.polling import PolledSubscription
from dexpie_ros.qos import profile
from dexpie_ros.realtime import be_realtime

# A thread that waits for the interpreter gets it within half a millisecond instead of five.
SWITCH_INTERVAL_S = 0.0005
TIMING_WINDOW_S = 10.0
JOIN_TIMEOUT_S = 1.0


class LoopNode(Node):
    """Subclasses set up everything, then call `start`; they override `step`, `report` and `finish`."""

    def __init__(self, name: str) -> None:
        super().__init__(name, start_parameter_services=False)
        self._label = self.get_name()  # the node itself cannot tell it any more when ROS is gone
        self.lock = threading.RLock()
        self.diagnostics = Diagnostics(self, self._locked_report)
        self._loop: RateLoop | None = None
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    def prepare(self) -> None:
        """Called once by the thread that does the work, before the first step; `lock` is not held."""

    def step(self) -> None:
        """One period of the work, `lock` held."""
        raise NotImplementedError

    def report(self) -> Report:
        """State for /diagnostics, `lock` held; OK only when the node really works."""
        return Report()

    def finish(self) -> None:
        """Called after the last step; messages can no longer be published."""

    def advertise(self, spec: TopicSpec) -> Publisher[Any]:
        """Publisher of a topic."""
        return self.create_publisher(message_class(spec.type), spec.name, profile(spec))

    def poll(self, spec: TopicSpec, *, raw: bool = False) -> PolledSubscription:
        """Subscription to be asked in `step`."""
        return PolledSubscription(self, spec, raw=raw)

    def serve(self, name: str, typename: str, handler: Callable[[Any, Any], None]) -> None:
        """Service; `handler(request, response)` fills the response, `lock` held."""

        def locked(request: Any, response: Any) -> Any:
            with self.lock:
                handler(request, response)
            return response

        self.create_service(message_class(typename), name, locked)

    def start(self, rate_hz: float, *, niceness: int = 0, realtime: int = 0) -> None:
        """Begin to call `step` at `rate_hz`.

        niceness is the process', realtime (1..99, 0 = none) its Python threads' SCHED_FIFO priority. Where
        the system permits neither (RLIMIT_RTPRIO, CAP_SYS_NICE), the loop runs as any other.
        """
        be_nice(niceness)
        self._realtime = realtime
        self._loop = RateLoop(rate_hz, self._locked_step)
        self._timing_window = round(TIMING_WINDOW_S * rate_hz)
        self._thread = threading.Thread(target=self._work, name="work", daemon=True)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._thread.start()

    def close(self) -> None:
        """End the loop, say what its timing was, and raise what ended it, if anything did."""
        if self._loop is not None and self._thread is not None:
            self._loop.stop()
            self._thread.join(timeout=JOIN_TIMEOUT_S)
            if self._loop.cycles:
                print(f"[{self._label}] loop: {self._loop.timing()}", file=sys.stderr, flush=True)
        self.finish()
        if self._failure is not None:
            raise self._failure

    def timing_values(self) -> dict[str, object]:
        """Timing of the newest ten seconds, for `report`."""
        if self._loop is None:
            return {}
        timing = self._loop.timing(self._timing_window)
        return {
            "period_p50_ms": timing.period_p50_ms,
            "period_p99_ms": timing.period_p99_ms,
            "period_max_ms": timing.period_max_ms,
            "work_p99_ms": timing.work_p99_ms,
            "skipped_cycles": timing.overruns,
        }

    def _work(self) -> None:
        assert self._loop is not None
        try:
            self.prepare()
            be_realtime(self._realtime, threading.get_native_id())
            # The other thread holds the lock now and then, and must not be interrupted while it does.
            be_realtime(self._realtime, threading.main_thread().native_id)
            gc.collect()
            gc.freeze()  # what start-up made stays: no collection in the loop walks through it
            self._loop.run()
        except Exception as error:
            if rclpy.ok():  # otherwise the end of ROS is what the work ran into
                self._failure = error
                rclpy.try_shutdown()

    def _locked_step(self) -> None:
        with self.lock:
            self.step()

    def _locked_report(self) -> Report:
        with self.lock:
            return self.report()


def be_nice(niceness: int) -> None:
    """Set this process' niceness: what can wait yields to what cannot when the cores are busy."""
    with contextlib.suppress(PermissionError):  # an ordinary user may only become nicer
        os.setpriority(os.PRIO_PROCESS, 0, niceness)


def stale(since_ns: int | None, limit_s: float) -> bool:
    """Whether a monotonic time is missing or older than a limit."""
    return since_ns is None or (time.monotonic_ns() - since_ns) * 1e-9 > limit_s


__all__ = ["Level", "LoopNode", "Report", "stale"]
