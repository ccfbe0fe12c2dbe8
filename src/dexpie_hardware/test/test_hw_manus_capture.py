"""`glove_ranges` without a glove: what it asks again, when it gives up, what it leaves behind."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from dexpie_core.errors import DexpieError
from dexpie_core.retargeting import RetargetConfig
from dexpie_hardware.emulators.glove_person import GESTURES
from dexpie_hardware.manus import ranges_cli
from dexpie_hardware.manus.ranges_cli import GloveListener, Session, main, parse
from dexpie_ros.testing import Peer

pytestmark = pytest.mark.processes

POSES = ("flat", "thumb_to_palm", "fist_thumb_up", "thumb_across")


class Held:
    """A listener that hears one pose after the other as it is told to."""

    def __init__(self, *poses: np.ndarray) -> None:
        self.poses = list(poses)
        self.asked_s: list[float] = []

    side, names = "right", ()

    def wait(self, limit_s: float) -> None:
        """It speaks at once."""

    def record(self, seconds: float, progress: Any) -> np.ndarray:
        progress(1.0)
        self.asked_s.append(seconds)
        return self.poses.pop(0)


def held(*closed: float) -> np.ndarray:
    """A second of a pose, by how closed each channel is."""
    low, high = np.array(RetargetConfig().open_deg), np.array(RetargetConfig().closed_deg)
    return np.tile(low + np.array(closed) * (high - low), (120, 1))


FLAT, PALM, FIST, ACROSS = (held(*GESTURES[name]) for name in POSES)


def run_session(listener: Held, *options: str) -> tuple[Any, str]:
    """What a session that presses Enter at once returns or raises, and what it printed."""
    console = Console(file=io.StringIO(), soft_wrap=True)
    console.input = lambda prompt: console.print(prompt) or ""  # type: ignore[method-assign]
    parsed = parse(["--user", "Ada", "--out", "a.yaml", "--seconds", "1", "--settle", "0", *options])
    try:
        result: Any = Session(listener, parsed, console).run()  # type: ignore[arg-type]
    except DexpieError as error:
        result = error
    return result, console.file.getvalue()  # type: ignore[attr-defined]


def test_a_hand_that_moves_is_asked_at_once_to_hold_that_pose_again() -> None:
    moving = FLAT + np.linspace(0.0, 30.0, 120)[:, None]
    listener = Held(moving, FLAT, PALM, FIST, ACROSS)
    result, text = run_session(listener)
    assert result.closed_deg == RetargetConfig().closed_deg
    assert listener.asked_s == [1.0] * 5
    assert text.count("hold it, then press Enter") == 5 and text.count("pose 1 of 4") == 2
    assert "PinkyMCPStretch moved by 27.0 deg in pose 1 (flat hand): repeat it and hold still" in text


def test_who_cannot_hold_still_is_let_go_after_three_attempts() -> None:
    listener = Held(*[FLAT + np.linspace(0.0, 30.0, 120)[:, None]] * 9)
    result, _ = run_session(listener)
    assert isinstance(result, DexpieError) and str(result).endswith("nothing was written")
    assert len(listener.poses) == 6


def test_a_glove_that_dies_during_a_pose_is_told() -> None:
    result, _ = run_session(Held(FLAT, PALM[:7]), "--yes", "--countdown", "0")
    assert "only 7 readings in pose 2 (thumb to the palm), at least 60 are needed" in str(result)


def test_without_questions_a_bad_capture_ends_with_what_to_repeat_and_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ada.yaml"
    file.write_text("old")
    options = [
        "--user",
        "Ada",
        "--out",
        str(file),
        "--seconds",
        "1",
        "--settle",
        "0",
        "--countdown",
        "0",
        "--yes",
    ]
    monkeypatch.setattr(ranges_cli, "GloveListener", lambda node: Held(FLAT, PALM, FLAT, ACROSS))
    assert main(options) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "IndexMCPStretch goes from 5.0 deg" in line and "less than 10 deg; repeat pose 3" in line
    assert line.endswith("nothing was written")
    assert file.read_text() == "old"
    monkeypatch.setattr(ranges_cli, "GloveListener", lambda node: Held(FLAT, PALM, FIST, ACROSS))
    assert main(options) == 0
    assert "glove_closed_deg: [70.0, 80.0, 85.0, 90.0, 60.0, 35.0]" in file.read_text()


def test_a_silent_glove_is_told() -> None:
    with (
        Peer() as peer,
        pytest.raises(DexpieError, match=r"no glove on /teleop/glove for 0\.05 s: start manus"),
    ):
        GloveListener(peer.node).wait(0.05)


@pytest.mark.parametrize(
    "arguments",
    [("--out", "a.yaml"), ("--user", "a\nb", "--out", "a.yaml"), ("--user", "Ada", "--out", "none/a.yaml")],
)
def test_wrong_use_is_refused_before_anything_is_asked(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as raised:
        parse(list(arguments))
    assert raised.value.code == 2
