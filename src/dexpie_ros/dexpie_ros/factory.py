"""Makes rclpy messages from plain Python and numpy values, checking what rclpy itself does not."""

import array
import functools
import importlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from rosidl_parser.definition import AbstractSequence, Array, BasicType, NamespacedType

Converter = Callable[[Any], Any]
TYPECODES: Final = {
    "float": "f",
    "double": "d",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
}


@functools.cache
def message_class(typename: str) -> type:
    """The rclpy class of e.g. 'dexpie_msgs/msg/Action' (also srv: 'dexpie_msgs/srv/SetMode')."""
    parts = typename.split("/")
    if len(parts) != 3:
        raise ValueError(f"{typename!r} is not a type name like 'dexpie_msgs/msg/Action'")
    module = importlib.import_module(".".join(parts[:2]))
    found = getattr(module, parts[2], None)
    if not isinstance(found, type):
        raise ValueError(f"package {parts[0]} has no {parts[1]} named {parts[2]}; is it built and sourced?")
    return found


def make(typename: str, /, **fields: Any) -> Any:
    """Message of `typename` with `fields`: numpy arrays and scalars become what the field's type asks for.

    Raises ValueError that names type and field where a name does not exist or a fixed length is not met.
    """
    converters = _converters(typename)
    message = message_class(typename)()
    for name, value in fields.items():
        convert = converters.get(name)
        if convert is None:
            raise ValueError(f"{typename} has no field {name!r}; it has {', '.join(converters)}")
        try:
            setattr(message, name, convert(value))
        except (TypeError, ValueError, OverflowError, AssertionError) as error:
            raise ValueError(f"{typename}.{name}: {error}") from error
    return message


@functools.cache
def _converters(typename: str) -> dict[str, Converter]:
    cls: Any = message_class(typename)
    return {
        name: _converter(slot)
        for name, slot in zip(cls.get_fields_and_field_types(), cls.SLOT_TYPES, strict=True)
    }


def _converter(slot: Any) -> Converter:
    """How a value becomes the Python type that rclpy serialises for this slot."""
    if isinstance(slot, BasicType):
        return _scalar(slot.typename)
    if isinstance(slot, NamespacedType):
        return functools.partial(_message, message_class("/".join([*slot.namespaces, slot.name])))
    inner = getattr(slot, "value_type", None)
    typename = inner.typename if isinstance(inner, BasicType) else ""
    if isinstance(slot, Array):
        if typename in TYPECODES:
            return functools.partial(_fixed, np.dtype(TYPECODES[typename]), slot.size)
        return functools.partial(_listed, slot.size)
    if isinstance(slot, AbstractSequence):
        if typename in TYPECODES:
            return functools.partial(_sequence, TYPECODES[typename])
        return functools.partial(_listed, None)
    return lambda value: value


def _scalar(typename: str) -> Converter:
    if typename == "boolean":
        return bool
    if typename in ("float", "double"):
        return float
    if typename in TYPECODES:
        dtype = np.iinfo(np.dtype(TYPECODES[typename]))
        return functools.partial(_integer, int(dtype.min), int(dtype.max))
    return lambda value: value


def _message(wanted: type, value: Any) -> Any:
    if not isinstance(value, wanted):
        raise TypeError(f"needs a {wanted.__name__} message, got {type(value).__name__}")
    return value


def _integer(low: int, high: int, value: Any) -> int:
    number = int(value)
    if number != value or not low <= number <= high:
        raise ValueError(f"{value!r} is not a whole number in [{low}, {high}]")
    return number


def _fixed(dtype: np.dtype[Any], size: int, value: Any) -> np.ndarray[Any, Any]:
    result = np.array(value, dtype=dtype)
    if result.shape != (size,):
        raise ValueError(f"needs {size} values, got shape {result.shape}")
    return result


def _sequence(code: str, value: Any) -> "array.array[Any]":
    if isinstance(value, array.array) and value.typecode == code:
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
    else:
        raw = np.ascontiguousarray(value, dtype=np.dtype(code)).tobytes()
    # frombytes copies once; array.array(code, list) would make a Python object of every element
    result = array.array(code)
    result.frombytes(raw)
    return result


def _listed(size: int | None, value: Any) -> list[Any]:
    result = list(value)
    if size is not None and len(result) != size:
        raise ValueError(f"needs {size} values, got {len(result)}")
    return result
