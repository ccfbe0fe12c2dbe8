"""Which readings of the gloves are taken: side, names, plausible angles, silence. Pure, driven by `now`."""

import enum
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dexpie_core.retargeting import CHANNEL_SIGNALS
from dexpie_hardware.glove_reading import GloveReading

SIDES: Final = ("left", "right")
# SDKs that name the thumb's joints by anatomy. Their ThumbMCPStretch is another joint than ours.
ANATOMICAL_ALIASES: Final = (
    "ThumbCMCSpread=ThumbMCPSpread",
    "ThumbCMCStretch=ThumbMCPStretch",
    "ThumbMCPStretch=ThumbPIPStretch",
    "ThumbIPStretch=ThumbDIPStretch",
)


class State(enum.Enum):
    """WAITING until the glove has been heard once."""

    WAITING = "waiting"
    LIVE = "live"
    SILENT = "silent"


class Event(enum.Enum):
    """A reading that is taken, or none for too long."""

    HEARD = enum.auto()
    SILENCE = enum.auto()


TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    (State.WAITING, Event.HEARD): State.LIVE,
    (State.WAITING, Event.SILENCE): State.WAITING,
    (State.LIVE, Event.HEARD): State.LIVE,
    (State.LIVE, Event.SILENCE): State.SILENT,
    (State.SILENT, Event.HEARD): State.LIVE,
    (State.SILENT, Event.SILENCE): State.SILENT,
}


def parse_aliases(pairs: tuple[str, ...]) -> dict[str, str]:
    """Names of the SDK to ours, of texts like 'ThumbCMCSpread=ThumbMCPSpread'. Raises ValueError."""
    aliases: dict[str, str] = {}
    for pair in pairs:
        theirs, separator, ours = (part.strip() for part in pair.partition("="))
        if not separator or not theirs or not ours:
            raise ValueError(f"aliases: {pair!r} is not NAME_OF_THE_SDK=OUR_NAME")
        if theirs in aliases:
            raise ValueError(f"aliases: {theirs} is named twice")
        aliases[theirs] = ours
    return aliases


@dataclass(frozen=True)
class GloveConfig:
    """Whose hand, how the SDK names the signals, and what is refused."""

    side: str = "right"
    aliases: Mapping[str, str] = field(default_factory=dict)
    max_angle_deg: float = 180.0
    stale_s: float = 0.1

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise ValueError(f"side {self.side!r} is not a choice; choose from {', '.join(SIDES)}")
        if not self.max_angle_deg > 0.0 or not self.stale_s > 0.0:
            raise ValueError("max_angle_deg and stale_s must be positive")


class GloveMonitor:
    """Takes every reading; returns the angles of those that may be published, and counts the others.

    counts: other_side (also no side at all), second_glove (another one of our side while the first one is
    live), refused (a signal that the hand needs is missing or named twice, or an angle cannot be true).
    """

    def __init__(self, config: GloveConfig | None = None) -> None:
        self.config = config or GloveConfig()
        self.state = State.WAITING
        self.complaint = ""  # about the newest reading that was refused, until one is taken
        self.origin = ""
        self.other_side = ""  # what the newest reading of another side said
        self.counts: Counter[str] = Counter(accepted=0, other_side=0, second_glove=0, refused=0)
        self._heard_s = 0.0

    def take(self, reading: GloveReading, now_s: float) -> dict[str, float] | None:
        """Angles (degrees) by our names, or None where the reading is not taken."""
        if reading.side.strip().lower() != self.config.side:
            self.counts["other_side"] += 1
            self.other_side = reading.side
            return None
        if self.state is State.LIVE and reading.origin != self.origin:
            self.counts["second_glove"] += 1
            return None
        try:
            angles = self._angles(reading)
        except ValueError as error:
            self.counts["refused"] += 1
            self.complaint = str(error)
            return None
        self.counts["accepted"] += 1
        self.state = TRANSITIONS[self.state, Event.HEARD]
        self.complaint, self.origin, self._heard_s = "", reading.origin, now_s
        return angles

    def tick(self, now_s: float) -> None:
        """Notice silence; call it after the readings of a period have been taken."""
        if now_s - self._heard_s > self.config.stale_s:
            self.state = TRANSITIONS[self.state, Event.SILENCE]

    def _angles(self, reading: GloveReading) -> dict[str, float]:
        angles: dict[str, float] = {}
        for theirs, value_deg in reading.ergonomics:
            name = self.config.aliases.get(theirs, theirs)
            if name in angles:
                raise ValueError(f"two signals are named {name}; look at the parameter aliases")
            if not math.isfinite(value_deg) or abs(value_deg) > self.config.max_angle_deg:
                raise ValueError(f"{theirs} is {value_deg:g} deg")
            angles[name] = value_deg
        missing = [name for name in CHANNEL_SIGNALS if name not in angles]
        if missing:
            raise ValueError(f"the glove lacks {', '.join(missing)}{_naming_hint(angles)}")
        return angles


def _naming_hint(angles: Mapping[str, float]) -> str:
    if not angles:
        return "; it sends no signals at all"
    if any("CMC" in name for name in angles):
        return f"; this SDK names joints by anatomy: set aliases to [{', '.join(ANATOMICAL_ALIASES)}]"
    return f"; it has {', '.join(sorted(angles))}: name them with the parameter aliases"
