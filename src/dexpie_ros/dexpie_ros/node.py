"""The main of every node: start, spin, stop cleanly, say why it died."""

import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
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
    stop = _Stop()
    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    # rclpy's handlers wake the executor's wait and then call ours; Python's own would break into a callback.
    rclpy.init(args=list(sys.argv if argv is None else argv), signal_handler_options=SignalHandlerOptions.ALL)
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
        status = 0 if stop.count and not rclpy.ok() else _last_words(name, error)
    return max(status, _close(node, name))


class _Stop:
    """Counts signals."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


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
    # One signal is enough: a terminal and a launcher may both send it, and rclpy's handler would crash on
    # entities that are being destroyed here.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    try:
        if node is not None:
            if hasattr(node, "close"):
                node.close()
            node.destroy_node()
    except Exception as error:
        status = _last_words(name, error)
    finally:
        rclpy.try_shutdown()
    return status


def _last_words(name: str, error: Exception) -> int:
    """Says on stderr what killed the node, last line in one piece; returns the exit status."""
    if not isinstance(error, DexpieError):
        traceback.print_exception(error, file=sys.stderr)
    print(f"{name}: {error or type(error).__name__}", file=sys.stderr, flush=True)
    return 2 if isinstance(error, UsageError) else 1
