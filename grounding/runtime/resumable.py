"""A file that takes long to make: block by block, and resumed after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from grounding.runtime.errors import InputError
from grounding.runtime.files import atomic_write, write_text_atomic


class ResumableFile:
    """A file of lines about so many items, there once it is complete; until then, what is known of the first blocks of
    items lies in NAME.unfinished.

    NAME.json notes what the file is made from: blocks of another origin are never mixed in. Blocks are appended in
    their order, one line of JSON a block, so that a kill loses at most the block that was being made. One process at a
    time may work on a file: hold a lock. Where it was `made_from` something else, it is removed with `replace`, and
    else refused by an InputError.
    """

    def __init__(self, path: Path, made_from: dict[str, Any], *, items: int, block: int, replace: bool) -> None:
        self.path = path
        self._blocks = [range(start, min(start + block, items)) for start in range(0, items, block)]
        self._kept = path.with_suffix(".unfinished")
        note = path.with_suffix(".json")
        wanted = json.dumps(made_from, indent=2, sort_keys=True) + "\n"
        noted = note.read_text(encoding="utf-8", errors="replace") if note.is_file() else None
        if noted != wanted:
            if not replace and (noted is not None or path.is_file()):
                raise InputError(f"{path} {difference(note.name, noted, made_from)}: give another output, or remove "
                                 f"{path} and {note} to make it anew")  # fmt: skip
            path.unlink(missing_ok=True)
            self._kept.unlink(missing_ok=True)
            write_text_atomic(note, wanted)
        elif self.is_complete:  # a process killed after it had joined the blocks may have left them
            self._kept.unlink(missing_ok=True)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.path.is_file()

    def unfinished(self) -> list[range]:
        """The blocks that are still to be made, the last ones: of each, its items' numbers."""
        return self._blocks[sum(1 for _ in self._finished()) :]

    def fill(self, blocks: Iterable[list[str]]) -> None:
        """Keep each of the `unfinished` blocks, lines without their ends, as soon as it comes; then make the file."""
        for block in blocks:
            with self._kept.open("ab") as file:
                # The line end before it closes a line that a kill or a full disk has torn.
                file.write(b"\n" + json.dumps(block).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        with atomic_write(self.path) as unfinished, unfinished.open("w", encoding="utf-8", newline="\n") as whole:
            for lines in self._finished():
                whole.writelines(f"{line}\n" for line in lines)
        self._kept.unlink(missing_ok=True)

    def _finished(self) -> Iterator[list[str]]:
        if self._kept.is_file():
            with self._kept.open("rb") as file:
                for line in file:
                    with suppress(ValueError):  # an empty line or a torn one
                        yield json.loads(line)


def difference(note: str, noted: str | None, made_from: dict[str, Any]) -> str:
    """What is wrong with a file beside which `note` says another origin, as the middle of a sentence."""
    try:
        before = json.loads(noted or "")
        differing = [name for name in {**before, **made_from} if before.get(name) != made_from.get(name)]
    except (ValueError, TypeError, AttributeError):
        return f"is there, and {note} does not say what it was made from"
    return f"was made from something else ({', '.join(differing)} in {note})"
