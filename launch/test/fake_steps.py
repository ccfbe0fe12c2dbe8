"""A program for the runner of experiments: writes its arguments to the file after --out."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path


def program(words: Sequence[str]) -> int:
    """`fail`: fails with a last word. `hang`: the first call says its process and waits for a signal."""
    out = Path(words[words.index("--out") + 1])
    if "fail" in words:
        print("this one fails", file=sys.stderr)
        return 1
    calls = out.with_name(out.name + ".calls")
    calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
    if "hang" in words and calls.read_text() == "x":
        print(f"hanging {os.getpid()}", flush=True)
        signal.pause()
    out.write_text(" ".join(words))
    return 0
