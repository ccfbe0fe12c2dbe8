"""A node as a process: stops on signals with status 0, dies with last words and another status."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

pytest.importorskip("rclpy", reason="ROS 2 is not sourced")

NODE = Path(__file__).with_name("node_for_tests.py")
STOP_LIMIT_S = 20  # only against hanging for ever; a stop is meant to take well under 2 s


def start(*parameters: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, str(NODE), "--ros-args"]
    for parameter in parameters:
        arguments += ["-p", parameter]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_with_status_0(number):
    process = start("rate_hz:=100", "gains:=[3.0, 4.0]")  # a whole number is a fine float
    assert process.stdout.readline().strip() == "ready (3.0, 4.0)"
    process.send_signal(number)
    out, err = process.communicate(timeout=STOP_LIMIT_S)
    assert process.returncode == 0, err
    assert out.strip() == "closed"
    assert "Traceback" not in err


def test_repeated_signals_do_not_tear_the_closing():
    process = start()
    process.stdout.readline()
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=STOP_LIMIT_S)
    assert process.returncode == 0, err
    assert out.strip() == "closed"
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("parameter", "status", "words", "traceback"),
    [
        ("die:=construct", 1, "no device", True),
        ("die:=callback", 1, "ticker: arm lost", True),
        ("die:=usage", 2, "parameter die: usage is not allowed", False),
        ("rate_hz:=fast", 2, "ticker: parameter rate_hz: needs a float, got 'fast'", False),
        ("gains:=[a, b]", 2, "ticker: parameter gains: needs a float, got 'a'", False),
    ],
)
def test_last_words(parameter, status, words, traceback):
    process = start(parameter)
    _, err = process.communicate(timeout=STOP_LIMIT_S)
    assert process.returncode == status, err
    assert words in err.strip().splitlines()[-1]
    assert ("Traceback" in err) == traceback


def test_an_error_while_closing_is_not_hidden():
    process = start("die:=close")
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=STOP_LIMIT_S)
    assert process.returncode == 1
    assert err.strip().splitlines()[-1] == "ticker: disk full"


def test_diagnostics_arrive():
    import rclpy
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.task import Future

    from dexpie_core.topics import DIAGNOSTICS
    from dexpie_ros.qos import profile

    process = start()
    rclpy.init()
    try:
        node = rclpy.create_node("listener")
        got = Future()
        node.create_subscription(
            DiagnosticArray,
            DIAGNOSTICS.name,
            lambda message: got.done() or got.set_result(message),
            profile(DIAGNOSTICS),
        )
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin_until_future_complete(got, timeout_sec=30)
        status = got.result().status[0]
        assert (status.name, status.level, status.message) == ("ticker", b"\x01", "warm")
        assert status.values[0].key == "ticks" and int(status.values[0].value) > 0
        node.destroy_node()
    finally:
        rclpy.shutdown()
        process.terminate()
        process.communicate(timeout=STOP_LIMIT_S)
