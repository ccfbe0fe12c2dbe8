"""What goes into the executor at a tick and what comes out of it."""

from dataclasses import dataclass, field
from enum import IntEnum

from dexpie_core.action_space import RATE_HZ
from dexpie_core.chunk_schedule import PrefixRequest, ScheduleConfig
from dexpie_core.follower import Misalignment
from dexpie_core.limits import Clamp, MotionLimits
from dexpie_core.modes import Mode
from dexpie_core.se3 import Array


class Source(IntEnum):
    """Who decided the command. Values are those of dexpie_msgs/msg/ExecutedAction."""

    HOLD = 0
    POLICY = 1
    HUMAN = 2


@dataclass(frozen=True)
class ExecutorConfig:
    """Tick rate, bounds of a takeover, and the ages (seconds) after which an input counts as stale.

    max_human_jump_m, max_human_jump_rad: between the human's wishes of two ticks. reclutch_min_s: a request
    to re-clutch that follows a switch sooner is the same key press twice.
    """

    rate_hz: float = RATE_HZ
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    limits: MotionLimits = field(default_factory=MotionLimits)
    takeover_max_rotation_rad: float = 0.5
    takeover_max_hand: float = 0.6
    stale_state_s: float = 0.2
    stale_human_s: float = 0.25
    max_human_jump_m: float = 0.05
    max_human_jump_rad: float = 0.262
    reclutch_min_s: float = 0.5
    console_lost_s: float = 1.0


@dataclass(frozen=True)
class HumanAction:
    """What the follower wants: absolute action (15,), valid for the epoch it was clutched in."""

    stamp_s: float
    epoch: int
    action: Array
    misalignment: Misalignment


@dataclass(frozen=True)
class ModeReply:
    """Answer to a request for a mode."""

    accepted: bool
    mode: Mode
    message: str = ""


@dataclass(frozen=True)
class TickOutput:
    """One tick: what to send and what to record. command (15,) is None until the robot's pose is known."""

    tick: int
    command: Array | None
    source: Source
    mode: Mode
    epoch: int
    request: PrefixRequest | None = None
    policy_wish: Array | None = None
    clamped: Clamp = Clamp.NONE
    starved: bool = False
    chunk_sequence: int = 0
    chunk_step: int = -1
    mode_changed: bool = False
    reason: str = ""
