"""Results as a table that can go into a document, with what they were measured on."""

import os
from collections.abc import Sequence

from measure import Result

from dexpie.report.machine import processor
from dexpie_training.checkpoint import code_version


def line(result: Result) -> str:
    """`name  ours unit | alternative theirs unit | ratio  details`."""
    ours = f"{result.name:24s} {result.ours:12.4g} {result.unit}"
    parts = [ours, *([_alternative(result)] if result.alternative else [])]
    if result.ratio is not None:
        parts.append(f"{result.ratio:.2f}x")
    return f"{' | '.join(parts)}  {result.details}"


def document(results: Sequence[Result], load_before: float) -> str:
    """Markdown: the machine, how busy it was, the code, and a row a benchmark."""
    load = f"load {load_before:.1f} before and {os.getloadavg()[0]:.1f} after"
    rows = [
        f"| `{r.name}` | {r.ours:.4g} {r.unit} | {_alternative(r) if r.alternative else ''} "
        f"| {'' if r.ratio is None else f'{r.ratio:.2f}'} | {r.details} |"
        for r in results
    ]
    return "\n".join(
        [
            f"{os.cpu_count()} cores of {processor()}; {load}; code {code_version()}.",
            "",
            "| benchmark | ours | alternative | times better | details |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _alternative(result: Result) -> str:
    theirs = "" if result.theirs is None else f": {result.theirs:.4g} {result.unit}"
    return f"{result.alternative}{theirs}"
