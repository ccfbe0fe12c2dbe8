"""For tests of nodes as processes: start them in a ROS domain of their own, talk to them, await events."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher

from dexpie_core.topics import TopicSpec
from dexpie_ros.factory import message_class
from dexpie_ros.own_domain import own_domain
from dexpie_ros.polling import PolledSubscription
from dexpie_ros.qos import profile, recording_profile

TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5.0


class NodeProcess:
    """A node, a module's name or a script's path; stopped at the end of the `with` block if it still runs."""

    def __init__(self, module: str | Path, log: Path, parameters: Mapping[str, object] | None = None) -> None:
        self.log = log
        arguments = [f"{name}:={_yaml(value)}" for name, value in (parameters or {}).items()]
        program = [str(module)] if isinstance(module, Path) else ["-m", module]
        command = [sys.executable, *program, "--ros-args"]
        command += [part for argument in arguments for part in ("-p", argument)]
        environment = {**os.environ, "ROS_DOMAIN_ID": str(own_domain())}
        with log.open("wb") as stream:
            self.process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 10.0) -> int:
        """Send a signal and wait; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def wait(self, timeout_s: float = TIMEOUT_S) -> int:
        """Wait for its own end; the exit status."""
        return self.process.wait(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()  # a killed node leaves its shared memory behind
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if error is not None:
            print(f"--- {self.log.name}\n{self.log.read_text(errors='replace')}")


class Peer:
    """The test's own node in the same domain; a context manager."""

    def __init__(self) -> None:
        self._context = Context()
        rclpy.init(args=[], context=self._context, domain_id=own_domain())
        self.node = Node("test_peer", context=self._context, start_parameter_services=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def advertise(self, spec: TopicSpec) -> Publisher[Any]:
        """Publisher of a topic."""
        return self.node.create_publisher(message_class(spec.type), spec.name, profile(spec))

    def listen(self, spec: TopicSpec) -> PolledSubscription:
        """Subscription with a long queue."""
        return PolledSubscription(self.node, spec, qos=recording_profile(spec))

    def call(self, service: str, typename: str, **fields: Any) -> Any:
        """Call a service and return its response."""
        cls = message_class(typename)
        client = self.node.create_client(cls, service)
        if not client.wait_for_service(TIMEOUT_S):
            raise TimeoutError(f"service {service} did not appear")
        future = client.call_async(cls.Request(**fields))
        self._executor.spin_until_future_complete(future, TIMEOUT_S)
        self.node.destroy_client(client)
        if not future.done():
            raise TimeoutError(f"service {service} did not answer")
        return future.result()

    def collect(self, subscription: PolledSubscription, enough: Callable[[list[Any]], bool]) -> list[Any]:
        """Messages of a subscription until there are enough of them."""
        found: list[Any] = []

        def done() -> bool:
            found.extend(taken.message for taken in subscription.take())
            return enough(found)

        await_true(done, f"enough messages on {subscription.spec.name}")
        return found


class Repeating:
    """Calls a function at a rate on its own thread, as a device does; a context manager."""

    def __init__(self, rate_hz: float, function: Callable[[], None]) -> None:
        self._period_s = 1.0 / rate_hz
        self._function = function
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self._function()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


def await_true(condition: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Wait until a condition holds; TimeoutError says what did not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(0.01)


def _yaml(value: object) -> str:
    """A parameter value as `--ros-args -p` reads it; an empty string needs its quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    return f"'{value}'" if isinstance(value, (str, Path)) else str(value)
