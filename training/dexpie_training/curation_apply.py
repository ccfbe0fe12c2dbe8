"""`dexpie curate apply`: a new dataset of a dataset's episodes after its edits."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexpie_core.errors import DexpieError, UsageError
from dexpie_training.curation import Episode, apply, summary
from dexpie_training.curation_log import Curated
from dexpie_training.dataset import Dataset
from dexpie_training.dataset_meta import counts_of
from dexpie_training.dataset_writer import DatasetWriter


@dataclass(frozen=True)
class ApplyReport:
    """What became of the episodes."""

    out: Path
    episodes: int
    rows: int
    left_out: dict[str, str]
    """episode id -> why"""

    def __str__(self) -> str:
        text = f"{self.out}: {self.episodes} episodes, {self.rows} rows; left out: {len(self.left_out)}"
        return text + "".join(f"\n  {name}: {why}" for name, why in self.left_out.items())


def run_apply(
    dataset_path: Path,
    out: Path,
    edits: Path | None = None,
    part: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> ApplyReport:
    """Write the kept episodes, of one part where it is named, to a new dataset, all or nothing."""
    dataset = Dataset.open(dataset_path)
    source = Curated.open(dataset_path, edits)
    curated = apply(source.edits, source.episodes)
    chosen = select(curated, part)
    with DatasetWriter(out) as writer:
        for done, index in enumerate(chosen):
            writer.copy(dataset, index, {"outcome": curated[index].outcome})
            if progress:
                progress(done + 1, len(chosen))
        rows = writer.rows
        about = summary(source.edits, [*(curated[i] for i in chosen), *(e for e in curated if e.left_out)])
        writer.finish(_meta(dataset, [curated[i] for i in chosen], rows, about))
    return ApplyReport(out, len(chosen), rows, about["left_out"])


def select(curated: list[Episode], part: str = "") -> list[int]:
    """Positions of the kept episodes, of one part where it is named."""
    parts = sorted({e.part for e in curated if e.part})
    if part and part not in parts:
        known = f"there are {', '.join(parts)}" if parts else "split them first with `dexpie curate split`"
        raise UsageError(f"--part {part}: no episode is in this part; {known}")
    chosen = [i for i, e in enumerate(curated) if not e.left_out and (not part or e.part == part)]
    if not chosen:
        raise DexpieError("the edits leave no episode; see `dexpie curate show`")
    return chosen


def _meta(dataset: Dataset, chosen: list[Episode], rows: int, about: dict[str, Any]) -> dict[str, Any]:
    ids = {e.episode_id for e in chosen}
    reports = [report for report in dataset.meta["report"] if report.get("episode_id") in ids]
    outcomes, kinds = Counter(e.outcome for e in chosen), Counter(e.kind for e in chosen)
    skipped = dataset.meta["counts"].get("skipped", {})
    return {
        **{name: value for name, value in dataset.meta.items() if name not in _WRITERS},
        "counts": counts_of(reports, rows, outcomes, kinds, skipped),
        "report": reports,
        "curation": {**about, "source_sha256": dataset.content_hash},
    }


_WRITERS = ("format", "version", "content_sha256")
