"""A configuration dataclass as what YAML and JSON can hold."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

# Metadata of a field that says what the user permits: no property of what is made, and so never written into it.
PERMISSION = {"permission": True}


def plain(value: Any) -> Any:
    """Dataclasses as dictionaries without permissions, paths as strings and restricted numbers as numbers, all the way
    down."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = [field.name for field in fields(value) if field.metadata != PERMISSION]
        return {name: plain(getattr(value, name)) for name in kept}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value) if isinstance(value, int) else float(value)
    return str(value) if isinstance(value, Path) else value
