"""Trials of an evaluation that is under way: OUT.partial, settings and then a JSON line a trial.

An interrupted evaluation loses no finished trial: the same command goes on from there.
"""

import fcntl
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from dexpie_core.errors import UsageError
from dexpie_training.evaluate import TrialResult


def partial_file(out: Path) -> Path:
    """Where the trials of an evaluation lie until OUT is written."""
    return out.with_name(f"{out.name}.partial")


class TrialLog:
    """The file, open and locked between `with` and its end; `results` are the finished trials."""

    def __init__(self, out: Path, settings: dict[str, Any]) -> None:
        self.path = partial_file(out)
        self.results: list[TrialResult] = []
        self._settings = json.loads(json.dumps(settings))

    def __enter__(self) -> "TrialLog":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = self.path.open("a+")
        try:
            self._lock()
            self._take_up()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self.results:
            self.path.unlink(missing_ok=True)

    def add(self, result: TrialResult) -> None:
        """Keep a finished trial."""
        self._write(asdict(result))
        self.results.append(result)

    def remove(self) -> None:
        """The report has been written."""
        self.path.unlink(missing_ok=True)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{self.path}: another evaluation is writing it; choose another --out") from None

    def _take_up(self) -> None:
        self._file.seek(0)
        lines = self._file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines.pop()  # cut off by a kill
        self._file.truncate(len("".join(lines).encode()))
        if not lines:
            self._write(self._settings)
            return
        try:
            settings, *trials = (json.loads(line) for line in lines)
            self.results = [TrialResult(**trial) for trial in trials]
        except (TypeError, ValueError) as error:
            raise UsageError(f"{self.path}: cannot be read ({error}); remove it") from None
        if settings != self._settings:
            raise UsageError(f"{self.path}: {self._difference(settings)}; remove it or choose another --out")

    def _difference(self, there: Any) -> str:
        keys = dict.fromkeys([*self._settings, *(there if isinstance(there, dict) else ())])
        differ = [k for k in keys if not isinstance(there, dict) or there.get(k) != self._settings.get(k)]
        return f"an interrupted evaluation with another {', '.join(differ)}"

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
