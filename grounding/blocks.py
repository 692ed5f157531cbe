"""Much work cut into blocks, a file each: processes share them, and a killed one repeats no block that is finished."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from grounding.whole_file import made_whole


class Blocks:
    """What is made block by block, whichever process makes it; text is joined in order at the end.

    Args:
        folder: of the finished blocks; made where it is not there.
        items: how many things the work is about.
        size: of them in a block; the last block may have fewer.
    """

    def __init__(self, folder: Path, *, items: int, size: int) -> None:
        self.folder = folder
        self.items = items
        self.size = size
        folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return -(-self.items // self.size)

    def items_of(self, block: int) -> range:
        """The indices of a block's items."""
        return range(block * self.size, min((block + 1) * self.size, self.items))

    def path(self, block: int) -> Path:
        """A block's file, which is there where the block is finished."""
        return self.folder / f"{block:08d}"

    def unfinished(self, *, process: int = 0, processes: int = 1) -> Iterator[int]:
        """A process's share of the blocks that nobody has finished when their turn comes.

        The shares depend on nothing but the two numbers: processes need not start together, nor know of each other.

        Args:
            process: which one, from 0.
            processes: how many share the work.
        """
        return (block for block in range(process, len(self), processes) if not self.path(block).is_file())

    @property
    def are_complete(self) -> bool:
        """True where every block is there."""
        return next(self.unfinished(), None) is None

    def write(self, block: int, text: str) -> None:
        """A block's text, whole or not at all; of two processes that write the same block the last one counts."""
        with made_whole(self.path(block), self.folder / f"{uuid4().hex}.part") as unfinished:
            unfinished.write_text(text, encoding="utf-8")

    def remove(self, blocks: Iterable[int]) -> None:
        """Make these unfinished again, where they are finished."""
        for block in blocks:
            self.path(block).unlink(missing_ok=True)

    def join(self, path: Path) -> None:
        """All blocks in their order as one file, which replaces `path`; the folder goes.

        Raises:
            FileNotFoundError: a block is not there, perhaps because another process has joined them.
        """
        with made_whole(path, self.folder / f"{uuid4().hex}.part") as unfinished, unfinished.open("wb") as whole:
            for block in range(len(self)):
                with self.path(block).open("rb") as part:
                    shutil.copyfileobj(part, whole)
        shutil.rmtree(self.folder, ignore_errors=True)  # in which another process may just be joining too
