"""The edits on disk (JSON lines, WHERE/edits.jsonl) and the episodes that they are about."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training import schema
from dexpie_training.bag_episodes import find_bags
from dexpie_training.curation import EDITS_FILE, Edit, Episode, check, in_force
from dexpie_training.curation_episodes import episodes_of_bags, episodes_of_dataset
from dexpie_training.serial import from_dict


@dataclass(frozen=True)
class Curated:
    """A folder of bags or a dataset: its episodes as recorded, and its edits.

    damage: what of the bags cannot be read, one line each.
    """

    where: Path
    file: Path
    edits: tuple[Edit, ...]
    episodes: tuple[Episode, ...]
    damage: tuple[str, ...] = ()

    @classmethod
    def open(cls, where: Path, edits: Path | None = None) -> "Curated":
        """Read both; `edits` is the file where it does not lie in the folder."""
        if not where.is_dir():
            raise UsageError(f"{where}: no such folder of bags or dataset")
        file = edits or edits_file(where)
        if is_dataset(where):
            return cls(where, file, read_edits(file), tuple(episodes_of_dataset(where)))
        episodes, damage = episodes_of_bags(find_bags([where]))
        return cls(where, file, read_edits(file), tuple(episodes), tuple(damage))

    def add(self, edit: Edit) -> "Curated":
        """Check the edit and append it to the file; UsageError leaves the file as it is."""
        check(edit, self.edits, self.episodes)
        _append(self.file, edit)
        return replace(self, edits=(*self.edits, edit))


def is_dataset(where: Path) -> bool:
    """Whether the folder is a dataset rather than bags."""
    return (where / schema.META_FILE).is_file()


def edits_file(where: Path) -> Path:
    """Where the edits lie: in a folder of bags, beside a bag, in a dataset."""
    is_bag = (where / "metadata.yaml").is_file()
    return (where.resolve().parent if is_bag else where) / EDITS_FILE


def read_edits(file: Path) -> tuple[Edit, ...]:
    """Edits of a file in order, none where it does not exist; DexpieError names the line that is wrong."""
    try:
        text = file.read_text()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise DexpieError(f"{file}: cannot be read ({error})") from None
    edits: list[Edit] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            edit = from_dict(Edit, json.loads(line))
            if edit.edit == "undo" and int(edit.value) >= number:
                raise ValueError(f"undoes line {edit.value}, which is not before it")
        except ValueError as error:
            raise DexpieError(f"{file} line {number}: is no edit ({error}); mend or remove it") from None
        edits.append(edit)
    return tuple(edits)


def find_edits(sources: Sequence[Path], edits: Path | None) -> tuple[Edit, ...]:
    """The edits in force for a conversion of these bags: those of a named file, or those beside the bags.

    UsageError where the named file is missing.
    """
    if edits is not None and not edits.is_file():
        raise UsageError(f"--edits {edits}: no such file; make it with `dexpie curate`")
    files = (
        [edits] if edits is not None else dict.fromkeys(edits_file(source).resolve() for source in sources)
    )
    return tuple(edit for file in files for edit in in_force(read_edits(file)).values())


def _append(file: Path, edit: Edit) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    unended = file.is_file() and not file.read_bytes().endswith(b"\n")
    with file.open("a") as handle:
        handle.write(("\n" if unended else "") + json.dumps(asdict(edit)) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
