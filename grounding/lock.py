"""One process at a time in a folder, across machines that share its file system."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from grounding.errors import InputError


def locked(path: Path, work: str) -> FileLock:
    """The lock of a file, held until it is released or this process ends, killed or not; the file stays.

    Args:
        path: of the file, which is made for this; its folder is made too.
        work: what holds it, in the sentence.

    Raises:
        InputError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(f"another {work} works in {path.parent}: wait for it, or give another --output") from None
    return lock
