"""Files that are whole or not there, one process at a time in a folder, and text that other programs have written."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from grounding.runtime.errors import InputError, writable

SECONDS_FOR_THE_KILLED = 10  # processes that read for a killed one hold its lock until they notice
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # what file systems say that know none


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A place to write a file to, which takes the place of `path` when the block ends well, and goes when it does not.

    Its content is on the disk before its name is: a killed program and a power cut leave the previous file or the new
    one, and the former `path` with ".part". Whoever the umask lets read new files may read this one. The folder is
    made where it is not there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.unlink(missing_ok=True)  # of a killed program
    unfinished.touch()
    mode = unfinished.stat().st_mode
    try:
        yield unfinished
        unfinished.chmod(mode)  # safetensors puts a file of its own there, for the owner alone
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
        _flush_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text_atomic(path: Path, text: str) -> None:
    """Write a text file as `atomic_write` does; what UTF-8 cannot hold by its escapes."""
    with atomic_write(path) as unfinished:
        unfinished.write_text(writable(text), encoding="utf-8")


def _flush_folder(folder: Path) -> None:
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


@contextmanager
def locked(path: Path, work: str, option: str = "--output") -> Iterator[None]:
    """Holds the lock of a file, until the block or this process ends, killed or not; the file stays.

    Where the file system knows no locks, as some that are mounted over a network, a warning says so; where another
    process holds it, an InputError says what `work` that is, and by which `option` its folder was chosen.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=SECONDS_FOR_THE_KILLED)
    except Timeout:
        raise InputError(f"another {work} works in {path.parent}: wait for it, or give another {option}") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warnings.warn(f"{path.parent} is where files cannot be locked: start no second {work} there", stacklevel=2)
    try:
        yield
    finally:
        lock.release()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def decode_text(content: bytes) -> str:
    """Text in UTF-8, with a mark at its start or none, or in UTF-16 with one, as programs of Windows write it.

    It is given without the mark, and every line ends in "\\n". A ValueError says that it is in another encoding.
    """
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    return re.sub("\r\n?", "\n", content.decode(encoding))


def read_text(path: Path) -> str:
    """A file's text, as `decode_text` gives it."""
    return decode_text(path.read_bytes())


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number from 1 in the whole text."""
    # Not `splitlines`: it ends a line at characters that JSON lets stand in a text.
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
