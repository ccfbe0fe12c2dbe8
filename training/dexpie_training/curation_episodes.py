"""Episodes as curation looks at them, out of bags and datasets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dexpie_bags import BagReader
from dexpie_core.errors import DexpieError
from dexpie_core.messages import EVENT_START, mode_of
from dexpie_core.modes import Mode
from dexpie_core.topics import EPISODE_EVENT, MODE
from dexpie_training.curation import Episode
from dexpie_training.dataset import Dataset


def episode_of(columns: Mapping[str, Any]) -> Episode:
    """An episode of a dataset, out of its columns of episodes.parquet."""
    return Episode(columns["episode_id"], columns["stage"], columns["kind"], columns["outcome"])


def episodes_of_dataset(path: Path) -> list[Episode]:
    """Episodes of a dataset, with the reasons where its report has them."""
    dataset = Dataset.open(path)
    last = dataset.mode[dataset.first_rows + dataset.lengths - 1].tolist()
    reasons = {report.get("episode_id"): report.get("reason", "") for report in dataset.meta["report"]}
    return [
        replace(episode_of(columns), reason=reasons.get(columns["episode_id"], ""), last_mode=Mode(mode))
        for columns, mode in zip(dataset.episodes, last, strict=True)
    ]


def episodes_of_bags(bags: Sequence[Path]) -> tuple[list[Episode], list[str]]:
    """Episodes that end in these bags, and what of the bags cannot be read, one line each.

    Only events and modes are read. DexpieError where an episode comes twice.
    """
    found: dict[str, Episode] = {}
    damage: list[str] = []
    for bag in bags:
        try:
            with BagReader(bag, torn=True) as reader:
                episodes = list(_episodes_of(reader))
                damage += reader.damage
        except DexpieError as error:
            damage.append(str(error))
            continue
        for episode in episodes:
            if episode.episode_id in found:
                raise DexpieError(f"{bag}: episode {episode.episode_id} is in another bag too")
            found[episode.episode_id] = episode
    return list(found.values()), damage


def _episodes_of(reader: BagReader) -> Iterator[Episode]:
    mode, ended = Mode.IDLE, set[str]()
    for record in reader.messages({EPISODE_EVENT.name, MODE.name} & set(reader.topics)):
        message = record.message
        if record.topic == MODE.name:
            mode = mode_of(message)
        elif message.event != EVENT_START and message.episode_id not in ended:
            ended.add(message.episode_id)
            yield Episode(
                message.episode_id, message.stage, message.kind, message.outcome, message.reason, mode
            )
