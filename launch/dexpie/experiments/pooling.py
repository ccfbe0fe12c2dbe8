"""One table of an experiment whose training seeds were run apart, on several machines or days. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dexpie.experiments.results import FORMAT, VERSION, difference, rate
from dexpie_core.errors import UsageError
from dexpie_training.proportions import PairedCounts

ALIKE: Final = ("format", "version", "experiment", "task", "positions", "budget")


def pooled(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Results of all training seeds out of results of some, by the names of their files.

    UsageError where they are of different experiments, or have a seed in common.
    """
    check_alike(parts)
    ordered = sorted(parts.values(), key=lambda part: min(part["seeds"]))
    first = ordered[0]
    arms = {
        arm: rate(
            sum(part["arms"][arm]["trials"] for part in ordered),
            [count for part in ordered for count in part["arms"][arm]["by_seed"]],
        )
        for arm in first["arms"]
    }
    versions = dict.fromkeys(version for part in ordered for version in part["code_versions"])
    return {
        **{name: first[name] for name in ALIKE},
        "seeds": [seed for part in ordered for seed in part["seeds"]],
        "code_versions": list(versions),
        "arms": arms,
        "differences": [
            _summed(of_one_pair)
            for of_one_pair in zip(*(part["differences"] for part in ordered), strict=True)
        ],
    }


def check_alike(parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse what cannot stand in one table."""
    taken: dict[int, str] = {}
    one = next(iter(parts))
    for name, part in parts.items():
        if part.get("format") != FORMAT or part.get("version") != VERSION:
            raise UsageError(f"{name}: is no results.json of this version of `dexpie experiment`")
        for field in ALIKE:
            if part[field] != parts[one][field]:
                raise UsageError(f"{name}: {field} differs from that of {one}; pool what was run alike")
        if list(part["arms"]) != list(parts[one]["arms"]):
            raise UsageError(f"{name}: compares other arms than {one}; pool what was run alike")
        for seed in part["seeds"]:
            if seed in taken:
                raise UsageError(f"{name}: training seed {seed} is in {taken[seed]} too; give each seed once")
            taken[seed] = name


def _summed(differences: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kinds = differences[0]["pairs"]
    counts = PairedCounts(**{kind: sum(d["pairs"][kind] for d in differences) for kind in kinds})
    return difference(differences[0]["arm"], differences[0]["other"], counts)
