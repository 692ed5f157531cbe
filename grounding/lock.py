"""One process at a time in a folder, across machines that share its file system."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from grounding.errors import InputError

SECONDS_FOR_THE_KILLED = 10  # processes that read for a killed one hold its lock until they notice
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # what file systems say that know none


@contextmanager
def locked(path: Path, work: str, option: str = "--output") -> Iterator[None]:
    """Holds the lock of a file, until the block or this process ends, killed or not; the file stays.

    Where the file system knows no locks, as some that are mounted over a network, a warning says so.

    Args:
        path: of the file, which is made for this; its folder is made too.
        work: what holds it, in the sentence.
        option: by which the folder was chosen, in the sentence.

    Raises:
        InputError: another process holds it.
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
