"""The main of every node: start, spin, stop cleanly, say why it died."""

import ctypes
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from dexpie_core.errors import DexpieError, UsageError
from dexpie_ros.parameters import declare, parameter

__all__ = ["declare", "parameter", "run"]
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(node_class: Callable[[], Node], argv: Sequence[str] | None = None) -> int:
    """Runs a node until SIGINT or SIGTERM; returns the exit status for `main`.

    0 after a signal, 2 after UsageError, 1 after anything else that went wrong. A node may have `close()`:
    it is called last, also after an error, when messages can no longer be published.
    """
    arguments = list(sys.argv if argv is None else argv)
    stopper = _Stopper()
    with stopper.lock:  # a signal that comes now shuts down what is then there
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    name = getattr(node_class, "__name__", "node")
    node: Any = None
    status = 0
    try:
        node = node_class()
        name = node.get_name()
        _spin(node)
    except ExternalShutdownException:
        pass
    except Exception as error:
        # A signal while the node is being made shuts its context down under its feet.
        status = 0 if stopper.stopped and not rclpy.ok() else _last_words(name, error)
    stopper.end()
    return max(status, _close(node, name))


class _Stopper:
    """Shuts ROS down at the first signal, from a thread: the one that spins may be waiting for a message.

    rclpy's own handler would do so too, but from a thread that nobody waits for: it walks through entities
    that are being destroyed meanwhile, and crashes now and then.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._ended = False
        self.lock = threading.Lock()
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        for number in STOP_SIGNALS:
            signal.signal(number, lambda number, frame: None)  # else the wake-up descriptor is not written to
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._wait, name="stopper", daemon=True).start()

    def _wait(self) -> None:
        self._receiver.recv(1)
        with self.lock:
            self.stopped = True
            if not self._ended:
                rclpy.try_shutdown(uninstall_handlers=False)

    def end(self) -> None:
        """From here on signals are ignored: one is enough, and closing must not be torn."""
        libc = ctypes.CDLL(None)
        libc.signal.argtypes, libc.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
        for number in STOP_SIGNALS:
            # In the kernel first: Python complains of one that comes while it forgets its own handler.
            libc.signal(number, int(signal.SIG_IGN))
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        with self.lock:
            self._ended = True


def _spin(node: Node) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    finally:
        executor.remove_node(node)


def _close(node: Any, name: str) -> int:
    """Closes node and context; the exit status that this part deserves."""
    status = 0
    try:
        if node is not None:
            if hasattr(node, "close"):
                node.close()
            node.destroy_node()
    except Exception as error:
        status = _last_words(name, error)
    finally:
        rclpy.try_shutdown(uninstall_handlers=False)
    return status


def _last_words(name: str, error: Exception) -> int:
    """Says on stderr what killed the node, last line in one piece; returns the exit status."""
    if not isinstance(error, DexpieError):
        traceback.print_exception(error, file=sys.stderr)
    print(f"{name}: {error or type(error).__name__}", file=sys.stderr, flush=True)
    return 2 if isinstance(error, UsageError) else 1
