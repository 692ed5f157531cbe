"""A file that takes long to make: block by block, by one process or several, and resumed after a kill."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from grounding.errors import InputError
from grounding.runtime.files import atomic_write, write_text_atomic


class ShardedFile:
    """A file of lines that is there once it is complete; until then, finished blocks lie in shards beside it.

    NAME.json notes what the file is made from: blocks of another origin are never mixed in. Each process appends its
    finished blocks to a shard of its own in the folder NAME.shards, one line of JSON a block, so that a kill loses at
    most the block that was being made. `finish` joins the blocks in their order.

    One launch at a time may work on a file: hold a lock. Of several processes the main one is to come first.

    Args:
        path: of the file, such as NAME.jsonl.
        made_from: everything that the content depends on, as JSON has it.
        blocks: how many blocks the content has.
        replace: whether a file that was made from something else is removed; else it is refused.

    Raises:
        InputError: the file was made from something else, and is not to be replaced.
    """

    def __init__(self, path: Path, made_from: dict[str, Any], *, blocks: int, replace: bool) -> None:
        self.path = path
        self._blocks = blocks
        self._folder = path.with_suffix(".shards")
        note = path.with_suffix(".json")
        wanted = json.dumps(made_from, indent=2, sort_keys=True) + "\n"
        noted = note.read_text(encoding="utf-8", errors="replace") if note.is_file() else None
        if noted != wanted:
            if not replace and (noted is not None or path.is_file()):
                raise InputError(f"{path} {difference(note.name, noted, made_from)}: give another output, or remove "
                                 f"{path} and {note} to make it anew")  # fmt: skip
            path.unlink(missing_ok=True)
            shutil.rmtree(self._folder, ignore_errors=True)
            write_text_atomic(note, wanted)
        elif self.is_complete:  # a process killed after it had joined the blocks may have left them
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.path.is_file()

    def unfinished(self, process: int = 0, processes: int = 1) -> list[int]:
        """One process's share of the blocks that are still to be made, whichever processes made the others.

        The shares depend on nothing but the two numbers: processes need not agree on what is finished.
        """
        finished = self._finished()
        return [block for block in range(process, self._blocks, processes) if block not in finished]

    def append(self, block: int, lines: Sequence[str], *, process: int = 0) -> None:
        """Keep a finished block.

        Args:
            block: its number.
            lines: its content, each without its end.
            process: the number of the process that made it, whose shard it goes to.
        """
        shard = self._folder / f"{process}.jsonl"
        shard.parent.mkdir(parents=True, exist_ok=True)
        with shard.open("ab") as file:
            # The line end before it closes a line that a kill or a full disk has torn.
            file.write(b"\n" + json.dumps([block, list(lines)]).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def finish(self) -> None:
        """Join the blocks, all of which are there, into the file."""
        finished = self._finished()
        with atomic_write(self.path) as unfinished, unfinished.open("w", encoding="utf-8", newline="\n") as whole:
            for block in range(self._blocks):
                shard, start = finished[block]
                with shard.open("rb") as file:
                    file.seek(start)
                    _, lines = json.loads(file.readline())
                whole.writelines(f"{line}\n" for line in lines)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _finished(self) -> dict[int, tuple[Path, int]]:
        """Block -> its shard, and the byte at which its line begins."""
        found = {}
        for shard in self._folder.glob("*.jsonl"):
            start = 0
            with shard.open("rb") as file:
                for line in file:
                    with suppress(ValueError):  # an empty line or a torn one
                        found[json.loads(line)[0]] = (shard, start)
                    start += len(line)
        return found


def difference(note: str, noted: str | None, made_from: dict[str, Any]) -> str:
    """What is wrong with a file beside which `note` says another origin, as the middle of a sentence."""
    try:
        before = json.loads(noted or "")
        differing = [name for name in {**before, **made_from} if before.get(name) != made_from.get(name)]
    except (ValueError, TypeError, AttributeError):
        return f"is there, and {note} does not say what it was made from"
    return f"was made from something else ({', '.join(differing)} in {note})"
