"""Judges from the time of the last frame whether the camera is still there."""

from __future__ import annotations

import enum


class Verdict(enum.Enum):
    """What the silence means."""

    ALIVE = "alive"
    SILENT = "silent"  # worth a report
    LOST = "lost"  # worth opening the camera anew


class FrameWatchdog:
    """Silence of `silence_s` is reported, of `lost_s` ends it; the first frame has `first_frame_s` to come.

    Time in which nobody watched (`judge` was not called) does not count: after the process itself has stood
    still, frames may lie waiting.
    """

    def __init__(self, silence_s: float, lost_s: float, first_frame_s: float) -> None:
        self._silence_limit_s = silence_s
        self._lost_limit_s = lost_s
        self._first_frame_limit_s = first_frame_s
        self._since_s = 0.0
        self._judged_s = 0.0
        self._had_frame = False

    def opened(self, now_s: float) -> None:
        """The camera was opened; the wait for its first frame begins."""
        self._since_s = self._judged_s = now_s
        self._had_frame = False

    def frame(self, now_s: float) -> None:
        """A frame arrived."""
        self._since_s = now_s
        self._had_frame = True

    def silence_s(self, now_s: float) -> float:
        """For how long nothing has come while it was watched."""
        return max(0.0, now_s - self._since_s)

    def judge(self, now_s: float) -> Verdict:
        """Verdict at a time; to be asked many times within `silence_s`."""
        pause_s = now_s - self._judged_s
        self._judged_s = now_s
        if pause_s > self._silence_limit_s:
            self._since_s = min(now_s, self._since_s + pause_s)
        silence_s = self.silence_s(now_s)
        if not self._had_frame:
            return Verdict.LOST if silence_s > self._first_frame_limit_s else Verdict.ALIVE
        if silence_s > self._lost_limit_s:
            return Verdict.LOST
        return Verdict.SILENT if silence_s > self._silence_limit_s else Verdict.ALIVE
