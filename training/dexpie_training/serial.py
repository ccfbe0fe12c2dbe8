"""Frozen dataclasses from JSON and back; an unknown or missing field is an error, never a default."""

import dataclasses
import json
import os
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from dexpie_core.errors import UsageError

T = TypeVar("T")


def from_dict(cls: type[T], data: Any) -> T:
    """Instance of a dataclass from the JSON of its `asdict`; ValueError names the field."""
    if not isinstance(data, dict):
        raise ValueError(f"{cls.__name__} is {type(data).__name__}, not an object")
    hints = get_type_hints(cls)
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if names != set(data):
        odd = sorted(names ^ set(data))
        raise ValueError(f"{cls.__name__}: fields {', '.join(odd)} are missing or unknown")
    return cls(**{name: _convert(hints[name], data[name], f"{cls.__name__}.{name}") for name in names})


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value)  # type: ignore[arg-type]
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{where} is not a list")
        return tuple(_convert(get_args(hint)[0], item, where) for item in value)
    if origin is Literal:
        if value not in get_args(hint):
            raise ValueError(f"{where} {value!r} must be one of {', '.join(map(str, get_args(hint)))}")
        return value
    if origin in (Union, types.UnionType):
        inner = [arg for arg in get_args(hint) if arg is not type(None)]
        return None if value is None else _convert(inner[0], value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (int, float, str, bool) and type(value) is not hint:
        raise ValueError(f"{where} {value!r} is not {hint.__name__}")
    return value


def with_fields(config: T, changes: Sequence[str]) -> T:
    """The configuration with fields changed, each `a.b=value`; UsageError names the one that does not fit.

    Values are JSON; what is no JSON is text.
    """
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: give FIELD=VALUE")
        content = dataclasses.asdict(config)  # type: ignore[call-overload]
        *above, last = path.split(".")
        holder = content
        for name in above:
            holder = holder.get(name) if isinstance(holder, dict) else None
        if not isinstance(holder, dict) or last not in holder:
            raise UsageError(f"--set {change}: {type(config).__name__} has no field {path}")
        try:
            holder[last] = json.loads(text)
        except json.JSONDecodeError:
            holder[last] = text
        try:
            config = from_dict(type(config), content)
        except ValueError as error:
            raise UsageError(f"--set {change}: {error}") from None
    return config


def read_provenance(file: Path, kind: str, version: int, missing: str) -> dict[str, Any]:
    """The JSON beside a file made for a dataset, `<stem>.json`; UsageError where it is not of this kind.

    missing: what to say and do where there is none.
    """
    source = file.with_suffix(".json")
    try:
        content = json.loads(source.read_text())
    except FileNotFoundError:
        raise UsageError(f"{file}: {missing}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"{source}: cannot be read ({error})") from None
    if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (kind, version):
        raise UsageError(f"{source}: not of format {kind} {version}")
    return content


def write_json(file: Path, content: Any) -> None:
    """Replace a JSON file atomically."""
    write_text(file, json.dumps(content, indent=1, default=str) + "\n")


def write_text(file: Path, text: str) -> None:
    """Replace a text file atomically."""
    temporary = file.with_name(f".{file.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, file)
