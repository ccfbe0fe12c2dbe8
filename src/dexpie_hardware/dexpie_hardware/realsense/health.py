"""What is not as it should be with a camera that streams."""

from __future__ import annotations

from typing import Final

from dexpie_hardware.realsense.frames import Identity
from dexpie_hardware.realsense.stamps import Rule

LOW_RATE: Final = 0.9  # of the rate that was asked for
BAD_RULES: Final = {
    Rule.OFFSET: "stamped by the camera's own clock, tied to the host's by the quickest delivery",
    Rule.SYSTEM: "stamped on arrival in the library: the kernel passes on no metadata",
    Rule.ARRIVAL: "stamped on arrival: the camera's time means nothing",
}


def doubts(identity: Identity, rule: Rule | None, rate_hz: float | None, wanted_hz: float) -> tuple[str, ...]:
    """Reasons to warn, none for a camera on USB 3 that keeps its rate and is stamped on the host's clock."""
    found = list(identity.notes)
    if identity.usb_type and not identity.usb_type.startswith("3"):
        found.append(f"USB {identity.usb_type} instead of 3.x: use another cable or port")
    if rule in BAD_RULES:
        found.append(BAD_RULES[rule])
    if rate_hz is not None and rate_hz < LOW_RATE * wanted_hz:
        found.append(f"{rate_hz:.1f} Hz instead of {wanted_hz:g} Hz")
    return tuple(found)
