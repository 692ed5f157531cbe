"""Files that are there as a whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def made_whole(path: Path, unfinished: Path | None = None) -> Iterator[Path]:
    """A place to write a file to, which takes the place of `path` when the block ends well, and goes when it does not.

    Its content is on the disk before its name is: a killed program and a power cut leave the previous file or the new
    one.

    Args:
        path: of the file; its folder is made where it is not there.
        unfinished: in the same file system; `path` with ".part" where it is not given. A killed program leaves it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if unfinished is None:
        unfinished = path.with_name(path.name + ".part")
    try:
        yield unfinished
        flush_file(unfinished)
        unfinished.replace(path)
        flush_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file as `made_whole` does."""
    with made_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def flush_file(path: Path) -> None:
    """Put a file's content on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Put the names of a folder's files on the disk, where the system has this apart from their content."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a mounted drive may know no such thing
            raise
    finally:
        os.close(opened)
