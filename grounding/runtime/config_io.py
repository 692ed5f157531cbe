"""Settings as files: bounded YAML that holds data only, checked against a dataclass, and dataclasses as plain values.

The command line's parser takes more than data: for a dataclass it accepts the name of a class, whose module it imports
before it looks what the class is, and the path of another file. What a file holds is therefore checked here first.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from grounding.runtime.errors import InputError
from grounding.runtime.files import decode_text

Settings = TypeVar("Settings")

RUN_CONFIG = "config.yaml"  # in a run folder
MAX_BYTES = 100_000  # a run's own has two thousand

# Metadata of a field that says what the user permits: no property of what is made, and so never written into it.
PERMISSION = {"permission": True}


def read_yaml(path: Path) -> Any:
    """The content of a YAML file: mappings, lists, texts, numbers, booleans, dates and None.

    A ValueError, whose text fits a sentence, says that it is no YAML of this kind, or larger than settings can be.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    try:
        return _Loader(decode_text(data)).get_single_data()
    except Exception as error:  # its constructors of keys, numbers and dates raise what Python raises there
        raise ValueError(f"it is no YAML: {' '.join(str(error).split()) or type(error).__name__}") from error


class _Loader(yaml.SafeLoader):
    """Without aliases: ten lines of aliases to aliases may stand for billions of values."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("a value repeats another one by *NAME, write it out")
        return super().compose_node(parent, index)


def from_plain(
    content: Any, settings: type[Settings], name: str = "", *, extra: Literal["forbid", "ignore"] = "forbid"
) -> Settings:
    """A dataclass from plain values, all the way down; what they leave out has its default.

    A ValueError names the first field, within `name`, that is unknown, missing or cannot have its value, and fits a
    sentence; it is the dataclass's own `InputError` where it refused the value itself.
    """
    try:
        return _adapter(settings, extra).validate_python((content,))[0]  # type: ignore[arg-type]
    except ValidationError as error:
        raise _refusal(error.errors()[0], name) from None


def read_settings(path: Path, settings: type[Settings], remedy: str, *, section: str = "") -> Settings:
    """A settings file, or a section of it, as `from_plain` reads it; InputError with the remedy where it is damaged."""
    try:
        content = read_yaml(path)
        if section:
            content = content.get(section) if isinstance(content, dict) else None
        return from_plain(content, settings, section)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}): {remedy}") from error


def check_fields(content: Any, settings: type) -> None:
    """Raises what `from_plain` would, but for fields that the content leaves out."""
    try:
        _adapter(settings, "forbid").validate_python((content,))
    except ValidationError as error:
        refused = [each for each in error.errors() if each["type"] != "missing"]
        if refused:
            raise _refusal(refused[0]) from None


def refuse_wrong_values(config: Any) -> None:
    """Refuses, of a configuration that was made in Python, what the command line would refuse."""
    try:
        check_fields(plain(config), type(config))
    except ValueError as error:
        raise InputError(f"{type(config).__name__}: {error}") from error


@cache
def _adapter(settings: type[Settings], extra: Literal["forbid", "ignore"]) -> TypeAdapter[tuple[Settings]]:
    # Around the tuple, since a configuration that is given with a dataclass itself does not hold for those within it.
    return TypeAdapter(tuple[settings], config=ConfigDict(extra=extra))  # type: ignore[valid-type, arg-type]


def _refusal(detail: Any, name: str = "") -> ValueError:
    """One of pydantic's findings as a sentence about the field."""
    own = detail.get("ctx", {}).get("error")
    if isinstance(own, InputError):
        return own
    field = ".".join(map(str, filter(None, (name, *detail["loc"][1:]))))
    if detail["type"] == "unexpected_keyword_argument":
        return ValueError(f"there is no setting {_shown(field)}")
    if detail["type"] == "missing":
        return ValueError(f"{field} is missing")
    return ValueError(f"{field or 'it'} is {_shown(detail['input'])}: {detail['msg'].removeprefix('Value error, ')}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."


def plain(value: Any) -> Any:
    """A configuration as YAML and JSON hold it: dictionaries without permissions, texts for paths, lists for tuples."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = [field.name for field in fields(value) if field.metadata != PERMISSION]
        return {name: plain(getattr(value, name)) for name in kept}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Real) and not isinstance(value, bool):
        return int(value) if isinstance(value, Integral) else float(value)  # of NumPy and of jsonargparse: own types
    return str(value) if isinstance(value, Path) else value
