"""YAML files of strangers as plain data: bounded in size, and with the fields of a dataclass and nothing else.

The parser of settings takes more than data: for a dataclass it accepts the name of a class, whose module it imports
before it looks what the class is, and the path of another file. What it is given from a file is therefore compared
with the dataclass first.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

MAX_BYTES = 100_000  # a run's own has two thousand
MAX_VALUES = 10_000  # once every alias stands for a copy of what it names


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
        loader = yaml.SafeLoader(data.decode())
        root = loader.get_single_node()
        count = _values(root)
        content = loader.construct_document(root) if root is not None and count <= MAX_VALUES else None
    except Exception as error:  # its constructors of keys, numbers and dates raise what Python raises there
        raise ValueError(f"it is no YAML: {' '.join(str(error).split()) or type(error).__name__}") from error
    if count > MAX_VALUES:
        raise ValueError(f"it holds more than {MAX_VALUES} values, or one that holds itself")
    return content


def _values(root: yaml.Node | None) -> int:
    """How many values a document stands for: with ten lines of aliases to aliases they may be billions."""
    counts: dict[int, int] = {}

    def count(node: yaml.Node) -> int:
        if id(node) not in counts:
            counts[id(node)] = MAX_VALUES  # until its parts are counted: too many, should it be one of them
            pairs = node.value if isinstance(node, yaml.MappingNode) else ()
            parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in pairs for part in pair]
            counts[id(node)] = 1 + sum(map(count, parts))
        return counts[id(node)]

    return 0 if root is None else count(root)


def refuse_other_fields(content: Any, settings: type, name: str = "") -> None:
    """Does nothing where content has mappings for dataclasses, all the way down, and no key that is no field.

    Args:
        content: of a YAML file; it may leave out fields, and its other values are left to the parser.
        settings: the dataclass.
        name: of the content within the file, such as "model", for messages.

    Raises:
        ValueError: there is something else; its text names it and fits a sentence.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{name or 'it'} is {_shown(content)} where settings by name are expected")
    known = {field.name for field in fields(settings)}
    types = get_type_hints(settings)
    for key, value in content.items():
        inner = f"{name}.{key}" if name else str(key)
        if key not in known:
            raise ValueError(f"there is no setting {_shown(inner)}")
        nested = [kind for kind in (types[key], *get_args(types[key])) if isinstance(kind, type) and is_dataclass(kind)]
        if nested and value is not None:
            refuse_other_fields(value, nested[0], inner)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
