"""The ranges of one user's glove, from four poses held for some seconds each. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from dexpie_core.retargeting import CHANNEL_SIGNALS, MIN_SPAN_DEG
from dexpie_core.se3 import Array

_FINGERS: Final = ("PinkyMCPStretch", "RingMCPStretch", "MiddleMCPStretch", "IndexMCPStretch")


@dataclass(frozen=True)
class CapturePose:
    """A pose that the user holds, and which end of which signals' ranges it gives."""

    number: int
    name: str
    prompt: str
    end: Literal["open", "closed"]
    signals: tuple[str, ...]

    def __str__(self) -> str:
        return f"pose {self.number} ({self.name})"


POSES: Final = (
    CapturePose(
        1,
        "flat hand",
        "hand flat, fingers together, thumb out to the side",
        "open",
        CHANNEL_SIGNALS,
    ),
    CapturePose(
        2, "thumb to the palm", "fingers straight, thumb bent into the palm", "closed", ("ThumbMCPStretch",)
    ),
    CapturePose(3, "fist, thumb up", "fingers closed to a fist, thumb up", "closed", _FINGERS),
    CapturePose(
        4,
        "thumb across",
        "hand open, tip of the thumb at the base of the little finger",
        "closed",
        ("ThumbMCPSpread",),
    ),
)


@dataclass(frozen=True)
class CaptureConfig:
    """What a capture must hold to be believed.

    inner: share of a pose's samples beyond the bound, so that the pose, held again, reaches the end of the
    range. steady_deg: how far the middle nine tenths of a signal may spread while its pose is held.
    """

    min_samples: int = 100
    inner: float = 0.25
    steady_deg: float = 8.0
    min_span_deg: float = MIN_SPAN_DEG


@dataclass(frozen=True)
class GloveRanges:
    """Bounds (6,) in degrees, by hand channel, as RetargetConfig takes them."""

    open_deg: tuple[float, ...]
    closed_deg: tuple[float, ...]


@dataclass(frozen=True)
class Complaint:
    """What is wrong with a capture, naming signal and pose, and which pose is to be held again."""

    pose: CapturePose
    text: str


def pose_complaints(
    pose: CapturePose, samples: Array, config: CaptureConfig | None = None
) -> list[Complaint]:
    """What is wrong with the samples (n, 6), degrees in channel order, of one pose."""
    config = config or CaptureConfig()
    if len(samples) < config.min_samples:
        text = f"only {len(samples)} readings in {pose}, at least {config.min_samples} are needed: repeat it"
        return [Complaint(pose, text)]
    complaints = []
    for signal in pose.signals:
        low, high = np.percentile(_column(samples, signal), (5.0, 95.0))
        if not high - low <= config.steady_deg:
            text = f"{signal} moved by {high - low:.1f} deg in {pose}: repeat it and hold still"
            complaints.append(Complaint(pose, text))
    return complaints


def find_ranges(
    captures: Mapping[CapturePose, Array], config: CaptureConfig | None = None
) -> tuple[GloveRanges | None, Sequence[Complaint]]:
    """Ranges of the samples of all four poses, or None and what is wrong with them."""
    config = config or CaptureConfig()
    complaints = [c for pose in POSES for c in pose_complaints(pose, captures[pose], config)]
    if complaints:
        return None, complaints
    bounds: dict[str, dict[str, float]] = {"open": {}, "closed": {}}
    share = {"open": 1.0 - config.inner, "closed": config.inner}
    for pose in POSES:
        for signal in pose.signals:
            value = np.quantile(_column(captures[pose], signal), share[pose.end])
            bounds[pose.end][signal] = round(float(value), 2)
    complaints = _span_complaints(bounds["open"], bounds["closed"], config)
    if complaints:
        return None, complaints
    in_order = (tuple(bounds[end][signal] for signal in CHANNEL_SIGNALS) for end in ("open", "closed"))
    return GloveRanges(*in_order), ()


def _span_complaints(
    low: Mapping[str, float], high: Mapping[str, float], config: CaptureConfig
) -> list[Complaint]:
    flat = POSES[0]
    complaints = []
    for pose in POSES[1:]:
        for signal in pose.signals:
            span_deg = high[signal] - low[signal]
            if span_deg >= config.min_span_deg:
                continue
            what = f"{signal} goes from {low[signal]:.1f} deg in {flat} to {high[signal]:.1f} deg in {pose}"
            why = (
                "the wrong way: is the glove calibrated, and is its sign that of this SDK?"
                if span_deg <= -config.min_span_deg
                else f"less than {config.min_span_deg:g} deg"
            )
            complaints.append(Complaint(pose, f"{what}, {why}; repeat {pose}"))
    return complaints


def _column(samples: Array, signal: str) -> Array:
    column: Array = samples[:, CHANNEL_SIGNALS.index(signal)]
    return column
