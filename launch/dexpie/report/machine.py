"""The machine that a report was made on, in a few words."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPU_INFO, MEMORY_INFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")


def machine_rows() -> list[tuple[str, str]]:
    """Processor, cores that this process may use, memory, system, versions."""
    import torch

    memory_kib = int((_field(MEMORY_INFO, "MemTotal") or "0").split()[0])
    return [
        ("processor", processor()),
        ("cores used", str(len(os.sched_getaffinity(0)))),
        ("memory", f"{memory_kib / 2**20:.0f} GiB"),
        ("GPU", torch.cuda.get_device_name() if torch.cuda.is_available() else "none"),
        ("system", platform.platform()),
        ("versions", f"Python {platform.python_version()}, torch {torch.__version__}"),
    ]


def processor() -> str:
    """Its name, or that of its architecture."""
    return _field(CPU_INFO, "model name") or platform.machine()


def _field(file: Path, name: str) -> str:
    """Value of the first line `name : value`; empty where there is none."""
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
