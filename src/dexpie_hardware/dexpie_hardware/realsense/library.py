"""pyrealsense2, imported in one place and only by who wants a camera."""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

from dexpie_core.errors import DexpieError

LIBUSB = "libusb-1.0.so.0"
HINT = (
    "pip install pyrealsense2, and for its libusb either apt-get install libusb-1.0-0 "
    "or pip install libusb-package"
)


def load() -> Any:
    """The module pyrealsense2; DexpieError with the hint where it cannot be imported."""
    _preload_libusb()
    try:
        return importlib.import_module("pyrealsense2")
    except ImportError as error:
        raise DexpieError(f"pyrealsense2 cannot be imported ({error}): {HINT}") from error


def _preload_libusb() -> None:
    """Where the system has no libusb, the wheel libusb-package carries one of the same SONAME."""
    try:
        ctypes.CDLL(LIBUSB, mode=ctypes.RTLD_GLOBAL)
        return
    except OSError:
        pass
    try:
        package = importlib.import_module("libusb_package")
    except ImportError:
        return  # the import of pyrealsense2 says what is missing
    ctypes.CDLL(str(package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
