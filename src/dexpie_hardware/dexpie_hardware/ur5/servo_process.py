"""The servo process: holds the connection to the controller and runs the servo loop, for one node.

It is a process of its own because ur_rtde locks the interpreter while it connects, without end where the
controller hangs, and because nothing of ROS may delay a cycle. One process lives as long as one
connection; the node starts the next one. It never asks ROS for anything.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from typing import Final

from dexpie_hardware.ur5.errors import LinkError
from dexpie_hardware.ur5.link import Link
from dexpie_hardware.ur5.parameters import Ur5Parameters
from dexpie_hardware.ur5.servo import ServoLoop
from dexpie_hardware.ur5.supervision import READY_STATES, State
from dexpie_hardware.ur5.wire import MAX_BYTES, Cycles, Recover, Report, Request, Status, Stop, decode, encode
from dexpie_ros.loop import RateLoop
from dexpie_ros.realtime import be_realtime

# The kernel ends the process where a call does not come back in time.
CONNECT_LIMIT_S: Final = 4.0
READY_LIMIT_S: Final = 1.0
BUSY_LIMIT_S: Final = 8.0
STOP_LIMIT_S: Final = 1.4
CYCLES_A_REPORT: Final = 32


class Channel:
    """The socket to the node: never waits, and tells when the node is gone."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self.closed = False

    def send(self, report: Report) -> None:
        """Send a report; a node that is too busy to read misses some."""
        try:
            self._socket.send(encode(report))
        except BlockingIOError:
            return
        except OSError:
            self.closed = True

    def receive(self, timeout_s: float = 0.0) -> list[Request]:
        """Everything that has come; waits for the first one if asked to."""
        requests: list[Request] = []
        if timeout_s > 0.0:
            select.select([self._socket], [], [], timeout_s)
        while not self.closed:
            try:
                datagram = self._socket.recv(MAX_BYTES)
            except BlockingIOError:
                break
            except OSError:
                datagram = b""
            self.closed = not datagram
            if datagram:
                requests.append(decode(datagram))  # type: ignore[arg-type]
        return requests


class ServoProcess:
    """Connect, loop, stop."""

    def __init__(self, parameters: Ur5Parameters, channel: Channel, autostart: bool) -> None:
        self._p = parameters
        self._channel = channel
        self._autostart = autostart
        self._cycles: list[tuple[int, int]] = []
        self._rate = RateLoop(parameters.servo_rate_hz, self._work, history=1)

    def run(self) -> None:
        """Until the node says so or the connection is lost."""
        self._link = self._connect()
        if self._link is None:
            return
        self._loop = ServoLoop(self._p, self._link, self._channel.send, self._autostart)
        gc.collect()
        gc.freeze()
        gc.disable()  # nothing here makes reference cycles, and a collection takes longer than a period
        try:
            self._rate.run()
        finally:
            if self._loop.state is not State.LOST:
                limit(STOP_LIMIT_S)
                self._link.shut_down()

    def _connect(self) -> Link | None:
        """The link as soon as there is one, None where the node does not want it any more."""
        detail = f"connecting to the controller at {self._p.host}"
        while True:
            self._channel.send(Status(State.CONNECTING.name, False, detail))
            limit(CONNECT_LIMIT_S)
            try:
                return Link(self._p)
            except LinkError as error:
                detail = f"no connection to the controller at {self._p.host}: {error}"
            limit(0.0)
            if not self._pause(detail):
                return None

    def _pause(self, detail: str) -> bool:
        """Wait until the next attempt; whether there is to be one. Commands come and are dropped."""
        deadline_s = time.monotonic() + self._p.reconnect_period_s
        while (left_s := deadline_s - time.monotonic()) > 0.0:
            for request in self._channel.receive(left_s):
                if isinstance(request, Stop):
                    return False
                if isinstance(request, Recover):
                    answer = Status(State.CONNECTING.name, False, detail, recovered=False, answer=detail)
                    self._channel.send(answer)
            if self._channel.closed:
                return False
        return True

    def _work(self) -> None:
        begun_ns = time.monotonic_ns()
        was_ready = self._loop.state in READY_STATES
        limit(READY_LIMIT_S if was_ready else BUSY_LIMIT_S)
        requests = self._channel.receive()
        if self._channel.closed or any(isinstance(request, Stop) for request in requests):
            self._rate.stop()
            return
        self._loop.cycle(begun_ns * 1e-9, time.time_ns(), requests)
        if self._loop.state is State.LOST:
            self._rate.stop()
        if was_ready and self._loop.state in READY_STATES:
            self._cycles.append((begun_ns, time.monotonic_ns() - begun_ns))
        else:
            self._cycles.clear()  # making ready blocks, and is no part of the servo's timing
        if len(self._cycles) == CYCLES_A_REPORT:
            self._channel.send(Cycles(tuple(self._cycles)))
            self._cycles.clear()


def limit(seconds: float) -> None:
    """Let the kernel end this process unless the limit is set anew within `seconds`; 0 for none.

    A handler in Python would wait for the interpreter, which a hanging constructor never gives back.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds)


def main() -> int:
    """Entry point: the descriptor of the socket to the node, the parameters as JSON, 0 or 1 for autostart."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # The node tells when to stop, in order; a terminal's Ctrl-C goes to all of its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    fd, parameters_json, autostart = sys.argv[1:4]
    parameters = Ur5Parameters.from_json(parameters_json)
    be_realtime(parameters.realtime_priority, 0)  # and ur_rtde's threads, which begin later
    status = 0
    try:
        ServoProcess(parameters, Channel(int(fd)), autostart == "1").run()
    except Exception:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # ur_rtde's threads may hang in a dead connection: nothing of theirs is waited for.
    os._exit(status)


if __name__ == "__main__":
    main()
