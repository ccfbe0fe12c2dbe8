"""What the driver makes of the hand's error bits and status codes (maker's manual V1.09). Pure."""

from collections.abc import Sequence
from typing import Final

from dexpie_core.action_space import HAND_CHANNELS, HAND_DIM
from dexpie_core.hand_errors import HandError, error_words

STATUS_FAULTS: Final = frozenset({5, 6, 7})
"""Codes of register STATUS that mean a fault: current protection, stalled, fault."""
AWAY: Final = (int(HandError.COMMUNICATION),) * HAND_DIM
"""Error bits of a hand that does not answer."""


def describe(errors: Sequence[int], temperatures_c: Sequence[int]) -> str:
    """Words for the error bits of six channels, e.g. 'index: over temperature at 72 C'; '' without error."""
    parts = []
    for name, bits, temperature_c in zip(HAND_CHANNELS, errors, temperatures_c, strict=True):
        hot = f" at {temperature_c} C" if bits & HandError.OVER_TEMPERATURE else ""
        if bits:
            parts.append(f"{name}: {error_words(bits)}{hot}")
    return "; ".join(parts)


def unexplained(status: Sequence[int], errors: Sequence[int]) -> bool:
    """Whether a status code tells of a fault that the error bits known so far do not show."""
    return any(code in STATUS_FAULTS and not bits for code, bits in zip(status, errors, strict=True))
