"""Zip and tar archives from the internet, unpacked so that nothing can leave the folder chosen for them."""

from __future__ import annotations

import errno
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator
from functools import partial
from pathlib import Path, PureWindowsPath

from tqdm import tqdm

from grounding.errors import InputError

CHUNK_BYTES = 1024 * 1024
# Annotations are packed to a tenth, photographs hardly; what is made to fill a disk, to a thousandth and less.
MOST_TIMES = 100
ALWAYS_TAKEN = 2**26  # bytes, whatever the archive's size

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}
# ValueError is of a name, RuntimeError of encryption and of compression methods that zipfile lacks.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError,
           RuntimeError, OSError)  # fmt: skip


def unpack(archive: Path, folder: Path, only: Container[str] | None = None, *, hide_progress: bool = False) -> None:
    """Unpack the plain files of a zip or a tar archive, compressed or not, whatever its name ends with.

    Where it raises, files may have been written already, in `folder` and nowhere else: unpack to a temporary folder.

    Args:
        archive: its kind is told from its content.
        folder: to make; must not exist, so that nothing in it can lead elsewhere.
        only: file names, without their folders, to unpack; None for all.
        hide_progress: whether there is no progress bar.

    Raises:
        InputError: the archive is damaged, or not a zip or tar archive; a member has an absolute path or "..", or
            is a link or a device; or it would unpack to more than `MOST_TIMES` its size and `ALWAYS_TAKEN`.
        OSError: a file cannot be read or written.
    """
    folder.mkdir(parents=True)
    room = max(MOST_TIMES * archive.stat().st_size, ALWAYS_TAKEN)
    try:
        for name, size, extract in tqdm(_files(archive, folder), f"unpacking {archive.name}", disable=hide_progress):
            place = PureWindowsPath(name)  # the strictest reading: both slashes separate, and drives count
            if place.anchor or ".." in place.parts:
                raise _unsafe(archive, f"would put {name!r} outside its own folder")
            if only is not None and place.name not in only:
                continue
            room -= size
            if room < 0:
                raise _unsafe(archive, f"unpacks to more than {MOST_TIMES} times its own size")
            extract()
    except InputError:
        raise
    except _DAMAGE as problem:
        if isinstance(problem, OSError) and problem.errno in OF_THE_DISK:
            raise
        raise InputError(
            f"{archive} is damaged, or not a zip or tar archive ({problem}): delete it and run the same command again"
        ) from problem


def _files(archive: Path, folder: Path) -> Iterator[tuple[str, int, Callable[[], object]]]:
    """Name, size in bytes and what unpacks it to `folder`, of every member that is no folder itself."""
    if not tarfile.is_tarfile(archive):
        with zipfile.ZipFile(archive) as zipped:  # which reads no more of a member than the size that is given for it
            for info in zipped.infolist():
                if not info.is_dir():
                    yield info.filename, info.file_size, partial(zipped.extract, info, folder)
        return
    if not hasattr(tarfile, "data_filter"):
        raise InputError(f"{archive} needs Python 3.10.12, 3.11.4 or later to be unpacked safely: update Python")
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isreg() and not member.isdir():
                raise _unsafe(archive, f"has {member.name!r}, which is a link or a device")
            if member.isreg():
                yield member.name, member.size, partial(tar.extract, member, folder, filter="data")
        # tarfile stops at its own end mark; the checksum of gzip and xz comes after it and is compared there.
        while tar.fileobj is not None and tar.fileobj.read(CHUNK_BYTES):
            pass


def _unsafe(archive: Path, what: str) -> InputError:
    return InputError(f"{archive} {what}, and was not unpacked: delete it and get it from a source that you trust")
