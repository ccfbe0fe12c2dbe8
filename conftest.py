"""Settings of every test session: its own ROS domain, the project's Fast DDS profile, no display."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from dexpie_ros.own_domain import own_domain

# No test asserts how long an example takes: another program may have the processor.
settings.register_profile("dexpie", deadline=None)
settings.load_profile("dexpie")

# A job in a script's background ignores Ctrl-C, and so would the programs whose interruption is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Set before anything imports rclpy, so that sessions and workers side by side never hear one another.
DOMAIN_ID = own_domain()
os.environ["ROS_DOMAIN_ID"] = str(DOMAIN_ID)
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("MUJOCO_GL", "osmesa")
os.environ.setdefault(
    "FASTDDS_DEFAULT_PROFILES_FILE", str(Path(__file__).parent / "launch" / "config" / "fastdds.xml")
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "processes: starts processes or connections and mostly waits for them")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out files without the mark that `-m` asks for: importing them takes longer than the rest."""
    terms = config.option.markexpr.split(" and ")  # anything but such a chain selects from all files
    wanted = [f"mark.{term}" for term in terms if term in ("processes", "realtime")]
    if not wanted or not collection_path.name.startswith("test_"):
        return None
    text = collection_path.read_text()
    return None if all(mark in text for mark in wanted) else True


def pytest_sessionfinish() -> None:
    """Nodes that tests have killed leave 64 MiB of shared memory each."""
    from dexpie.shared_memory import remove_leftovers

    remove_leftovers()


def pytest_report_header() -> str:
    return f"ROS_DOMAIN_ID={DOMAIN_ID}"
