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

from grounding.errors import InputError
from grounding.runtime.text_files import decode_text

Settings = TypeVar("Settings")

MAX_BYTES = 100_000  # a run's own has two thousand
MAX_VALUES = 10_000  # once every alias stands for a copy of what it names

# Metadata of a field that says what the user permits: no property of what is made, and so never written into it.
PERMISSION = {"permission": True}


def read_yaml(path: Path) -> Any:
    """The content of a YAML file: mappings, lists, texts, numbers, booleans, dates and None.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is no YAML of this kind, or larger than a file of settings can be; its text fits a sentence.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    try:
        loader = yaml.SafeLoader(decode_text(data))
        root = loader.get_single_node()
        count = _value_count(root, {})
        content = loader.construct_document(root) if root is not None and count <= MAX_VALUES else None
    except Exception as error:  # its constructors of keys, numbers and dates raise what Python raises there
        raise ValueError(f"it is no YAML: {' '.join(str(error).split()) or type(error).__name__}") from error
    if count > MAX_VALUES:
        raise ValueError(f"it holds more than {MAX_VALUES} values, or one that holds itself")
    return content


def _value_count(node: yaml.Node | None, counts: dict[int, int]) -> int:
    """How many values a node stands for: with ten lines of aliases to aliases they may be billions.

    `counts` has those of the nodes, by `id`, that were counted before.
    """
    if node is None:
        return 0
    if id(node) not in counts:
        counts[id(node)] = MAX_VALUES  # until its parts are counted: too many, should it be one of them
        parts = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        counts[id(node)] = 1 + sum(_value_count(part, counts) for part in parts)
    return counts[id(node)]


def from_plain(
    content: Any, settings: type[Settings], name: str = "", *, extra: Literal["forbid", "ignore"] = "forbid"
) -> Settings:
    """A dataclass from plain values, all the way down; what they leave out has its default.

    Args:
        content: as YAML, JSON or the command line has it.
        settings: the dataclass.
        name: of the content within its file, such as "model", for messages.
        extra: what becomes of fields that the dataclass does not have.

    Raises:
        ValueError: a field is unknown, is missing, or has a value that it cannot have; its text names the first one
            and fits a sentence. Where the dataclass itself refused the value, it is the dataclass's own `InputError`.
    """
    try:
        return _adapter(settings, extra).validate_python((content,))[0]  # type: ignore[arg-type]
    except ValidationError as error:
        raise _refusal(error.errors()[0], name) from None


def check_fields(content: Any, settings: type) -> None:
    """Does nothing where `from_plain` would accept the content once fields that it leaves out are given.

    Raises:
        ValueError: as `from_plain`.
    """
    try:
        _adapter(settings, "forbid").validate_python((content,))
    except ValidationError as error:
        refused = [each for each in error.errors() if each["type"] != "missing"]
        if refused:
            raise _refusal(refused[0]) from None


def refuse_wrong_values(config: Any) -> None:
    """Does nothing, unless a configuration that was made in Python has a value that the command line would refuse.

    Raises:
        InputError: it has.
    """
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
    """A configuration as YAML and JSON can hold it.

    Returns:
        Dataclasses as dictionaries without permissions, paths as strings and tuples as lists, all the way down.
    """
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
