"""What the device that computes can do."""

from pathlib import Path

import torch


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether it has bfloat16 in hardware, so that it is faster than float32 and not only possible."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512") and _cpu_flag("avx512_bf16")


def _cpu_flag(flag: str) -> bool:
    try:
        return f" {flag} " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
