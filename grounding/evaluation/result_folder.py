"""One folder, one comparison: what another one has written is not replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grounding.runtime.config_io import plain
from grounding.runtime.errors import InputError
from grounding.runtime.files import write_text_atomic

# Of a configuration: they change no number, or are the place itself.
NO_MATTER = ("output", "device", "workers", "images_per_batch", "compiled")


def refuse_another(path: Path, settings: Mapping[str, Any]) -> None:
    """Does nothing where results may be written: there are none, or they are of the same settings (`settings_of`).

    Methods and bounds may be more than before, with the same first method, which the others are held against.
    """
    note = _note_of(path)
    if not note.is_file() and not path.is_file():
        return
    try:
        before = json.loads(note.read_text(encoding="utf-8"))
        other = [name for name in {**before, **settings} if not _same(name, before.get(name), settings.get(name))]
    except (OSError, ValueError, TypeError, AttributeError):
        other = ["nothing says of what"]
    if other:
        raise InputError(f"{path.parent} holds other results ({', '.join(other)}; see {note.name}): give another "
                         f"--output, or remove {path.name} and {note.name} there to replace them")  # fmt: skip


def claim(path: Path, settings: Mapping[str, Any]) -> None:
    """As `refuse_another`, and notes the settings beside results.json as results_settings.json."""
    refuse_another(path, settings)
    write_text_atomic(_note_of(path), json.dumps(settings, indent=2) + "\n")


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write results.json, whole or not at all."""
    write_text_atomic(path, json.dumps(results, indent=2) + "\n")


def settings_of(command: str, config: Any, **more: Any) -> dict[str, Any]:
    """All of a command's configuration that its numbers depend on, `more` in the place of its fields.

    Paths are noted as seen from `output`: all may move together.
    """
    whole = {"command": command, **vars(config), **more}
    return plain({name: _seen_from(config.output, value) for name, value in whole.items() if name not in NO_MATTER})


def _seen_from(folder: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_seen_from(folder, each) for each in value]
    return Path(os.path.relpath(value, folder)).as_posix() if isinstance(value, Path) else value


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.stem}_settings.json")


def _same(name: str, before: Any, now: Any) -> bool:
    if name not in ("methods", "bounds"):
        return bool(before == now)
    return all(each in now for each in before) and (name == "bounds" or before[:1] == now[:1])
