"""Any other tracker: a bridge sends its samples as datagrams (format: dexpie_hardware.tracker_sample)."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dexpie_hardware.tracker_sample import (
    MAX_BYTES,
    TrackerDatagramError,
    TrackerSample,
    decode,
    parse_address,
)
from dexpie_hardware.vive.backends import BackendUnavailable, Choice

MAX_DATAGRAMS: Final = 256  # in one poll: a flood must not stop the driver


class StreamBackend:
    """Listens on udp://HOST:PORT or unix:///PATH."""

    def __init__(self, name: str, address: str) -> None:
        self._choice = Choice(name)
        self._malformed = 0
        self._complaint = ""
        self._path: Path | None = None
        kind, target = parse_address(address)
        self._socket = socket.socket(kind, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        if isinstance(target, str):
            self._path = Path(target)
            _remove_socket(self._path)
        try:
            self._socket.bind(target)
        except OSError as error:
            self._socket.close()
            raise BackendUnavailable(f"stream_address {address}: {error.strerror}") from error

    def poll(self, now_s: float) -> list[TrackerSample]:
        samples = []
        for _ in range(MAX_DATAGRAMS):
            try:
                sample = decode(self._socket.recv(MAX_BYTES))
            except BlockingIOError:
                break
            except TrackerDatagramError as error:
                self._malformed += 1
                self._complaint = str(error)
                continue
            if self._choice.takes(sample.name):
                samples.append(sample)
        return samples

    def notes(self) -> Mapping[str, object]:
        return {
            **self._choice.notes(),
            "malformed_datagrams": self._malformed,
            "newest_complaint": self._complaint,
        }

    def close(self) -> None:
        self._socket.close()
        if self._path is not None:
            _remove_socket(self._path)


def _remove_socket(path: Path) -> None:
    """Remove what an earlier run has left; anything but a socket stays."""
    try:
        if stat.S_ISSOCK(path.stat().st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass
