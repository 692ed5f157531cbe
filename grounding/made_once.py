"""A file that takes long to make and is made once, block by block, beside a note of what it is made from."""

from __future__ import annotations

import glob
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

from grounding.blocks import Blocks
from grounding.errors import InputError
from grounding.whole_file import made_whole

HASH_LENGTH = 12
HASH_PATTERN = "[0-9a-f]" * HASH_LENGTH  # as glob has it; whatever else lies beside a file is none of its folders


class MadeOnce:
    """`path` is there when it is complete; before that, the blocks that are finished lie in a folder beside it.

    Args:
        path: of the file, such as NAME.jsonl; the note is NAME.json, the folder NAME.HASH.parts, HASH of the note: a
            process that still makes it from something else has a folder of its own.
        made_from: everything the content depends on, as JSON has it.
        items: how many things the content is about.
        block: how many of them are made together.
        anew: what is there and was made from something else is made anew; else it is an error.

    Raises:
        InputError: it was made from something else, and is not to be made anew.
    """

    def __init__(self, path: Path, made_from: dict[str, Any], *, items: int, block: int, anew: bool) -> None:
        self.path = path
        self._items = items
        self._block = block
        self._note = note = path.with_suffix(".json")
        self._text = (json.dumps(made_from, indent=2, sort_keys=True) + "\n").encode()
        self._folder = path.with_suffix(f".{hashlib.sha256(self._text).hexdigest()[:HASH_LENGTH]}.parts")
        path.parent.mkdir(parents=True, exist_ok=True)
        is_there = path.is_file()  # asked before the note is read: who makes the file writes the note first
        before = _content(note)
        if before == self._text:
            if self.is_complete:  # left by a process that was killed between joining the blocks and removing them
                shutil.rmtree(self._folder, ignore_errors=True)
            return
        if not anew and (is_there or before is not None):
            raise InputError(f"{path} {_difference(note.name, before, made_from)}: give another output, or remove "
                             f"{path} and {note} to make it anew")  # fmt: skip
        path.unlink(missing_ok=True)
        for old in path.parent.glob(f"{glob.escape(path.stem)}.{HASH_PATTERN}.parts"):
            if old != self._folder:  # in which another process, begun at the same moment, may work already
                shutil.rmtree(old, ignore_errors=True)
        # A name of its own: machines that know nothing of each other may begin at the same time.
        with made_whole(note, self._folder / f"{uuid4().hex}.part") as unfinished:
            self._folder.mkdir(exist_ok=True)
            unfinished.write_bytes(self._text)

    @property
    def is_complete(self) -> bool:
        """True where nothing is left to do."""
        return self.path.is_file()

    @property
    def blocks(self) -> Blocks:
        """Those of a file that is not complete."""
        return Blocks(self._folder, items=self._items, size=self._block)

    def finish(self) -> None:
        """All blocks are there: they become the file, unless another process has seen to it.

        Raises:
            InputError: meanwhile another process makes the file from something else.
        """
        if _content(self._note) != self._text:
            raise InputError(f"{self.path} is being made from something else by another process: give another output")
        try:
            if not self.is_complete:
                self.blocks.join(self.path)
        except FileNotFoundError:
            if not self.is_complete:
                raise
        shutil.rmtree(self._folder, ignore_errors=True)


def code_identity() -> str:
    """Changes with any line of this package, on which every answer depends."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _content(note: Path) -> bytes | None:
    try:
        return note.read_bytes()
    except FileNotFoundError:
        return None


def _difference(note: str, content: bytes | None, made_from: dict[str, Any]) -> str:
    try:
        before = json.loads(content or b"")
        differing = [name for name in {**before, **made_from} if before.get(name) != made_from.get(name)]
    except (ValueError, TypeError):
        return f"is there, and {note} does not say what it was made from"
    return f"was made from something else ({', '.join(differing)} in {note})"
