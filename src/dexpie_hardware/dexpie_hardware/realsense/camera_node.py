"""The driver of one RealSense camera: publishes its pictures, tells when it is lost, looks for it again."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2

from dexpie_core.errors import UsageError
from dexpie_hardware.realsense import library
from dexpie_hardware.realsense.counting import FrameCounter, FramePicker, Kind, RateMeter
from dexpie_hardware.realsense.device_source import DeviceSource, Wanted
from dexpie_hardware.realsense.file_source import FileSource
from dexpie_hardware.realsense.frames import Change, RawFrame, Source
from dexpie_hardware.realsense.health import doubts
from dexpie_hardware.realsense.images import ImagePublisher
from dexpie_hardware.realsense.lifecycle import Event, Lifecycle, State
from dexpie_hardware.realsense.parameters import CameraParameters
from dexpie_hardware.realsense.session import Session
from dexpie_hardware.realsense.stamps import Rule, Stamper
from dexpie_ros.looped import Level, LoopNode, Report
from dexpie_ros.node import declare, run

POLL_RATE_HZ = 200.0
END_TIMEOUT_S = 1.0


def make_source(p: CameraParameters) -> Source:
    """The source that the parameters name."""
    rs = library.load()
    if p.source == "file":
        return FileSource(rs, Path(p.file), p.width_px, p.height_px, p.rate_hz, repeat=p.repeat)
    wanted = Wanted(
        p.serial_number, p.width_px, p.height_px, p.rate_hz, p.auto_exposure, p.exposure_us, p.gain,
        p.auto_exposure_priority, p.global_time, p.initial_reset,
    )  # fmt: skip
    if p.source == "device":
        return DeviceSource(rs, rs.context(), wanted)
    # Only a driver that is told to be its own camera knows anything of emulators.
    from dexpie_hardware.realsense.software import SoftwareSource

    return SoftwareSource(rs, wanted, Path(p.control) if p.control else None)


class CameraNode(LoopNode):
    """Its loop polls the session that holds the camera; a session that hangs is left behind."""

    def __init__(self) -> None:
        super().__init__("realsense_camera")
        self.parameters = p = declare(self, CameraParameters)
        cv2.setNumThreads(1)
        try:
            self._source = make_source(p)
        except UsageError as error:
            raise UsageError(f"{self.get_name()}: parameter file: {error}") from error
        self._images = ImagePublisher(
            self, p.camera, p.jpeg_quality, FramePicker(p.recording_rate_hz, p.rate_hz)
        )
        self._stamper = Stamper(replay=p.source == "file")
        self._counter = FrameCounter()
        self._rate = RateMeter()
        self._lifecycle = Lifecycle(p.limits, time.monotonic())
        self._session: Session | None = None
        self._abandoned: list[Session] = []
        self._overwritten = 0
        self._rule: Rule | None = None
        self._newest_ns = 0
        self._told = ""
        self.start(POLL_RATE_HZ, niceness=-5, realtime=5)

    def step(self) -> None:
        """Take what the session and the bus have to say, publish new frames, see what is due."""
        now_s = time.monotonic()
        self._abandoned = [session for session in self._abandoned if session.alive]
        for change in self._source.changes():
            self._on_change(change, now_s)
        session = self._session
        if session is not None:
            for event, detail in session.take_events():
                self._handle(event, now_s, detail)
            for frame in session.take_frames():
                self._on_frame(session, frame, now_s)
        due = self._lifecycle.due(now_s, len(self._abandoned))
        if due is not None:
            self._handle(due[0], now_s, due[1])
        elif self._lifecycle.trouble != self._told:
            self._tell()

    def _on_change(self, change: Change, now_s: float) -> None:
        if change is Change.ADDED:
            self._lifecycle.hurry(now_s)
        else:
            self._handle(Event.LOST, now_s, f"{self._source.name} was unplugged")

    def _handle(self, event: Event, now_s: float, detail: str) -> None:
        """Let the lifecycle take the event and do what its new state asks for."""
        if not self._lifecycle.handle(event, now_s, detail):
            return
        state, session = self._lifecycle.state, self._session
        if state is State.OPENING:
            self._session = Session(self._source)
            return
        assert session is not None
        if state is State.STARTED:
            self._begin(session)
        elif state is State.CLOSING:
            session.stop()
        elif state is State.WAITING:
            session.stop()
            self._session = None
            self._overwritten += session.overwritten
            if event is Event.STUCK:
                self._abandoned.append(session)
        self._tell()

    def _begin(self, session: Session) -> None:
        """Nothing that was counted or measured of an earlier stream holds for this one."""
        self._stamper.restart()
        self._counter.restart()
        self._rate = RateMeter()
        assert session.stream is not None
        identity = session.stream.identity
        about = f"{identity.name or 'nameless'}, USB {identity.usb_type or 'unknown'}"
        self.get_logger().info(f"{self.parameters.camera}: {self._source.name} is open ({about})")

    def _on_frame(self, session: Session, frame: RawFrame, now_s: float) -> None:
        if session is not self._session or session.stream is None:
            return
        if self._counter.see(frame.number) is not Kind.NEW:
            return
        self._rate.add(frame.arrival_s)
        stamp = self._stamper.stamp(frame.timestamp_ms, frame.domain, frame.arrival_ns)
        changed = self._lifecycle.frame(frame.arrival_s, now_s) or stamp.rule is not self._rule
        self._rule, self._newest_ns = stamp.rule, stamp.stamp_ns
        self._images.publish(frame, session.stream.intrinsics, stamp.stamp_ns)
        if changed:
            self._tell()

    def _tell(self) -> None:
        """The state has changed: /diagnostics says so at once, the log once for each trouble."""
        trouble, before = self._lifecycle.trouble, self._told
        self._told = trouble
        if trouble and trouble != before:
            self.get_logger().error(f"{self.parameters.camera}: {trouble}")
        elif before and not trouble:
            self.get_logger().info(f"{self.parameters.camera}: streaming again")
        self.diagnostics.publish()

    def report(self) -> Report:
        """OK while frames come at their rate, stamped on the host's clock, over USB 3."""
        state, trouble = self._lifecycle.state, self._lifecycle.trouble
        values = self._values()
        if state is State.ENDED:
            return Report(Level.WARN, f"{self._source.name} has been played to its end", values)
        if trouble:
            return Report(Level.ERROR, trouble, values)
        if state is not State.STREAMING:
            return Report(Level.WARN, f"starting: {state.value}", values)
        assert self._session is not None and self._session.stream is not None
        rate_hz = self._rate.rate_hz(time.monotonic())
        found = doubts(self._session.stream.identity, self._rule, rate_hz, self.parameters.rate_hz)
        return (
            Report(Level.WARN, "; ".join(found), values) if found else Report(Level.OK, "streaming", values)
        )

    def _values(self) -> dict[str, object]:
        session, counter, life = self._session, self._counter, self._lifecycle
        values: dict[str, object] = {
            "camera": self.parameters.camera,
            "state": life.state.value,
            "rate_hz": self._rate.rate_hz(time.monotonic()) or 0.0,
            "age_ms": (time.time_ns() - self._newest_ns) * 1e-6 if self._newest_ns else "none",
            "stamp_rule": self._rule.value if self._rule else "none",
            "frames": counter.frames,
            "dropped": counter.dropped,
            "dropped_here": self._overwritten + (session.overwritten if session else 0),
            "late": counter.late,
            "duplicates": counter.duplicates,
            "counter_restarts": counter.restarts,
            "clock_jumps": self._stamper.jumps,
            "clamped_stamps": self._stamper.clamped,
            "raw_images": self._images.raw_images,
            "jpegs": self._images.jpegs,
            "looks": life.looks,
            "openings": life.openings,
            "losses": life.losses,
            "stuck_calls": life.stuck,
            "stuck_now": len(self._abandoned),
        }
        if session is not None and session.stream is not None:
            identity = session.stream.identity
            values |= {"name": identity.name, "serial": identity.serial, "usb": identity.usb_type,
                       "firmware": identity.firmware}  # fmt: skip
            if session.temperature_c is not None:
                values["temperature_c"] = session.temperature_c
        return {**values, **self.timing_values()}

    def finish(self) -> None:
        """Give the camera back; one that hangs is left to the end of the process."""
        session = self._session
        if session is not None:
            session.stop()
            if not session.join(END_TIMEOUT_S):
                print(
                    f"[{self._label}] the camera does not let itself be closed", file=sys.stderr, flush=True
                )
        self._source.close()


def main() -> int:
    """Entry point."""
    return run(CameraNode)


if __name__ == "__main__":
    sys.exit(main())
