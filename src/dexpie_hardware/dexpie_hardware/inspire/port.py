"""One transaction at a time over a serial port, through pyserial."""

from __future__ import annotations

import contextlib
import errno
import select
import termios
import time
from pathlib import Path
from typing import Final, Protocol

import serial

from dexpie_hardware.inspire.protocol import Request, find_answer

PORT_ERRORS: Final = (serial.SerialException, OSError, termios.error)
"""What pyserial raises when the device is gone, depending on the call (3.5, Linux)."""
WRITE_TIMEOUT_S: Final = 0.05
READ_BYTES: Final = 512


class PortBusyError(Exception):
    """Another program has the port."""


class Port(Protocol):
    """What the driver needs of a serial port."""

    def transact(self, request: Request, timeout_s: float) -> bytes | None:
        """Data of the answer, None if none came in time; one of PORT_ERRORS when the device is gone."""

    def close(self) -> None:
        """Give the port back; sends nothing."""


class SerialPort:
    """A serial port that is ours alone; PortBusyError, or one of PORT_ERRORS, where it cannot be had."""

    def __init__(self, path: str, baud: int) -> None:
        try:
            self._serial = serial.Serial(path, baud, timeout=0, write_timeout=WRITE_TIMEOUT_S, exclusive=True)
        except serial.SerialException as error:
            if error.errno in (errno.EAGAIN, errno.EBUSY):
                raise PortBusyError(
                    f"{path} is in use by another program: end it, or set another port"
                ) from None
            raise

    def transact(self, request: Request, timeout_s: float) -> bytes | None:
        """One request and its answer; bytes that belong to neither are passed over."""
        self._serial.read(READ_BYTES)  # what came late or as noise belongs to no request of now
        deadline = time.monotonic() + timeout_s
        self._serial.write(request.frame)
        received = bytearray()
        while True:
            left_s = max(deadline - time.monotonic(), 0.0)
            select.select([self._serial], [], [], left_s)
            received += self._serial.read(READ_BYTES)
            answer = find_answer(received, request)
            # An answer that is there is taken, however late this process came to look.
            if answer is not None or left_s == 0.0:
                return answer

    def close(self) -> None:
        """Give the port back."""
        with contextlib.suppress(*PORT_ERRORS):
            self._serial.close()


def adapter_latency_ms(path: str, sys_root: Path = Path("/sys")) -> int | None:
    """latency_timer of an FTDI adapter, ms; None for other adapters. 16, its default, delays every answer."""
    name = Path(path).resolve().name
    try:
        return int((sys_root / "bus/usb-serial/devices" / name / "latency_timer").read_text())
    except (OSError, ValueError):
        return None
