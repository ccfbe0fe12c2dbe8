"""Runs the benchmarks: one line each on the terminal, all of them in build/bench.json and, to read, bench.md.

Every benchmark measures its alternative in the same run, so that the ratio holds on any machine; the
absolute figures do not. `ONLY=name,name` picks some of them.
"""

import argparse
import importlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from measure import Result
from table import document, line

from dexpie_training.serial import write_text

BENCHMARKS = {  # name of the function: its module, imported when it runs
    "inverse_kinematics": "kinematics",
    "prefix_re_reference": "kinematics",
    "executor_tick": "schedule",
    "chunk_sampling": "learning",
    "sampler": "learning",
    "training_batches": "learning",
    "label": "critic",
    "critic_epoch": "critic",
    "actor_step": "actor_training",
    "bag_writing": "bags",
    "convert": "datasets",
    "convert_memory": "datasets",
    "read_vs_zarr": "datasets",
    "read_vs_video": "datasets",
    "lockstep_speed": "sim",
    "lockstep_state": "lockstep",
    "lockstep_images": "lockstep",
    "image_transport": "images",
    "servo_loop": "servo",
    "hand_cycle": "hand",
    "takeover_latency": "takeover",
    "inference_latency": "inference_latency",
    "asynchronous": "asynchronous",
}


def main() -> int:
    """Exit status: 0, or 2 for an unknown name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help=f"comma-separated names of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    arguments = parser.parse_args()
    names = [name for name in arguments.only.split(",") if name] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"bench: ONLY={','.join(unknown)} is not one of: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    results, load_before = list[Result](), os.getloadavg()[0]
    for name in names:
        results.append(getattr(importlib.import_module(BENCHMARKS[name]), name)())
        print(line(results[-1]), flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.out, json.dumps([asdict(result) for result in results], indent=2) + "\n")
    write_text(arguments.out.with_suffix(".md"), document(results, load_before))
    return 0


if __name__ == "__main__":
    sys.exit(main())
