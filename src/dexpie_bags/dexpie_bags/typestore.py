"""The message types of the bags: the ROS 2 standard ones and dexpie_msgs, without any ROS installation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dexpie_core.errors import DexpieError

PACKAGE = "dexpie_msgs"

_Converter = Callable[[Any], Any]
_NUMERIC = frozenset(
    ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "bool")
)
_ZERO: dict[str, Any] = {"string": "", "bool": False, "float32": 0.0, "float64": 0.0}
_CAST: dict[str, _Converter] = {"string": str, "bool": bool, "float32": float, "float64": float}


def message_folder() -> Path:
    """The folder of dexpie_msgs' .msg files: the installed package's, else the source tree's."""
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    candidates = [prefix / "share" / PACKAGE / "msg" for prefix in prefixes]
    candidates += [parent / PACKAGE / "msg" for parent in Path(__file__).resolve().parents[2:3]]
    for folder in candidates:
        if any(folder.glob("*.msg")):
            return folder
    raise DexpieError(
        f"the message definitions of {PACKAGE} were not found in AMENT_PREFIX_PATH nor beside the sources: "
        "run 'make setup' and use ./dexpie, or source install/setup.bash"
    )


@cache
def typestore() -> Typestore:
    """The types of ROS 2 Kilted (identical to Jazzy's for all that is recorded) and of dexpie_msgs."""
    store = get_typestore(Stores.ROS2_KILTED)
    types: dict[str, Any] = {}
    for path in sorted(message_folder().glob("*.msg")):
        types.update(get_types_from_msg(path.read_text("utf8"), f"{PACKAGE}/msg/{path.stem}"))
    store.register(types)
    return store


def full_name(typename: str) -> str:
    """'std_msgs/Header' and 'std_msgs/msg/Header' both give 'std_msgs/msg/Header'."""
    package, _, name = typename.partition("/")
    return typename if name.startswith("msg/") else f"{package}/msg/{name}"


def make(typename: str, **fields: Any) -> Any:
    """A message of this type. Fields: numpy arrays, sequences, mappings or messages; the rest is zero."""
    return build(typestore(), full_name(typename), fields)


def build(store: Typestore, typename: str, fields: Mapping[str, Any]) -> Any:
    """As `make`, in the given store."""
    plan = _plan(store, typename)
    unknown = fields.keys() - plan.keys()
    if unknown:
        raise DexpieError(f"{typename} has no field '{min(unknown)}'; it has {', '.join(plan)}")
    values = {}
    for name, (convert, default) in plan.items():
        if name not in fields:
            values[name] = default()
            continue
        try:
            values[name] = convert(fields[name])
        except (TypeError, ValueError, OverflowError) as error:
            raise DexpieError(f"{typename}.{name}: {error}") from error
    return store.types[typename](**values)


def serialize(message: Any) -> bytes:
    """A message of `make` as CDR, the encoding in bags and on the wire."""
    return bytes(typestore().serialize_cdr(message, message.__msgtype__))


def deserialize(cdr: bytes | memoryview, typename: str) -> Any:
    """A CDR message back as an object."""
    return typestore().deserialize_cdr(cdr, full_name(typename))


_Plan = dict[str, tuple[_Converter, Callable[[], Any]]]
_plans: dict[tuple[int, str], _Plan] = {}


def _plan(store: Typestore, typename: str) -> _Plan:
    """How each field of a type is converted and what stands in for one that is not given."""
    key = (id(store), typename)
    if key not in _plans:
        if typename not in store.fielddefs:
            raise DexpieError(f"message type {typename} is not known")
        _plans[key] = {name: _field(store, node) for name, node in store.fielddefs[typename][1]}
    return _plans[key]


def _field(store: Typestore, node: Any) -> tuple[_Converter, Callable[[], Any]]:
    kind, detail = node
    if kind is Nodetype.BASE:
        base = detail[0]
        zero = _ZERO.get(base, 0)
        return _CAST.get(base, int), lambda: zero
    if kind is Nodetype.NAME:
        return (lambda value: _nested(store, detail, value)), (lambda: build(store, detail, {}))
    (item_kind, item), length = detail
    if kind is Nodetype.SEQUENCE:
        length = None
    if item_kind is Nodetype.BASE and item[0] in _NUMERIC | {"byte", "char"}:
        dtype = np.dtype("uint8" if item[0] in ("byte", "char") else item[0])
        return (lambda value: _numeric(value, dtype, length)), (lambda: np.zeros(length or 0, dtype))
    convert, default = _field(store, (item_kind, item))
    return (
        lambda value: _sized([convert(element) for element in value], length),
        lambda: [default() for _ in range(length or 0)],
    )


def _nested(store: Typestore, typename: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return build(store, typename, value)
    if getattr(value, "__msgtype__", None) != typename:
        raise TypeError(f"expected a {typename}, got {type(value).__name__}")
    return value


def _numeric(value: Any, dtype: np.dtype[Any], length: int | None) -> np.ndarray[Any, Any]:
    if isinstance(value, (bytes, bytearray, memoryview)):
        array = np.frombuffer(value, dtype)
    else:
        array = np.ascontiguousarray(value, dtype).reshape(-1)
    _sized(array, length)
    return array


def _sized(value: Any, length: int | None) -> Any:
    if length is not None and len(value) != length:
        raise ValueError(f"needs {length} elements, got {len(value)}")
    return value
