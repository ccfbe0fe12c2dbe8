"""Numbers of a commanded stream: pauses, steps, jitter and the spectrum of its velocity."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.signal import welch

from dexpie_core.action_space import RATE_HZ
from dexpie_core.limits import step_sizes

PAUSE_TICKS = 2
STILL = 1e-6


@dataclass(frozen=True)
class Stream:
    """Executed ticks: stamps (K,) ns, commands (K, 15), starved (K,), held (K,): nobody had a target."""

    stamps_ns: np.ndarray
    commands: np.ndarray
    starved: np.ndarray
    held: np.ndarray

    @property
    def minutes(self) -> float:
        """Its length."""
        return len(self.commands) / RATE_HZ / 60.0


def pauses_a_minute(commands: np.ndarray) -> float:
    """How often arm and hand both stand still for at least PAUSE_TICKS ticks."""
    still = np.all(np.abs(np.diff(commands, axis=0)) < STILL, axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(int), [0]])))
    lengths = edges[1::2] - edges[::2]
    return float(np.sum(lengths >= PAUSE_TICKS)) / (len(commands) / RATE_HZ / 60.0)


def largest_steps(commands: np.ndarray) -> tuple[float, float, float]:
    """Largest step of a tick: m, rad, fraction of the hand's travel."""
    steps = np.array([step_sizes(a, b) for a, b in pairwise(commands)])
    return float(steps[:, 0].max()), float(steps[:, 1].max()), float(steps[:, 2].max())


def jitter_p99_ms(stamps_ns: np.ndarray) -> float:
    """99th percentile of the distance of a period from 40 ms."""
    return float(np.percentile(np.abs(np.diff(stamps_ns) * 1e-6 - 1e3 / RATE_HZ), 99))


def repeats(stream: Stream, motion: np.ndarray) -> float:
    """Largest distance of what was executed, holds left out, from the motion step by step."""
    moved = stream.commands[~stream.held]
    return float(np.max(np.abs(moved - motion[np.arange(len(moved)) % len(motion)])))


def spectrum(commands: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (Hz) and power of the commanded TCP velocity, all axes together, (m/s)^2/Hz."""
    velocity = np.diff(commands[:, :3], axis=0) * RATE_HZ
    frequency, power = welch(velocity, fs=RATE_HZ, nperseg=256, axis=0)
    return frequency[1:], power.sum(axis=1)[1:]


def spectral_distance_db(commands: np.ndarray, reference: np.ndarray) -> float:
    """Root mean square difference of the two spectra in dB, over all frequencies but zero."""
    (_, a), (_, b) = spectrum(commands), spectrum(reference)
    return float(np.sqrt(np.mean((10 * np.log10(a / b)) ** 2)))


def draw(streams: dict[str, np.ndarray], file: Path) -> None:
    """Commanded speed over time beside the spectra of velocity."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6))
    for name, commands in streams.items():
        speed = np.linalg.norm(np.diff(commands[: round(10 * RATE_HZ), :3], axis=0), axis=1) * RATE_HZ
        left.plot(np.arange(len(speed)) / RATE_HZ, speed, label=name, lw=1.2, alpha=0.85)
        right.semilogy(*spectrum(commands), label=name, lw=1.2, alpha=0.85)
    left.set(xlabel="time [s]", ylabel="commanded speed [m/s]")
    right.set(xlabel="frequency [Hz]", ylabel="velocity power [(m/s)$^2$/Hz]")
    right.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(file, dpi=150)
