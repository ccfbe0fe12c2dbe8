"""Which nodes have said that they are ready; pure."""

from __future__ import annotations

from dataclasses import dataclass, field

DETAILED = 2  # with more nodes than this to wait for, only their names are shown
LEVEL_NAMES = {0: "OK", 1: "WARN", 2: "ERROR", 3: "STALE"}


@dataclass
class Readiness:
    """Tracks the first OK of every awaited node and the last thing each said."""

    awaited: tuple[str, ...]
    ready: set[str] = field(default_factory=set)
    last_status: dict[str, str] = field(default_factory=dict)

    def heard(self, name: str, level: int, message: str) -> bool:
        """Take one diagnostic status in; true when it made a node ready."""
        node = name.split(":", 1)[0].strip().lstrip("/")
        if node not in self.awaited:
            return False
        self.last_status[node] = f"{LEVEL_NAMES.get(level, str(level))} {message}".strip()
        if level != 0 or node in self.ready:
            return False
        self.ready.add(node)
        return True

    @property
    def complete(self) -> bool:
        return not self.waiting

    @property
    def waiting(self) -> tuple[str, ...]:
        return tuple(name for name in self.awaited if name not in self.ready)

    def line(self) -> str:
        """What the user sees, for example `6/7 ready, waiting for policy_inference (WARN loading)`."""
        total = len(self.awaited)
        if self.complete:
            return f"{total}/{total} ready"
        few = len(self.waiting) <= DETAILED
        said = (f"{n} ({self.last_status[n]})" if few and n in self.last_status else n for n in self.waiting)
        return f"{total - len(self.waiting)}/{total} ready, waiting for {', '.join(said)}"
