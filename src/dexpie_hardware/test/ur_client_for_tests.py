"""The genuine ur_rtde in a process of its own, driven by JSON lines: its calls hold the interpreter's lock.

As a program it reads one request a line from standard input and answers with one line.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

CALL_TIMEOUT_S = 20.0


class ClientError(RuntimeError):
    """The library raised; the message is the exception's type and text."""


class ClientTimeout(RuntimeError):
    """The library did not come back in time."""


class ClientGone(RuntimeError):
    """The process with the library is no more: a bug of the library, or the end of the test."""


class UrClient:
    """Proxies of the library's interfaces, by the name given at `open`."""

    def __init__(self, process: subprocess.Popen[str], host: str) -> None:
        self._process = process
        self._host = host

    def open(self, name: str, interface: str, *arguments: Any, host: str | None = None) -> None:
        """Construct receive, control, io or dashboard and keep it under a name."""
        address = self._host if host is None else host
        self._request({"open": name, "interface": interface, "arguments": [address, *arguments]})

    def call(self, name: str, function: str, *arguments: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Call a function of an interface; ClientError where it raises."""
        return self._request({"on": name, "call": function, "arguments": list(arguments)}, timeout_s)

    def stream(self, name: str, function: str, targets: list[list[float]], *rest: float) -> dict[str, Any]:
        """Call servoJ or servoL with each target, paced by waitPeriod; what `receive` saw in each period."""
        request = {"on": name, "stream": function, "targets": targets, "rest": list(rest)}
        return self._request(request, CALL_TIMEOUT_S)

    def collect(self, name: str, functions: list[str], duration_s: float) -> list[list[Any]]:
        """Read getters about once a millisecond: a row whenever the first one has changed."""
        return self._request({"on": name, "collect": functions, "duration_s": duration_s})

    def start(self, name: str, function: str, *arguments: Any) -> None:
        """Send a call that may take long, without waiting; `finish` returns its result."""
        self._send({"on": name, "call": function, "arguments": list(arguments)})

    def finish(self, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Result of the call that was started."""
        return self._answer(timeout_s)

    def _request(self, request: dict[str, Any], timeout_s: float = CALL_TIMEOUT_S) -> Any:
        self._send(request)
        return self._answer(timeout_s)

    def _send(self, request: dict[str, Any]) -> None:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _answer(self, timeout_s: float) -> Any:
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            raise ClientTimeout(f"ur_rtde did not answer within {timeout_s} s")
        line = self._process.stdout.readline()
        if not line:
            raise ClientGone(f"the process with ur_rtde ended with status {self._process.wait(5.0)}")
        answer = json.loads(line)
        if "error" in answer:
            raise ClientError(answer["error"])
        return answer["result"]


@contextlib.contextmanager
def ur_client(host: str) -> Iterator[UrClient]:
    """A process with the library; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield UrClient(process, host)
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()


def _construct(interface: str, arguments: list[Any]) -> Any:
    import dashboard_client
    import rtde_control
    import rtde_io
    import rtde_receive

    classes = {
        "receive": rtde_receive.RTDEReceiveInterface,
        "control": rtde_control.RTDEControlInterface,
        "io": rtde_io.RTDEIOInterface,
        "dashboard": dashboard_client.DashboardClient,
    }
    return classes[interface](*arguments)


def _stream(interfaces: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    control, receive = interfaces[request["on"]], interfaces["receive"]
    rows, accepted = [], True
    for target in request["targets"]:
        period: timedelta = control.initPeriod()
        accepted = getattr(control, request["stream"])(target, *request["rest"]) and accepted
        rows.append([receive.getTimestamp(), receive.getActualQ(), receive.getActualTCPPose()])
        control.waitPeriod(period)
    return {"accepted": accepted, "rows": rows}


def _collect(interface: Any, functions: list[str], duration_s: float) -> list[list[Any]]:
    rows: list[list[Any]] = []
    end = time.monotonic() + duration_s
    while time.monotonic() < end:
        row = [getattr(interface, function)() for function in functions]
        if not rows or row[0] != rows[-1][0]:
            rows.append(row)
        time.sleep(0.001)
    return rows


def _serve(interfaces: dict[str, Any], request: dict[str, Any]) -> Any:
    if "open" in request:
        interfaces[request["open"]] = _construct(request["interface"], request["arguments"])
        return None
    if "stream" in request:
        return _stream(interfaces, request)
    if "collect" in request:
        return _collect(interfaces[request["on"]], request["collect"], request["duration_s"])
    return getattr(interfaces[request["on"]], request["call"])(*request["arguments"])


def main() -> None:
    """Answer requests until the end of standard input."""
    # The library prints on standard output too: the answers keep the old one to themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    interfaces: dict[str, Any] = {}
    for line in sys.stdin:
        try:
            answer = {"result": _serve(interfaces, json.loads(line))}
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
