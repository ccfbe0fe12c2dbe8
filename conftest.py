"""Settings of every test session: its own ROS domain, the project's Fast DDS profile, no display."""

import os
import random
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# No test asserts how long an example takes: another program may have the processor.
settings.register_profile("dexpie", deadline=None)
settings.load_profile("dexpie")

# A job in a script's background ignores Ctrl-C, and so would the programs whose interruption is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Set before anything imports rclpy, so that sessions side by side never hear one another.
DOMAIN_ID = random.SystemRandom().randint(1, 100)
os.environ["ROS_DOMAIN_ID"] = str(DOMAIN_ID)
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("MUJOCO_GL", "osmesa")
os.environ.setdefault(
    "FASTDDS_DEFAULT_PROFILES_FILE", str(Path(__file__).parent / "launch" / "config" / "fastdds.xml")
)


# These compute; the others start processes, open sockets or keep time, and want the machine.
COMPUTING = (
    "src/dexpie_core",
    "src/dexpie_sim",
    "src/dexpie_bags",
    "training",
    "launch/test/test_bag_tools.py",
    "launch/test/test_collection_folder.py",
    "launch/test/test_evaluate.py",
    "launch/test/test_plot_values.py",
    "src/dexpie_hardware/test/test_hw_ur5_interpolator.py",
    "src/dexpie_hardware/test/test_hw_vive_tracking.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what must not run beside other tests as `realtime`; modules may carry the mark themselves."""
    for item in items:
        if not str(item.path.relative_to(config.rootpath)).startswith(COMPUTING):
            item.add_marker("realtime")


def pytest_sessionfinish() -> None:
    """Nodes that tests have killed leave 64 MiB of shared memory each."""
    from dexpie.shared_memory import remove_leftovers

    remove_leftovers()


def pytest_report_header() -> str:
    return f"ROS_DOMAIN_ID={DOMAIN_ID}"


@pytest.fixture(scope="session")
def ros_domain_id() -> int:
    return DOMAIN_ID
