"""What the servo process tells the node, and how often. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dexpie_hardware.ur5.controller import ControllerState
from dexpie_hardware.ur5.parameters import Ur5Parameters
from dexpie_hardware.ur5.wire import Measured, Report, Status

STATUS_PERIOD_S: Final = 0.5


class Reporter:
    """Packages at the rate that is published, the status at every change and twice a second."""

    def __init__(self, send: Callable[[Report], None], parameters: Ur5Parameters) -> None:
        self._send = send
        self._cycles = max(1, round(parameters.servo_rate_hz / parameters.rate_hz))
        self._waited = self._cycles
        self._told: tuple[object, ...] = ()
        self._told_s = 0.0

    def measured(self, state: ControllerState, stamp_ns: int) -> None:
        """A package has come."""
        self._waited += 1
        if self._waited >= self._cycles:
            self._waited = 0
            self._send(Measured(stamp_ns, state.q_rad, state.qd_rad_s, state.tcp))

    def status(self, status: Status, now_s: float) -> None:
        """The status of this cycle."""
        key = (status.state, status.ready, status.detail, status.protective_stop, status.emergency_stop)
        if key == self._told and status.recovered is None and now_s - self._told_s < STATUS_PERIOD_S:
            return
        self._told, self._told_s = key, now_s
        self._send(status)
