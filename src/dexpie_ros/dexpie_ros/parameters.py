"""ROS parameters from a frozen dataclass: name, type, default and description are written once."""

import dataclasses
import typing
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from dexpie_core.errors import UsageError

Config = TypeVar("Config")
_TYPES: dict[Any, type] = {bool: bool, int: int, float: float, str: str}


def parameter(default: Any, description: str) -> Any:
    """A dataclass field with its default and a description that states the unit."""
    return dataclasses.field(default=default, metadata={"description": description})


def declare(node: Node, config: type[Config]) -> Config:
    """Declares every field of `config` as a read-only parameter and returns the values set from outside.

    Field types: bool, int, float, str and tuple[one of these, ...]. A whole number is a fine float.
    Raises UsageError that names the node and the parameter.
    """
    hints = typing.get_type_hints(config)
    values = {}
    for item in dataclasses.fields(config):  # type: ignore[arg-type]
        default = item.default
        if default is dataclasses.MISSING:
            factory = item.default_factory
            if factory is dataclasses.MISSING:
                raise TypeError(f"{config.__name__}.{item.name} needs a default to be a parameter")
            default = factory()
        descriptor = ParameterDescriptor(
            description=item.metadata.get("description", ""), read_only=True, dynamic_typing=True
        )
        raw = node.declare_parameter(
            item.name, list(default) if isinstance(default, tuple) else default, descriptor
        ).value
        try:
            values[item.name] = _convert(hints[item.name], raw)
        except TypeError as error:
            raise UsageError(f"{node.get_name()}: parameter {item.name}: {error}") from None
    try:
        return config(**values)
    except ValueError as error:
        raise UsageError(f"{node.get_name()}: parameters: {error}") from None


def _convert(hint: Any, raw: Any) -> Any:
    if typing.get_origin(hint) is tuple:
        element = typing.get_args(hint)[0]
        if raw is None or isinstance(raw, str) or not hasattr(raw, "__iter__"):
            raise TypeError(f"needs a list of {element.__name__}, got {raw!r}")
        return tuple(_convert(element, value) for value in raw)
    wanted = _TYPES.get(hint)
    if wanted is None:
        raise TypeError(f"a parameter cannot have the type {hint}")
    if wanted is float and type(raw) is int:
        return float(raw)
    if type(raw) is not wanted:
        raise TypeError(f"needs a {wanted.__name__}, got {raw!r}")
    return raw
