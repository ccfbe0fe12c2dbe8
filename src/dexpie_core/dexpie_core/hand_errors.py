"""Error bits of the hand's channels (maker's manual V1.09) and which of them stop the robot."""

from enum import IntFlag
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from dexpie_core.action_space import HAND_CHANNELS


class HandError(IntFlag):
    """Bits of one channel in dexpie_msgs/HandState.error."""

    STALL = 1
    OVER_TEMPERATURE = 2
    OVERCURRENT = 4
    MOTOR = 8
    COMMUNICATION = 16


FAULTS: Final = HandError.OVER_TEMPERATURE | HandError.OVERCURRENT | HandError.MOTOR | HandError.COMMUNICATION
"""Errors on which the executor faults. A stalled finger is what a firm grasp looks like."""


def error_words(bits: int) -> str:
    """The errors of one channel in words, e.g. 'stall, motor'; empty for none."""
    named = [flag.name.lower().replace("_", " ") for flag in HandError if flag & bits and flag.name]
    unknown = bits & ~int(~HandError(0))
    return ", ".join([*named, *([f"unknown bits {unknown:#x}"] if unknown else [])])


def hand_fault(errors: ArrayLike) -> str:
    """Why the hand stops the robot, by channel, from the error bits (6,); empty where it does not.

    The same fault on all channels is told once: 'hand: communication'.
    """
    words = [error_words(int(bits) & int(FAULTS)) for bits in np.asarray(errors)]
    if not any(words):
        return ""
    if len(set(words)) == 1:
        return f"hand: {words[0]}"
    told = [f"{channel} {text}" for channel, text in zip(HAND_CHANNELS, words, strict=True) if text]
    return f"hand: {'; '.join(told)}"
