"""A configuration dataclass as what YAML and JSON can hold."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from jsonargparse.typing import NonNegativeInt, PositiveInt


def plain(value: Any) -> Any:
    """Dataclasses as dictionaries, paths as strings and restricted numbers as numbers, all the way down."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, PositiveInt | NonNegativeInt):
        return int(value)
    return str(value) if isinstance(value, Path) else value
