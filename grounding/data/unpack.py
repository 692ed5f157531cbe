"""Zip and tar archives from the internet, unpacked so that nothing can leave the folder chosen for them."""

from __future__ import annotations

import errno
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

from tqdm import tqdm

from grounding.errors import InputError

CHUNK_BYTES = 1024 * 1024
# Annotations are packed to a tenth, photographs hardly; what is made to fill a disk, to a thousandth and less.
MOST_TIMES = 100
ALWAYS_TAKEN = 2**26  # bytes, whatever the archive's size

_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,  # of a member's name: undecodable, or with a zero byte
    RuntimeError,  # zipfile's answer to encryption and to compression methods that it lacks
)


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
            is a link or a device (data sets need none of these, so there is no benign case to tell apart), or is a file
            that others lie in; or it would unpack to more than `MOST_TIMES` its size and `ALWAYS_TAKEN`.
        OSError: a file cannot be read or written.
    """
    folder.mkdir(parents=True)
    room = max(MOST_TIMES * archive.stat().st_size, ALWAYS_TAKEN)
    try:
        with _opened(archive) as members:
            for member in tqdm(members, unit=" files", desc=f"unpacking {archive.name}", disable=hide_progress):
                place = _place(member, archive)
                if member.is_folder or (only is not None and place.name not in only):
                    continue
                target = folder.joinpath(*place.parts)
                if target.is_dir() or any(parent.is_file() for parent in target.parents):
                    raise _unsafe(archive, f"has {member.name!r} as a file and as a folder")
                target.parent.mkdir(parents=True, exist_ok=True)
                with member.open() as source, target.open("wb") as file:
                    while chunk := source.read(CHUNK_BYTES):
                        room -= len(chunk)
                        if room < 0:
                            raise _unsafe(archive, f"unpacks to more than {MOST_TIMES} times its own size")
                        file.write(chunk)
    except InputError:
        raise
    except _DAMAGE as problem:
        raise _damaged(archive, problem) from problem
    except OSError as problem:
        if problem.errno not in (None, errno.EINVAL):  # the disk's own
            raise
        raise _damaged(archive, problem) from problem  # so gzip and bz2 report wrong data, and zipfile wrong places


@dataclass(frozen=True)
class _Member:
    name: str
    is_folder: bool
    is_plain_file: bool
    open: Callable[[], IO[bytes]]


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[_Member]]:
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            yield (_tar_member(tar, info) for info in tar)
            # tarfile stops at its own end mark; the checksum of gzip and xz comes after it and is compared there.
            while tar.fileobj is not None and tar.fileobj.read(CHUNK_BYTES):
                pass
    else:
        with zipfile.ZipFile(archive) as zipped:
            yield (_zip_member(zipped, info) for info in zipped.infolist())


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    def open_member() -> IO[bytes]:
        file = tar.extractfile(info)
        if file is None:
            raise tarfile.ReadError(f"{info.name} has no content")
        return file

    return _Member(info.name, info.isdir(), info.isreg(), open_member)


def _zip_member(zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    file_type = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on a Unix system
    return _Member(info.filename, info.is_dir(), file_type in (0, stat.S_IFREG), lambda: zipped.open(info))


def _place(member: _Member, archive: Path) -> PureWindowsPath:
    """The member's relative path, once found harmless."""
    # The strictest reading of a path: "/" and "\" both separate, and drive letters are known.
    place = PureWindowsPath(member.name)
    if place.drive or place.root or ".." in place.parts:
        raise _unsafe(archive, f"would put {member.name!r} outside its own folder")
    if not member.is_folder and not member.is_plain_file:
        raise _unsafe(archive, f"has {member.name!r}, which is a link or a device")
    if not member.is_folder and not place.parts:
        raise _unsafe(archive, "has a file without a name")
    return place


def _unsafe(archive: Path, what: str) -> InputError:
    return InputError(f"{archive} {what}, and was not unpacked: delete it and get it from a source that you trust")


def _damaged(archive: Path, problem: Exception) -> InputError:
    return InputError(
        f"{archive} is damaged, or not a zip or tar archive ({problem}): delete it and run the same command again"
    )
