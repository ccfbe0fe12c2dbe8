"""What the console knows, folded from messages and answers; pure, `now_s` is given, on a monotonic clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from dexpie_core import topics
from dexpie_core.action_space import HAND_CHANNELS
from dexpie_core.executor import ExecutorConfig
from dexpie_core.hand_errors import hand_fault
from dexpie_core.messages import EVENT_START
from dexpie_core.modes import Mode
from dexpie_core.topics import TopicSpec
from dexpie_teleop.console.health import TopicHealth, TopicMonitor, worst_first
from dexpie_teleop.console.keys import Situation
from dexpie_teleop.console.views import (
    LEVELS,
    Bar,
    CollectionView,
    EpisodeView,
    ModeView,
    NodeView,
    Phase,
    arm_problem,
    collection_view,
    episode_view,
    mode_view,
    node_views,
)

EXECUTOR_SILENT_S: Final = 1.0
ALIGNMENT_STALE_S: Final = 0.5
NODE_SILENT_S: Final = 3.0
LOG_LINES: Final = 200
OUTCOMES_KEPT: Final = 5

OBSERVED: Final = tuple(
    spec
    for spec in topics.TOPICS
    if spec.name != topics.CONSOLE.name and not spec.name.endswith("/image_raw")
)
"""Topics whose health is shown. Not the raw images: to watch them costs as much as to work with them."""


@dataclass(frozen=True)
class LogLine:
    """Something that the operator should have seen; good is None where nothing was accepted or refused."""

    now_s: float
    text: str
    good: bool | None = None


@dataclass(frozen=True)
class _Misalignment:
    """The newest one: wrist in rad, fingers in fractions of travel, and when it came."""

    rotation_rad: float
    hand: tuple[float, ...]
    now_s: float


@dataclass
class ConsoleState:
    """The model behind the screen."""

    mode_view: ModeView | None = None
    episode: EpisodeView | None = None
    outcomes: deque[str] = field(default_factory=lambda: deque(maxlen=OUTCOMES_KEPT))
    nodes: dict[str, NodeView] = field(default_factory=dict)
    log: deque[LogLine] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    starved: bool = False
    arm_problem: str = ""
    hand_problem: str = ""
    _collection: CollectionView | None = None
    _monitors: dict[str, TopicMonitor] = field(
        default_factory=lambda: {spec.name: TopicMonitor(spec) for spec in OBSERVED}
    )
    _misalignment: _Misalignment | None = None
    _executor_s: float | None = None

    def arrived(self, spec: TopicSpec, times_s: Iterable[float], publishers: int) -> None:
        """When messages of an observed topic came, and how many publishers it has."""
        monitor = self._monitors[spec.name]
        monitor.publishers = publishers
        monitor.arrived(times_s)

    def heard(self, spec: TopicSpec, message: Any, now_s: float) -> None:
        """A message of a topic in EVERY or NEWEST."""
        _FOLDS[spec.name](self, message, now_s)

    def say(self, now_s: float, text: str, good: bool | None = None) -> None:
        """Put a line into the log."""
        self.log.append(LogLine(now_s, text, good))

    def mode(self, now_s: float) -> Mode | None:
        """Who drives; None while no executor is heard."""
        alive = self._executor_s is not None and now_s - self._executor_s <= EXECUTOR_SILENT_S
        return self.mode_view.mode if self.mode_view is not None and alive else None

    @property
    def collection(self) -> CollectionView | None:
        """The collection, while the process that walks through it is there."""
        return self._collection if self._monitors[topics.COLLECTION_STATUS.name].publishers else None

    def situation(self, now_s: float) -> Situation:
        """What decides which keys mean something."""
        mode, collection = self.mode(now_s), self.collection
        return Situation(
            mode=mode,
            recovery=mode is Mode.FAULT or bool(self.arm_problem or self.hand_problem),
            episode=self.episode is not None,
            collection=collection is not None and collection.phase is not Phase.FINISHED,
            prompt=collection is not None and collection.phase is Phase.WAITING,
        )

    def bars(self, now_s: float) -> list[Bar]:
        """Wrist and fingers against their bounds; empty without a fresh tracker and glove."""
        measured = self._misalignment
        if measured is None or now_s - measured.now_s > ALIGNMENT_STALE_S:
            return []
        max_rotation_rad, max_hand = self.bounds()
        wrist = Bar(
            "wrist", float(np.degrees(measured.rotation_rad)), float(np.degrees(max_rotation_rad)), "deg"
        )
        fingers = zip(HAND_CHANNELS, measured.hand, strict=True)
        return [wrist, *(Bar(name, 100 * error, 100 * max_hand, "%") for name, error in fingers)]

    def bounds(self) -> tuple[float, float]:
        """Largest misalignment at a takeover, rad and fraction of travel: the executor's, or the default."""
        defaults = ExecutorConfig()
        values = self.nodes["executor"].values if "executor" in self.nodes else {}
        return (
            float(values.get("takeover_max_rotation_rad", defaults.takeover_max_rotation_rad)),
            float(values.get("takeover_max_hand", defaults.takeover_max_hand)),
        )

    def health(self, now_s: float) -> list[TopicHealth]:
        """All topics, the most urgent ones first."""
        return worst_first(monitor.health(now_s) for monitor in self._monitors.values())

    def troubled_nodes(self, now_s: float) -> list[tuple[str, str, str]]:
        """Name, level and message of the nodes that are not OK, or silent."""
        rows = []
        for name, node in sorted(self.nodes.items()):
            silent_s = now_s - node.heard_s
            if silent_s > NODE_SILENT_S:
                rows.append((name, "SILENT", f"for {silent_s:.0f} s; before: {node.message}"))
            elif node.level > 0:
                rows.append((name, LEVELS[min(node.level, len(LEVELS) - 1)], node.message))
        return rows

    def _heard_mode(self, message: Any, now_s: float) -> None:
        before, self.mode_view, self._executor_s = self.mode_view, mode_view(message), now_s
        if before is None or before.mode is not self.mode_view.mode:
            self.say(now_s, f"{self.mode_view.mode.name}: {self.mode_view.reason}")

    def _heard_executed(self, message: Any, now_s: float) -> None:
        self._executor_s, self.starved = now_s, bool(message.starved)

    def _heard_action(self, message: Any, now_s: float) -> None:
        hand = tuple(float(value) for value in message.misalignment_hand)
        self._misalignment = _Misalignment(float(message.misalignment_rad), hand, now_s)

    def _heard_arm(self, message: Any, now_s: float) -> None:
        self.arm_problem = arm_problem(message)

    def _heard_hand(self, message: Any, now_s: float) -> None:
        self.hand_problem = hand_fault(message.error)

    def _heard_event(self, message: Any, now_s: float) -> None:
        if message.event == EVENT_START:
            self.episode = episode_view(message)
            return
        self.episode = None
        self.outcomes.append(message.outcome)
        reason = f" ({message.reason})" if message.reason else ""
        self.say(now_s, f"episode {message.episode_id}: {message.outcome}{reason}")
        if message.gaps:
            more = f" (and {len(message.gaps) - 1} more)" if len(message.gaps) > 1 else ""
            self.say(now_s, f"it has gaps: {message.gaps[0]}{more}", good=False)

    def _heard_collection(self, message: Any, now_s: float) -> None:
        self._collection = collection_view(message)

    def _heard_diagnostics(self, message: Any, now_s: float) -> None:
        self.nodes.update(node_views(message, now_s))


EVERY: Final[dict[str, Callable[[ConsoleState, Any, float], None]]] = {
    topics.MODE.name: ConsoleState._heard_mode,
    topics.EPISODE_EVENT.name: ConsoleState._heard_event,
    topics.COLLECTION_STATUS.name: ConsoleState._heard_collection,
    topics.DIAGNOSTICS.name: ConsoleState._heard_diagnostics,
}
"""Topics of which every message counts."""
NEWEST: Final[dict[str, Callable[[ConsoleState, Any, float], None]]] = {
    topics.EXECUTED_ACTION.name: ConsoleState._heard_executed,
    topics.TELEOP_ACTION.name: ConsoleState._heard_action,
    topics.ARM_STATUS.name: ConsoleState._heard_arm,
    topics.HAND_STATE.name: ConsoleState._heard_hand,
}
"""Topics of which the newest message is enough; of all the others only the arrival counts."""
_FOLDS: Final = {**EVERY, **NEWEST}
