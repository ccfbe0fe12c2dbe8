"""The emulated tracker: it moves as a hand does, follows a file, and goes wrong as it is told."""

import json
from pathlib import Path

import numpy as np
import pytest

from dexpie_core import se3
from dexpie_hardware.emulators.tracker_motion import EmulatedTracker, figure_eight, recorded, still
from dexpie_hardware.tracker_sample import Tracking
from dexpie_hardware.vive.tracking import State, TrackingMonitor


def test_without_faults_it_is_never_lost() -> None:
    tracker, monitor = EmulatedTracker("t", 3e-4), TrackingMonitor()
    states = []
    for k in range(1500):
        now_s = 0.01 * k
        sample = tracker.sample(now_s, figure_eight(now_s))
        assert sample is not None
        monitor.take(sample, now_s)
        monitor.tick(now_s)
        states.append(monitor.state)
    assert set(states[51:]) == {State.TRACKING}, monitor.reason


def test_a_file_is_followed_and_begins_again(tmp_path: Path) -> None:
    file = tmp_path / "path.json"
    half_turn = [0.0, 0.0, 1.0, 0.0]
    file.write_text(
        json.dumps([[5, 0, 0, 1, 0, 0, 0, 1], [6, 1, 0, 1, *half_turn], [8, 1, 2, 1, *half_turn]])
    )
    path = recorded(file)
    np.testing.assert_allclose(path(0.0)[:3, 3], [0, 0, 1])
    np.testing.assert_allclose(path(0.5)[:3, 3], [0.5, 0, 1])
    np.testing.assert_allclose(path(0.5)[:3, :3], se3.rotation_from_rotvec([0, 0, np.pi / 2]), atol=1e-9)
    np.testing.assert_allclose(path(2.0)[:3, 3], [1, 1, 1])
    np.testing.assert_allclose(path(3.5), path(0.5), atol=1e-9)


@pytest.mark.parametrize("text", ["", "[]", "[[0, 1]]", "[[0,0,0,0,0,0,0,1],[0,0,0,0,0,0,0,1]]", '{"a": 1}'])
def test_a_file_that_is_no_path_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "path.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"path\.json"):
        recorded(file)
    with pytest.raises(ValueError, match=r"none\.json"):
        recorded(tmp_path / "none.json")


def test_its_faults() -> None:
    tracker = EmulatedTracker("t", 0.0, clock_s=100.0)
    first = tracker.sample(1.0, still(1.0))
    assert first is not None and first.device_s == 101.0
    tracker.faults.frozen = True
    assert tracker.sample(2.0, figure_eight(2.0)) == first
    tracker.faults.frozen, tracker.faults.rotation_only = False, True
    turned = tracker.sample(2.0, figure_eight(2.0))
    assert turned is not None and turned.tracking is Tracking.OK
    np.testing.assert_array_equal(turned.position_m, first.position_m)
    np.testing.assert_allclose(turned.quat_xyzw, se3.quat_from_matrix(figure_eight(2.0)))
    tracker.faults.admits = True
    said = tracker.sample(2.1, figure_eight(2.1))
    assert said is not None and said.tracking is Tracking.ROTATION_ONLY
    tracker.faults.silent = True
    assert tracker.sample(3.0, still(3.0)) is None
