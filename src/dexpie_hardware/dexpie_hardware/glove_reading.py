"""One reading of a data glove, and the JSON that carries it from a bridge to the driver over ZeroMQ.

A bridge publishes one JSON object a message (the last part, where a message has several):

    {"side": "Right", "glove_id": 1, "ergonomics": {"IndexMCPStretch": 12.5, "ThumbMCPSpread": 3.0, ...}}

Angles are degrees, flexion positive, under the names of the maker's SDK. glove_id may be left out.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GloveReading:
    """What one glove said: `ergonomics` as (name, degrees), in no promised order or number.

    origin tells gloves of one side apart: the topic or the number of the glove. Angles are as the device
    gave them: they may be NaN.
    """

    side: str
    origin: str
    ergonomics: tuple[tuple[str, float], ...]


class GloveMessageError(ValueError):
    """A message that is no reading; the text names the field."""


def encode(reading: GloveReading) -> bytes:
    """The JSON of a reading."""
    fields = {"side": reading.side, "glove_id": reading.origin, "ergonomics": dict(reading.ergonomics)}
    return json.dumps(fields).encode()


def decode(message: bytes) -> GloveReading:
    """The reading of a JSON message. Raises GloveMessageError."""
    try:
        # Pairs, so that a name that comes twice is seen by whoever judges the reading.
        fields = json.loads(message, object_pairs_hook=lambda pairs: pairs)
        top = dict(fields)
    except (ValueError, TypeError, RecursionError):
        raise GloveMessageError("not a JSON object") from None
    side, angles = top.get("side"), top.get("ergonomics")
    if not isinstance(side, str):
        raise GloveMessageError("field side is not a text")
    if not isinstance(angles, list) or not all(isinstance(pair, tuple) for pair in angles):
        raise GloveMessageError("field ergonomics is not an object")
    ergonomics = tuple((name, _degrees(name, value)) for name, value in angles)
    return GloveReading(side, str(top.get("glove_id", "")), ergonomics)


def _degrees(name: str, value: Any) -> float:
    if type(value) not in (int, float):
        raise GloveMessageError(f"{name} is {value!r}, not degrees")
    try:
        return float(value)
    except OverflowError:
        raise GloveMessageError(f"{name} is too large") from None
